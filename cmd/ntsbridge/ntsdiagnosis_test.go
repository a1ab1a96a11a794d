package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/nke/pki"
	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
)

// diagnosed is something that goes wrong with NTS.
type diagnosed struct {
	name string
	// certificate makes the server's chain and key; nil: a sound one.
	certificate func(d *diagnosis, ip string) (chain []*x509.Certificate, key crypto.Signer)
	tls         func(*tls.Config) // changes the server's settings
	closed      bool              // nobody listens
	udp         bool              // keys are established, and only short packets come through
	taken       bool              // by ntsbridge's own client
	others      string            // what others do then; empty: they refuse it
	cause       string
	text        string // what query, log and authdata have in common
	check       string // grade and words of check on the server; empty: it cannot know
}

var diagnoses = []diagnosed{
	{name: "authority unknown to the client", certificate: func(d *diagnosis, ip string) ([]*x509.Certificate, crypto.Signer) {
		other := d.root("Somebody's authority", time.Now().AddDate(-1, 0, 0), time.Now().AddDate(1, 0, 0))
		return d.issue(other, ip, nil)
	}, cause: "unknown-authority", text: "which is not trusted here", check: "note: "},
	{name: "intermediate not sent", certificate: func(d *diagnosis, ip string) ([]*x509.Certificate, crypto.Signer) {
		chain, key := d.issue(d.between(time.Now().AddDate(1, 0, 0)), ip, nil)
		return chain[:1], key
	}, cause: "unknown-authority", text: "CN=test intermediate", check: "note: "},
	{name: "wrong order in the file", certificate: func(d *diagnosis, ip string) ([]*x509.Certificate, crypto.Signer) {
		by := d.between(time.Now().AddDate(1, 0, 0))
		chain, key := d.issue(by, ip, nil)
		return []*x509.Certificate{chain[0], d.good.Certificate, by.Certificate}, key
	}, taken: true, others: "also by chronyd 4.3 to 4.9, which sort it", check: "warning: "},
	{name: "the server's certificate ended", certificate: ended(func(d *diagnosis) *pki.Authority { return d.good }, true),
		cause: "certificate-expired", text: "expired on", check: "not served: "},
	{name: "the intermediate ended", certificate: ended(func(d *diagnosis) *pki.Authority {
		return d.between(time.Now().AddDate(0, 0, -2))
	}, false), cause: "certificate-expired", text: "expired on", check: "not served: "},
	{name: "the root ended", certificate: ended(func(d *diagnosis) *pki.Authority { return d.old }, false),
		cause: "certificate-expired", text: "expired on", check: "note: "},
	{name: "not valid yet, or the client's clock is behind", certificate: change(func(_ *diagnosis, c *x509.Certificate) {
		c.NotBefore = time.Now().AddDate(0, 1, 0)
	}), cause: "certificate-not-yet-valid", text: "is not valid before", check: "not served: "},
	{name: "another name", certificate: change(func(_ *diagnosis, c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = nil, []string{"time.example"}
	}), cause: "certificate-name", text: "is not for", check: ""},
	{name: "common name alone", certificate: change(func(_ *diagnosis, c *x509.Certificate) { c.IPAddresses = nil }),
		cause: "certificate-name", text: "none but the common name", check: "not served: "},
	{name: "address not among the alternative names", certificate: change(func(_ *diagnosis, c *x509.Certificate) {
		c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)}
	}), cause: "certificate-name", text: "is not for", check: ""},
	{name: "key usage without digitalSignature", certificate: change(func(_ *diagnosis, c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageKeyEncipherment
	}), taken: true, check: "not served: "},
	{name: "not for TLS servers", certificate: change(func(_ *diagnosis, c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}), cause: "certificate", text: "incompatible key usage", check: "not served: "},
	{name: "an authority's certificate as the server's", certificate: change(func(_ *diagnosis, c *x509.Certificate) {
		c.IsCA, c.KeyUsage = true, c.KeyUsage|x509.KeyUsageCertSign
	}), taken: true, check: "warning: "},
	{name: "RSA of 1024 bits", certificate: func(d *diagnosis, ip string) ([]*x509.Certificate, crypto.Signer) {
		key, err := rsa.GenerateKey(rand.Reader, 1024)
		d.must(err)
		return d.sign(d.good, serverTemplate(ip), key), key
	}, cause: "certificate", text: "1024 bits", check: "not served: "},
	{name: "TLS 1.2 at most", tls: func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 },
		cause: "tls-version", text: "does not speak TLS 1.3"},
	{name: "no ALPN, or another service", tls: func(c *tls.Config) { c.NextProtos = nil }, cause: "alpn", text: "ntske/1"},
	{name: "port closed", closed: true, cause: "tcp-refused", text: "refuse"},
	{name: "long packets dropped on the way", udp: true, cause: "size-filter", text: "up to 48 octets"},
}

