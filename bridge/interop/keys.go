package interop

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Symmetric keys of the tests: one file for ntpd, the same for ntpsec (which
// calls AES128CMAC AES), the same for chrony.
const (
	ntpKeys = `1 MD5 sooth2Fairy
2 SHA1 0f1e2d3c4b5a69788796a5b4c3d2e1f00112233a
3 AES128CMAC 00112233445566778899aabbccddeeff
`
	chronyKeys = `1 MD5 ASCII:sooth2Fairy
2 SHA1 HEX:0f1e2d3c4b5a69788796a5b4c3d2e1f00112233a
3 AES128 HEX:00112233445566778899aabbccddeeff
`
)

// ntpsecKeys are ntpKeys in ntpsec's spelling.
var ntpsecKeys = strings.ReplaceAll(ntpKeys, "AES128CMAC", "AES")

// wrongNTPKeys have the same identifiers and types, and other secrets.
var wrongNTPKeys = strings.NewReplacer("sooth", "tooth", "0f1e", "1f1e", "0011", "1011").Replace(ntpKeys)

// Password of the server's and of the clients' Autokey files.
const (
	serverPassword = "serverpw"
	clientPassword = "clientpw"
)

// keygen runs the real ntp-keygen in the folder autokey of the host and
// returns what it printed.
func keygen(h *Host, args ...string) string {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Join(h.Dir, "autokey"), 0o700); err != nil {
		h.t.Fatal(err)
	}
	p := NTPKeygen
	p.Dir = "autokey"
	cmd := h.command(context.Background(), p, args)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := h.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		h.t.Fatalf("ntp-keygen on %s: %v\n%s", h.Name, err, out.String())
	}
	return out.String()
}

// Group is the public part of an IFF group key, and the filestamp of its file.
type Group struct {
	P, Q, G, V *big.Int
	Filestamp  string
}

// autokeyServer makes a trusted host with an IFF group key; more are further
// arguments of ntp-keygen.
func autokeyServer(h *Host, more ...string) Group {
	h.t.Helper()
	g, err := groupOf(keygen(h, append([]string{"-d", "-p", serverPassword, "-T", "-I", "-b", "512"}, more...)...))
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

var filestamp = regexp.MustCompile(`ntpkey_IFFkey_\S+\.(\d+)`)

// groupOf reads the group key that ntp-keygen -d prints when it makes one. It
// is the only place where ntp-keygen gives the public value away: the file it
// exports by -e has none, and what ntpd computes instead is wrong.
func groupOf(printed string) (Group, error) {
	at := filestamp.FindStringSubmatchIndex(printed)
	if at == nil {
		return Group{}, fmt.Errorf("ntp-keygen made no IFF key:\n%s", printed)
	}
	values := map[string]*big.Int{}
	var name, digits string
	lines := bufio.NewScanner(strings.NewReader(printed[at[1]:]))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "    ") && name != "" {
			digits += strings.ReplaceAll(strings.TrimSpace(line), ":", "")
			continue
		}
		if b, err := hex.DecodeString(digits); err == nil && name != "" {
			values[name] = new(big.Int).SetBytes(b)
		}
		name, digits = "", ""
		if label, rest, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(rest) == "" {
			name = label
		}
		if strings.HasPrefix(line, "Generating") {
			break
		}
	}
	g := Group{values["P"], values["Q"], values["G"], values["pub"], printed[at[2]:at[3]]}
	if g.P == nil || g.Q == nil || g.G == nil || g.V == nil {
		return Group{}, fmt.Errorf("ntp-keygen -d did not print the IFF key:\n%s", printed)
	}
	return g, nil
}

// File returns the client's group file in the traditional form of a DSA key,
// the only one whose public value ntpd 4.2.8 keeps.
func (g Group) File(ident string) string {
	der, err := asn1.Marshal([]*big.Int{big.NewInt(0), g.P, g.Q, g.G, g.V, big.NewInt(1)})
	if err != nil {
		panic(err) // six integers
	}
	return fmt.Sprintf("# ntpkey_iffpar_%s.%s\n# group file of a client\n\n%s", ident, g.Filestamp,
		pem.EncodeToMemory(&pem.Block{Type: "DSA PRIVATE KEY", Bytes: der}))
}

// authority is a certificate authority for NTS-KE.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return &authority{t, key, cert}
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// issue writes NAME.crt and NAME.key to the host's scratch directory, valid
// until the given time.
func (a *authority) issue(h *Host, name string, until time.Time) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		DNSNames: []string{name}, IPAddresses: []net.IP{h.IPv4.AsSlice(), h.IPv6.AsSlice()},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	h.Write(name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	h.Write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}
