//go:build linux

package rig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// serverName is the name in the rig's certificate.
const serverName = "server.ntpload.invalid"

// Files that both ends of the rig use, by their names in a server's directory.
const (
	keysFile = "keys"
	certFile = "server.crt"
	keyFile  = "server.key"
)

// material is keys and a certificate made for one comparison.
type material struct {
	keys, cert, key []byte
}

// newMaterial makes one symmetric key for each symmetric kind, with the
// identifier that the kind has, and a self-signed certificate.
func newMaterial() (*material, error) { return newMaterialOf("ecdsa") }

// CertificateKinds are the kinds of keys that a certificate can have here.
var CertificateKinds = []string{"ecdsa", "rsa2048", "rsa4096"}

// newMaterialOf is newMaterial with another kind of certificate.
func newMaterialOf(kind string) (*material, error) {
	var private crypto.Signer
	var err error
	switch kind {
	case "ecdsa":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa2048":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa4096":
		private, err = rsa.GenerateKey(rand.Reader, 4096)
	default:
		err = fmt.Errorf("certificate %q is none of %s", kind, strings.Join(CertificateKinds, ", "))
	}
	if err != nil {
		return nil, err
	}
	var keys strings.Builder
	for _, k := range Kinds {
		if k.keyID == 0 {
			continue
		}
		secret := make([]byte, k.keyLen)
		if _, err := rand.Read(secret); err != nil {
			return nil, err
		}
		fmt.Fprintf(&keys, "%d %s HEX:%s\n", k.keyID, k.chronyType, strings.ToUpper(hex.EncodeToString(secret)))
	}
	m := &material{keys: []byte(keys.String())}
	return m, m.certify(private, time.Now())
}

func (m *material) certify(private crypto.Signer, now time.Time) error {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: serverName},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		DNSNames:              []string{serverName},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	m.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	m.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return nil
}

// write puts the material into a directory.
func (m *material) write(dir string) error {
	for name, content := range map[string][]byte{keysFile: m.keys, certFile: m.cert, keyFile: m.key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
