package nke

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// selfSignedYears is how long a self-made certificate lives. Nobody renews it
// but a person who then has to carry it to every client, so it has to last as
// long as the machines do; there is no authority behind it that a shorter life
// would protect.
const selfSignedYears = 10

// NewKey makes an ECDSA P-256 key, which every NTS client knows, as the text of
// a PEM file.
func NewKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("nke: private key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("nke: private key: %w", err)
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// NewSelfSigned makes a self-signed certificate for host names and IP addresses
// with a private key, both the texts of PEM files. It is not an authority:
// clients that trust it trust nothing else.
//
// It is valid from a year before now, since clients whose clock is behind are
// those that need it.
func NewSelfSigned(keyText []byte, names []string, now time.Time) ([]byte, error) {
	key, err := parseKey(keyText)
	if err != nil {
		return nil, err
	}
	template, err := selfSignedTemplate(names, now)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("nke: self-signed certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// parseKey reads a private key as NewKey makes it.
func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("nke: private key: no PEM block in it: move the file away")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("nke: private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("nke: private key cannot sign")
	}
	return signer, nil
}

func selfSignedTemplate(names []string, now time.Time) (*x509.Certificate, error) {
	if len(names) == 0 {
		return nil, errors.New("nke: self-signed certificate needs a host name or address")
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("nke: self-signed certificate: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: names[0], Organization: []string{"ntsbridge self-made certificate"}},
		NotBefore:             now.AddDate(-1, 0, 0),
		NotAfter:              now.AddDate(selfSignedYears, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
			continue
		}
		if !hostName(name) {
			return nil, fmt.Errorf("nke: self-signed certificate: %q is neither a host name nor an IP address", name)
		}
		t.DNSNames = append(t.DNSNames, name)
	}
	if len(names[0]) > 64 { // the longest common name (RFC 5280, appendix A.1)
		t.Subject.CommonName = ""
	}
	return t, nil
}

// hostName reports whether name consists of letters, digits, hyphens and dots.
func hostName(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	for _, c := range []byte(name) {
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return name[0] != '-' && name[0] != '.'
}