// diagnosis is a site with a server for each of diagnoses.
type diagnosis struct {
	t         *testing.T
	dir       string
	port      string
	good, old *pki.Authority // trusted by the client; old has ended
}

func (d *diagnosis) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *diagnosis) key() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	d.must(err)
	return key
}

func authorityTemplate(name string, from, until time.Time) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign, SerialNumber: big.NewInt(time.Now().UnixNano())}
}

func (d *diagnosis) root(name string, from, until time.Time) *pki.Authority {
	t, key := authorityTemplate(name, from, until), d.key()
	return &pki.Authority{Certificate: d.create(t, t, key.Public(), key), Key: key}
}

// between is an intermediate authority below the good one.
func (d *diagnosis) between(until time.Time) *pki.Authority {
	key := d.key()
	t := authorityTemplate("test intermediate", time.Now().AddDate(-1, 0, 0), until)
	return &pki.Authority{Certificate: d.create(t, d.good.Certificate, key.Public(), d.good.Key), Key: key}
}

func (d *diagnosis) create(t, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, key)
	d.must(err)
	c, err := x509.ParseCertificate(der)
	d.must(err)
	return c
}

func serverTemplate(ip string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: ip}, SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore: time.Now().AddDate(0, -2, 0), NotAfter: time.Now().AddDate(0, 3, 0), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP(ip)}}
}

func (d *diagnosis) sign(by *pki.Authority, t *x509.Certificate, key crypto.Signer) []*x509.Certificate {
	chain := []*x509.Certificate{d.create(t, by.Certificate, key.Public(), by.Key)}
	if !bytes.Equal(by.Certificate.RawIssuer, by.Certificate.RawSubject) {
		chain = append(chain, by.Certificate)
	}
	return chain
}

func (d *diagnosis) issue(by *pki.Authority, ip string, change func(*x509.Certificate)) ([]*x509.Certificate, crypto.Signer) {
	t, key := serverTemplate(ip), d.key()
	if change != nil {
		change(t)
	}
	return d.sign(by, t, key), key
}

func change(how func(*diagnosis, *x509.Certificate)) func(*diagnosis, string) ([]*x509.Certificate, crypto.Signer) {
	return func(d *diagnosis, ip string) ([]*x509.Certificate, crypto.Signer) {
		return d.issue(d.good, ip, func(c *x509.Certificate) { how(d, c) })
	}
}

func ended(by func(*diagnosis) *pki.Authority, leaf bool) func(*diagnosis, string) ([]*x509.Certificate, crypto.Signer) {
	return func(d *diagnosis, ip string) ([]*x509.Certificate, crypto.Signer) {
		return d.issue(by(d), ip, func(c *x509.Certificate) {
			if leaf {
				c.NotAfter = time.Now().AddDate(0, 0, -2)
			}
		})
	}
}

// files writes a certificate and its key.
func (d *diagnosis) files(i int, chain []*x509.Certificate, key crypto.Signer) nke.Files {
	text, err := pki.KeyPEM(key)
	d.must(err)
	f := nke.Files{Certificate: filepath.Join(d.dir, fmt.Sprintf("%d.crt", i)), Key: filepath.Join(d.dir, fmt.Sprintf("%d.key", i))}
	d.must(os.WriteFile(f.Certificate, pki.PEM(chain...), 0o600))
	d.must(os.WriteFile(f.Key, text, 0o600))
	return f
}

// serve starts the server of a case at an address.
func (d *diagnosis) serve(c *diagnosed, i int, ip string) (files nke.Files) {
	make := c.certificate
	if make == nil {
		make = change(func(*diagnosis, *x509.Certificate) {})
	}
	chain, key := make(d, ip)
	files = d.files(i, chain, key)
	switch {
	case c.closed:
	case c.udp:
		d.establish(ip, files)
	default:
		settings := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{nts.ALPN},
			Certificates: []tls.Certificate{{PrivateKey: key}}}
		for _, x := range chain {
			settings.Certificates[0].Certificate = append(settings.Certificates[0].Certificate, x.Raw)
		}
		if c.tls != nil {
			c.tls(settings)
		}
		l, err := tls.Listen("tcp", net.JoinHostPort(ip, d.port), settings)
		d.must(err)
		d.t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					defer cancel()
					_ = conn.(*tls.Conn).HandshakeContext(ctx)
				}()
			}
		}()
	}
	return files
}

