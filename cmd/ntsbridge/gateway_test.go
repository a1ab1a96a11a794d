package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// certify writes NAME.pem and NAME.key, signed by parent or by itself.
func (s *steered) certify(name string, serial int64, parent *x509.Certificate,
	by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true}
	switch name {
	case "ca":
		c.IsCA, c.KeyUsage, parent, by = true, x509.KeyUsageCertSign, c, key
	case "gateway":
		c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	default:
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	return signed, key
}

// plain runs a program in the site's directory and returns what it printed.
func (s *steered) plain(program string, args ...string) string {
	cmd := exec.Command(program, args...)
	cmd.Dir = s.dir
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// The commands and curl ask a daemon in its sandbox over HTTPS, by a token and
// by a certificate; a role keeps what it does not have, the history says who,
// and a reload over the API takes a token away.
func TestGateway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	s := newSteered(t, fmt.Sprintf("fleet: {enabled: true}\napi: {listen: [%q], certificate: gateway.pem, key: gateway.key, "+
		"clients_ca: ca.pem, writers: [operator], tokens: tokens}\n", address))
	ca, key := s.certify("ca", 1, nil, nil)
	s.certify("gateway", 2, ca, key)
	s.certify("operator", 3, ca, key)
	token := func(name, role string) {
		s.write(name+".token", s.plain(s.program, "secret", "token", "--name", name, "--role", role, "--file", "tokens"))
	}
	token("reader", "read")
	token("writer", "write")
	s.write("fleet.yaml", labGates+"groups: [{name: lab, prefixes: [10.0.0.0/8], stages: {none: refuse}}]\n")
	s.start()
	ask := func(as string, args ...string) string {
		all := append(args, "--gateway", "https://"+address, "--api-ca", "ca.pem")
		if as == "operator" {
			all = append(all, "--api-cert", "operator.pem", "--api-key", "operator.key")
		} else {
			all = append(all, "--token-file", as+".token")
		}
		return s.plain(s.program, all...)
	}
	want := func(got, text string) {
		t.Helper()
		if !strings.Contains(got, text) {
			t.Errorf("%q is not in:\n%s", text, got)
		}
	}
	want(ask("reader", "serverstats"), "NTP packets received")
	want(ask("reader", "clients", "--json"), "[")
	if out := ask("reader", "fleet", "diff", "fleet.yaml"); strings.Contains(out, "may read") || strings.Contains(out, "ntsbridge:") {
		t.Errorf("diff: %s", out)
	}
	want(ask("reader", "fleet", "apply", "fleet.yaml"), "may read")
	ask("writer", "fleet", "apply", "fleet.yaml")
	ask("operator", "fleet", "hold", "lab", "--reason", "lunch")
	history := ask("reader", "fleet", "history")
	want(history, "token writer (127.0.0.1)")
	want(history, "certificate operator (127.0.0.1)")
	// What is read elsewhere reads as it does here, but for numbers, which move.
	moving := regexp.MustCompile(`[-+]?[0-9][-0-9.:T]*Z?( ?(ns|us|ms|s|m|h|d)\b)?`)
	for _, line := range []string{"status", "status --json", "tracking", "sources", "sources --select", "sourcestats", "authdata",
		"serverstats", "nts", "clients", "clients --json", "clients --site", "keys", "keys --json", "summary", "summary --json",
		"fleet status",
		"fleet history", "fleet report"} {
		args := strings.Fields(line)
		there := ask("reader", args...)
		here := s.plain(s.program, append(args, "-c", "site.yaml")...)
		if a, b := moving.ReplaceAllString(there, "#"), moving.ReplaceAllString(here, "#"); a != b {
			t.Errorf("%s: at the gateway\n%sand here\n%s", line, there, here)
		}
	}
	want(ask("reader", "reload"), "may read")
	url := "https://" + address + "/v1/status"
	want(s.plain("curl", "-s", "--cacert", "ca.pem", "--cert", "operator.pem", "--key", "operator.key", url), `"stratum"`)
	want(s.plain("curl", "-si", "--cacert", "ca.pem", url), "401 Unauthorized")
	s.write("other.token", "ntsb_0\n")
	want(ask("other", "status"), "does not know who asks")
	want(s.plain(s.program, "status", "--gateway", "https://"+address, "--token-file", "reader.token"), "--api-ca")
	want(s.plain(s.program, "status", "--gateway", "https://"+address), "--token-file")

	s.write("tokens", strings.Split(s.plain("cat", filepath.Join(s.dir, "tokens")), "\n")[1]+"\n") // the writer's
	if out := ask("writer", "reload"); strings.Contains(out, "ntsbridge:") {
		t.Fatal(out)
	}
	want(ask("reader", "status"), "does not know who asks")
	s.write("gateway.pem", "broken")
	want(ask("writer", "reload"), "api.certificate")
	want(ask("writer", "serverstats"), "NTP packets received")
	for _, name := range []string{"reader", "writer"} {
		if secret := strings.TrimSpace(s.plain("cat", name+".token")); strings.Contains(s.log(), secret) || len(secret) < 64 {
			t.Errorf("the token of %s is in the log, or none: %q", name, secret[:min(len(secret), 4)])
		}
	}
}
