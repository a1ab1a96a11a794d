package keyfile

import (
	"fmt"
	"math/big"

	"ntsbridge/autokey/identity"
)

// Remedies for files that ntp-keygen writes, but nobody can use.
const (
	iffExport = "an export of ntp-keygen -e as PKCS #8, which has no place for the public value v; " +
		"`keygen repair --server-key FILE` mends it with the server's key file"
	mvExport = "PKCS #8, which has no place for the public value; " +
		"write a traditional DSA PRIVATE KEY from the numbers that ntp-keygen -d printed when it made the key"
)

// PrivateKey reads the file as a host or sign key.
func (f *KeyFile) PrivateKey() (PrivateKey, error) {
	if r := f.raw.rsa; r != nil {
		return NewRSAPrivateKey(r[0], r[1], r[2], r[3], r[4])
	}
	return newDSAPrivateKey(f.raw.p, f.raw.q, f.raw.g, f.raw.y, f.raw.x)
}

// IFFKey reads the file as the server's key of an IFF group: p, q, g and
// b as the private value. The public value is not needed.
func (f *KeyFile) IFFKey() (*identity.IFFKey, error) {
	r := f.raw
	if err := r.wantDSA("IFF"); err != nil {
		return nil, err
	}
	if r.x.Cmp(one) <= 0 {
		return nil, fmt.Errorf("%w: parameters for clients (ntp-keygen -e), not the server's IFF key", ErrIncomplete)
	}
	k := &identity.IFFKey{P: r.p, Q: r.q, G: r.g, B: r.x}
	return k, k.Validate()
}

// IFFParameters reads the file as a client's parameters of an IFF group:
// p, q, g and v as the public value. The server's own key file will do, since
// v follows from b; an export of ntp-keygen -e as PKCS #8 will not.
func (f *KeyFile) IFFParameters() (*identity.IFFParameters, error) {
	r := f.raw
	if err := r.wantDSA("IFF"); err != nil {
		return nil, err
	}
	p := &identity.IFFParameters{P: r.p, Q: r.q, G: r.g, V: r.y}
	if r.x.Cmp(one) <= 0 {
		// The public value that OpenSSL computes for an export, g^1, is what
		// such a file holds after a conversion.
		if r.y == nil || r.y.Cmp(r.g) == 0 {
			return nil, fmt.Errorf("%w: %s", ErrIncomplete, iffExport)
		}
		return p, p.Validate()
	}
	k := &identity.IFFKey{P: r.p, Q: r.q, G: r.g, B: r.x}
	if err := k.Validate(); err != nil {
		return nil, err
	}
	if r.y == nil || r.y.Cmp(new(big.Int).Exp(r.g, r.x, r.p)) == 0 {
		return k.Parameters(), nil
	}
	return p, p.Validate()
}

// gqFields are the values of a GQ file by their RSA names.
func (f *KeyFile) gqFields() (n, e, d, p, q *big.Int, err error) {
	r := f.raw.rsa
	if r == nil {
		return nil, nil, nil, nil, nil, fmt.Errorf("%w: a DSA key, GQ keys are RSA", ErrKeyType)
	}
	return r[0], r[1], r[2], r[3], r[4], nil
}

// GQKey reads the file as the server's key of a GQ group, in the arrangement
// of ntp-keygen (b as public exponent, 1 as private exponent) or in the one
// that ntpd 4.2.8p15 works with (u and b in their places). Both have u and v
// as primes; v u^b = 1 mod n tells which it is.
func (f *KeyFile) GQKey() (*identity.GQKey, error) {
	n, e, d, u, v, err := f.gqFields()
	if err != nil {
		return nil, err
	}
	if u.Cmp(one) <= 0 || v.Cmp(one) <= 0 {
		return nil, fmt.Errorf("%w: parameters for clients, not the server's GQ key", ErrIncomplete)
	}
	for _, k := range []*identity.GQKey{{N: n, B: e, U: u}, {N: n, B: d, U: u}, {N: n, B: d, U: e}} {
		if k.Validate() == nil && k.Public().Cmp(v) == 0 {
			return k, nil
		}
	}
	return nil, malformed("GQ values do not belong together in any known arrangement")
}

// gqParameters reads the file as a client's parameters of a GQ group: n and b.
// The server's own key file will do. The server's public value v comes with
// its certificate: see identity.GQParameters.WithPublic.
func (f *KeyFile) gqParameters() (*identity.GQParameters, error) {
	n, e, d, u, _, err := f.gqFields()
	if err != nil {
		return nil, err
	}
	if u.Cmp(one) > 0 {
		k, err := f.GQKey()
		if err != nil {
			return nil, err
		}
		return &identity.GQParameters{N: k.N, B: k.B}, nil
	}
	// ntpd 4.2.8p15 takes b from the private exponent, where ntp-keygen writes 1.
	b := d
	if d.Cmp(one) <= 0 {
		b = e
	}
	p := &identity.GQParameters{N: n, B: b}
	return p, p.Validate()
}

// mvKey reads the file as the server's key of an MV group: p, q, E as
// generator, gbar as private and ghat as public value.
func (f *KeyFile) mvKey() (*identity.MVKey, error) {
	r := f.raw
	if err := r.wantDSA("MV"); err != nil {
		return nil, err
	}
	if r.q.Cmp(one) <= 0 {
		return nil, fmt.Errorf("%w: a client's MV key, not the server's", ErrKeyType)
	}
	if r.y == nil {
		return nil, fmt.Errorf("%w: %s", ErrIncomplete, mvExport)
	}
	k := &identity.MVKey{P: r.p, Q: r.q, E: r.g, GBar: r.x, GHat: r.y}
	return k, k.Validate()
}

// MVParameters reads the file as one client's key of an MV group: p, 1, 1,
// xbar as private and xhat as public value.
func (f *KeyFile) MVParameters() (*identity.MVParameters, error) {
	r := f.raw
	if err := r.wantDSA("MV"); err != nil {
		return nil, err
	}
	if r.q.Cmp(one) != 0 {
		return nil, fmt.Errorf("%w: the server's MV key, not a client's", ErrKeyType)
	}
	if r.y == nil {
		return nil, fmt.Errorf("%w: %s", ErrIncomplete, mvExport)
	}
	p := &identity.MVParameters{P: r.p, XBar: r.x, XHat: r.y}
	return p, p.Validate()
}

func (r *rawKey) wantDSA(scheme string) error {
	if r.rsa != nil {
		return fmt.Errorf("%w: an RSA key, %s keys are DSA", ErrKeyType, scheme)
	}
	return nil
}