// establish serves keys, and behind them NTP in short packets only.
func (d *diagnosis) establish(ip string, files nke.Files) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)})
	d.must(err)
	d.t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var h ntp.Header
			if h.Decode(buf); n == ntp.HeaderLen {
				c.WriteToUDPAddrPort(timeOf(&h, 0), from)
			}
		}
	}()
	ke, err := nts.NewKEServer(nil, "", uint16(c.LocalAddr().(*net.UDPAddr).Port))
	d.must(err)
	secret, err := nts.NewSecret(rand.Reader, time.Now().Add(-24*time.Hour))
	d.must(err)
	ring, err := nts.NewRing(secret, nil, time.Hour, 2, time.Now())
	d.must(err)
	s, err := nke.Listen(nke.Config{Listen: []netip.AddrPort{netip.MustParseAddrPort(net.JoinHostPort(ip, d.port))},
		Certificates: []nke.Files{files}, KE: ke, Ring: func() *nts.Ring { return ring }})
	d.must(err)
	d.t.Cleanup(func() { s.Close() })
}

// TestNTSDiagnosis makes everything that goes wrong with NTS between real
// programs: query, a daemon with sources, and check on the server's side. The
// table of configs/NTS.md is what they said.
func TestNTSDiagnosis(t *testing.T) {
	probe, err := net.Listen("tcp", "127.0.0.20:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &diagnosis{t: t, dir: t.TempDir(), port: strconv.Itoa(probe.Addr().(*net.TCPAddr).Port)}
	probe.Close()
	year := func(n int) time.Time { return time.Now().AddDate(n, 0, 0) }
	d.good = d.root("test root", year(-1), year(1))
	d.old = d.root("test root of old", year(-3), time.Now().AddDate(0, 0, -2))
	trusted := filepath.Join(d.dir, "trusted.pem")
	d.must(os.WriteFile(trusted, pki.PEM(d.good.Certificate, d.old.Certificate), 0o600))

	yaml := "server: {listen: [\"127.0.0.1:65123\"]}\nnts: {enabled: false}\nclock: {mode: discipline}\nsources:\n"
	files := make([]nke.Files, len(diagnoses))
	for i := range diagnoses {
		ip := fmt.Sprintf("127.0.0.%d", 20+i)
		files[i] = d.serve(&diagnoses[i], i, ip)
		yaml += fmt.Sprintf("  - {server: %s, auth: nts, nts_port: %s, trusted_certificates: %q, minpoll: 0, maxpoll: 0}\n", ip, d.port, trusted)
	}
	var said needs.Log
	source := d.daemon(yaml, &said)
	var table strings.Builder
	for i := range diagnoses {
		d.judge(&table, i, trusted, files[i], source, &said)
	}
	d.document(table.String())
}

// daemon starts one that measures, and returns what authdata says of a source.
func (d *diagnosis) daemon(yaml string, said *needs.Log) func(name string) control.AuthData {
	cfg, err := config.Parse("sources.yaml", d.dir, []byte(yaml))
	d.must(err)
	cfg.StateDir, cfg.RunDir = filepath.Join(d.dir, "state"), filepath.Join(d.dir, "run")
	cfg.Server.Listen = config.ListenOn(netip.MustParseAddrPort("127.0.0.1:0"))
	cfg.Resolve(config.Environment{Hostname: "localhost"})
	b, err := bridge.Start(cfg, hclog.New(&hclog.LoggerOptions{Output: said}), bridge.Options{NoClock: true})
	d.must(err)
	d.t.Cleanup(func() { b.Close() })
	return func(name string) (found control.AuthData) {
		root := newRootCommand()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs([]string{"authdata", "--json", "--run-dir", cfg.RunDir})
		d.must(root.ExecuteContext(d.t.Context()))
		var list []control.AuthData
		d.must(json.Unmarshal(out.Bytes(), &list))
		for _, a := range list {
			if a.Name == name {
				return a
			}
		}
		d.t.Fatalf("authdata has no %s", name)
		return found
	}
}

// judge asks all four of a case and writes its row.
func (d *diagnosis) judge(table *strings.Builder, i int, trusted string, files nke.Files, source func(string) control.AuthData,
	said *needs.Log) {
	c, ip := &diagnoses[i], fmt.Sprintf("127.0.0.%d", 20+i)
	d.t.Run(c.name, func(t *testing.T) {
		cause, text := c.cause, c.text
		if c.taken {
			cause, text = "ke-closed", "TLS stood"
		}
		r := queryCause(t, "--auth", "nts", "--ca", trusted, "--timeout", "2s", net.JoinHostPort(ip, d.port))
		if string(r.Cause) != cause || !strings.Contains(r.Text, text) || r.Remedy == "" {
			t.Errorf("query: want %s, %q: %+v", cause, text, r)
		}
		if c.udp { // a daemon does not probe: TestTroubles has what it says
			d.row(table, c, &r, "")
			return
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			why := source(ip).Why
			logged := slices.ContainsFunc(strings.Split(said.String(), "\n"), func(line string) bool {
				return strings.Contains(line, ip) && strings.Contains(line, text)
			})
			if strings.Contains(why, text) && logged {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("authdata: %q; in the log: %v; want %q", why, logged, text)
			}
		}
		verdict := d.check(t, files)
		if c.check == "" && strings.HasPrefix(verdict, "note: ") { // which is of the sound ones, too
			verdict = ""
		}
		if c.check == "" && verdict != "" || !strings.HasPrefix(verdict, c.check) {
			t.Errorf("check: %q, want %q", verdict, c.check)
		}
		d.row(table, c, &r, verdict)
	})
}

// check is what check says on the server with these files.
func (d *diagnosis) check(t *testing.T, files nke.Files) string {
	t.Helper()
	cfg, err := config.Parse("server.yaml", d.dir, []byte(fmt.Sprintf("server: {listen: [\"127.0.0.1:65123\"]}\nclock: {mode: local}\n"+
		"nts: {listen: [\"127.0.0.1:65124\"], certificates: [{cert: %q, key: %q}]}\n", files.Certificate, files.Key)))
	if err != nil {
		t.Fatal(err)
	}
	cfg.StateDir, cfg.RunDir = filepath.Join(d.dir, "none"), filepath.Join(d.dir, "none")
	cfg.Resolve(config.Environment{Hostname: "localhost"})
	report := bridge.Check(cfg, "server.yaml", bridge.Options{}, true)
	var out bytes.Buffer
	if err := report.Findings.Write(&out, material.Note, material.Warning, material.NotServed, material.NoStart); err != nil {
		t.Fatal(err)
	}
	for _, grade := range []string{"error", "not served", "warning", "note"} {
		m := regexp.MustCompile(`(?m)^` + grade + `: .*nts\.certificates\[0\][^:]*: (.*)`).FindStringSubmatch(out.String())
		if m != nil {
			return grade + ": " + steadyDiagnosis(m[1], d.dir)
		}
	}
	return ""
}

// steadyDiagnosis takes out of a text what differs from run to run.
func steadyDiagnosis(text, dir string) string {
	text = strings.ReplaceAll(text, dir+"/", "")
	text = regexp.MustCompile(`\b\d+\.(crt|key)\b`).ReplaceAllString(text, "server.$1")
	text = regexp.MustCompile(`127\.0\.0\.\d+(:\d+)?`).ReplaceAllString(text, "SERVER")
	text = regexp.MustCompile(`\b20\d\d-\d\d-\d\d([T ]\d\d:\d\d:\d\dZ?( UTC)?)?`).ReplaceAllString(text, "DATE")
	text = regexp.MustCompile(`port \d+`).ReplaceAllString(text, "port 4460")
	return strings.ReplaceAll(text, "|", "/")
}

func (d *diagnosis) row(table *strings.Builder, c *diagnosed, r *queryJSON, verdict string) {
	cell := func(text string) string {
		if text = steadyDiagnosis(text, d.dir); text == "" {
			return "-"
		}
		return text
	}
	seen, remedy := fmt.Sprintf("`%s`: %s", r.Cause, strings.TrimPrefix(cell(r.Text), "NTS-KE with SERVER: ")), cell(r.Remedy)
	if c.taken {
		seen, remedy = "taken by ntsbridge; "+cmp.Or(c.others, "others refuse it"), "on the server"
	}
	fmt.Fprintf(table, "| %s | %s | %s | %s |\n", c.name, seen, remedy, cell(verdict))
}

// document holds the table of the documentation to what was seen.
func (d *diagnosis) document(rows string) {
	d.t.Helper()
	const file, head, tail = "../../configs/NTS.md", "<!-- diagnosis -->\n", "<!-- end of diagnosis -->\n"
	text, err := os.ReadFile(file)
	d.must(err)
	before, rest, found := strings.Cut(string(text), head)
	have, after, closed := strings.Cut(rest, tail)
	if !found || !closed {
		d.t.Fatalf("%s has no place for the table", file)
	}
	want := "| what is wrong | what `query`, the log and `authdata -v` say | what to do | what `check` says on the server |\n|---|---|---|---|\n" + rows
	if os.Getenv("NTSBRIDGE_UPDATE") == "1" && !d.t.Failed() {
		d.must(os.WriteFile(file, []byte(before+head+want+tail+after), 0o644))
		return
	}
	if have != want {
		d.t.Errorf("%s says\n%s\nand seen was\n%s", file, have, want)
	}
}
