package keyfile

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Kind is what a file of a key directory holds.
type Kind string

// The kinds.
const (
	KindHostKey     Kind = "host key"
	KindSignKey     Kind = "sign key"
	KindCertificate Kind = "certificate"
	KindIFFKey      Kind = "IFF server key"
	KindIFFGroup    Kind = "IFF group file"
	KindGQKey       Kind = "GQ server key"
	KindGQGroup     Kind = "GQ group file"
	KindMVAuthority Kind = "MV trusted authority"
	KindMVKey       Kind = "MV server key"
	KindMVGroup     Kind = "MV client key"
)

// label is line 1 of a file: "# ntpkey_IFFkey_grp.4004289237".
type label struct {
	name  string // "ntpkey_IFFkey_grp"
	kind  string // "IFFkey"
	owner string // "grp"
}

// readLabel reads what line 1 says. What is not there stays empty.
func readLabel(data []byte) label {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	text := strings.TrimSpace(strings.TrimLeft(string(line[:min(len(line), maxFirstLine)]), "# "))
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 || !strings.HasPrefix(text, "ntpkey_") {
		return label{}
	}
	l := label{name: text[:dot]}
	l.kind, l.owner, _ = strings.Cut(strings.TrimPrefix(l.name, "ntpkey_"), "_")
	return l
}

// forClients reports whether line 1 says that the file is for clients.
func (l label) forClients() bool { return strings.HasSuffix(l.kind, "par") }

// kindOf tells what the private keys of a file are, by their numbers and,
// where those allow several things, by line 1.
func kindOf(l label, keys []*rawKey) Kind {
	r := keys[0]
	if r.rsa != nil {
		return kindOfRSA(l, r.rsa)
	}
	two := new(big.Int).Rsh(r.p, 1)
	switch {
	case r.q.Cmp(one) == 0:
		return KindMVGroup
	case two.Cmp(r.q) == 0 && len(keys) > 1:
		return KindMVAuthority
	case two.Cmp(r.q) == 0:
		return KindMVKey
	case r.x.Cmp(one) <= 0:
		return KindIFFGroup
	case strings.HasPrefix(strings.ToLower(l.kind), "iff"):
		return KindIFFKey
	case strings.Contains(l.kind, "sign"):
		return KindSignKey
	}
	// A DSA key's public value is g^x, that of IFF its inverse.
	if r.y != nil && new(big.Int).Exp(r.g, r.x, r.p).Cmp(r.y) != 0 {
		return KindIFFKey
	}
	return KindSignKey
}

func kindOfRSA(l label, v []*big.Int) Kind {
	n, p, q := v[0], v[3], v[4]
	switch {
	case p.Cmp(one) == 0 && q.Cmp(one) == 0:
		return KindGQGroup
	case new(big.Int).Mul(p, q).Cmp(n) != 0:
		return KindGQKey
	case strings.Contains(l.kind, "sign"):
		return KindSignKey
	}
	return KindHostKey
}

// NeedsPassword reports whether a file has an encrypted private key.
func NeedsPassword(data []byte) bool {
	c, err := openContainer(data)
	if err != nil {
		return false
	}
	for _, b := range c.blocks {
		if encryptionOf(b) != "" {
			return true
		}
	}
	return false
}

// encryptionOf names the encryption of a PEM block; empty if there is none.
func encryptionOf(b *pem.Block) string {
	switch {
	case b.Type == typeEncryptedPKCS8:
		return pkcs8Encryption(b.Bytes)
	case strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED"):
		name, _, _ := strings.Cut(b.Headers["DEK-Info"], ",")
		return strings.ToLower(clip(strings.TrimSpace(name)))
	}
	return ""
}

// pkcs8Encryption names the encryption of PKCS #8: the cipher of PBES2, else the
// object identifier of the scheme.
func pkcs8Encryption(der []byte) string {
	var info, algorithm, params, scheme cryptobyte.String
	var id, kdf, cipher asn1.ObjectIdentifier
	input := cryptobyte.String(der)
	if !input.ReadASN1(&info, casn1.SEQUENCE) || !info.ReadASN1(&algorithm, casn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&id) {
		return "unknown"
	}
	var derivation cryptobyte.String
	if !id.Equal(oidPBES2) || !algorithm.ReadASN1(&params, casn1.SEQUENCE) ||
		!params.ReadASN1(&derivation, casn1.SEQUENCE) || !params.ReadASN1(&scheme, casn1.SEQUENCE) ||
		!derivation.ReadASN1ObjectIdentifier(&kdf) || !scheme.ReadASN1ObjectIdentifier(&cipher) {
		return "scheme " + clip(id.String())
	}
	name := clip(cipher.String())
	if c := cipherByOID(cipher); c != nil {
		name = c.name
	}
	if kdf.Equal(oidPBKDF2) {
		name += ", PBKDF2"
	}
	return name
}

// formOf names the form of a PEM block.
func formOf(b *pem.Block) string {
	switch b.Type {
	case typePKCS8, typeEncryptedPKCS8:
		return "PKCS #8"
	case typeRSA, typeDSA:
		return "traditional PEM"
	}
	return clip(b.Type)
}

// Owner returns the host or group that line 1 of a file names; empty if it
// names none.
func Owner(data []byte) string { return readLabel(data).owner }
