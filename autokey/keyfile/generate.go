package keyfile

import (
	"fmt"
	"io"
	"math/big"
	"strings"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/internal/primes"
)

// Sizes of new host and sign keys, bits. OpenSSL 1.1 makes nothing smaller,
// and ntpd's packets hold nothing larger.
const (
	minNewBits = 512
	MaxNewBits = 4096
)

// rsaExponent is the public exponent of new RSA keys.
const rsaExponent = 65537

func checkNewBits(bits int) error {
	if bits < minNewBits || bits > MaxNewBits {
		return unsupported("new key of %d bits, want %d to %d", bits, minNewBits, MaxNewBits)
	}
	return nil
}

// GenerateRSA makes an RSA key whose modulus has the given length.
func GenerateRSA(rand io.Reader, bits int, progress identity.Progress) (*RSAPrivateKey, error) {
	if err := checkNewBits(bits); err != nil {
		return nil, err
	}
	e := big.NewInt(rsaExponent)
	p, err := rsaPrime(rand, (bits+1)/2, e, progress)
	if err != nil {
		return nil, err
	}
	for {
		q, err := rsaPrime(rand, bits/2, e, progress)
		if err != nil {
			return nil, err
		}
		// Primes close to each other give the factors away (FIPS 186-4,
		// appendix B.3.3).
		if new(big.Int).Sub(p, q).BitLen() <= bits/2-100 {
			continue
		}
		if p.Cmp(q) < 0 {
			p, q = q, p
		}
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		return NewRSAPrivateKey(new(big.Int).Mul(p, q), e, new(big.Int).ModInverse(e, phi), p, q)
	}
}

// rsaPrime returns a prime that goes with the exponent.
func rsaPrime(rand io.Reader, bits int, e *big.Int, progress identity.Progress) (*big.Int, error) {
	for {
		p, err := primes.Prime(rand, bits, searching(progress, "RSA"))
		if err != nil {
			return nil, err
		}
		if new(big.Int).Mod(new(big.Int).Sub(p, one), e).Sign() != 0 {
			return p, nil
		}
	}
}

// GenerateDSA makes a DSA key whose modulus has the given length; the order
// has 160 bits up to a modulus of 1024, 256 above.
func GenerateDSA(rand io.Reader, bits int, progress identity.Progress) (*DSAPrivateKey, error) {
	if err := checkNewBits(bits); err != nil {
		return nil, err
	}
	order := 160
	if bits > 1024 {
		order = 256
	}
	g, err := primes.NewGroup(rand, bits, order, searching(progress, "DSA"))
	if err != nil {
		return nil, err
	}
	x, err := primes.Below(rand, g.Q)
	if err != nil {
		return nil, err
	}
	return newDSAPrivateKey(g.P, g.Q, g.G, nil, x)
}

func searching(p identity.Progress, what string) primes.Progress {
	if p == nil {
		return nil
	}
	return func(tried int) { p(what, tried) }
}

// schemeNames are OpenSSL's further names of the digests that a certificate
// can be made with, beside those that NID.Scheme gives.
var schemeNames = map[string]NID{
	"md4": RSAMD4, "md5": RSAMD5, "ssl3-md5": RSAMD5, "md5withrsa": RSAMD5,
	"sha1": RSASHA1, "ssl3-sha1": RSASHA1, "rsa-sha1-2": RSASHA1, "sha1withrsa": RSASHA1,
	"ripemd160": RSARIPEMD160, "ripemd": RSARIPEMD160, "rmd160": RSARIPEMD160,
	"sha224": RSASHA224, "sha256": RSASHA256, "sha384": RSASHA384, "sha512": RSASHA512,
}

// FindScheme returns the signature algorithm for what ntp-keygen -c takes: the
// name of a scheme with RSA or of a bare digest, in either case. For a DSA key
// the algorithm with the same digest is returned; DSA's own schemes are known
// too. The error is ErrAlgorithm.
func FindScheme(name string, key PublicKey) (NID, error) {
	nid := schemeByName(name)
	if nid == 0 {
		return 0, fmt.Errorf("%w: scheme %q; want RSA-MD5, RSA-SHA1, RSA-SHA256, RSA-SHA384, RSA-SHA512, RSA-SHA224, RSA-RIPEMD160 "+
			"or RSA-MD4", ErrAlgorithm, clip(name))
	}
	if nid.find().family == key.family() {
		return nid, nil
	}
	if key.family() == familyRSA {
		return 0, fmt.Errorf("%w: scheme %q needs a DSA sign key (-S DSA)", ErrAlgorithm, clip(name))
	}
	switch nid {
	case RSASHA1:
		return DSASHA1, nil
	case RSASHA224:
		return DSASHA224, nil
	case RSASHA256:
		return DSASHA256, nil
	}
	return 0, fmt.Errorf("%w: scheme %q does not go with a DSA sign key; want SHA1, SHA224 or SHA256", ErrAlgorithm, clip(name))
}

// CertificateScheme returns the scheme in the name of a certificate file: also
// certificates with DSA carry the RSA scheme of the digest there.
func CertificateScheme(nid NID) string {
	switch nid {
	case DSASHA1, DSASHA1Old, RSASHA1Old:
		return RSASHA1.Scheme()
	case DSASHA224:
		return RSASHA224.Scheme()
	case DSASHA256:
		return RSASHA256.Scheme()
	}
	return nid.Scheme()
}

// schemeByName finds a signature algorithm by any of OpenSSL's names, in
// either case; 0 if there is none that can be computed.
func schemeByName(name string) NID {
	lower := strings.ToLower(name)
	if nid, ok := schemeNames[lower]; ok {
		return nid
	}
	for _, a := range algorithms {
		if a.hash != nil && (strings.ToLower(a.scheme) == lower || strings.ToLower(a.name) == lower) {
			return a.nid
		}
	}
	return 0
}
