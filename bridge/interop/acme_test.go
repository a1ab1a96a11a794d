package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/nke/pki"
)

// acmeTool is a program of Let's Encrypt's testing, built by the go command from
// the module proxy, once.
func acmeTool(t *testing.T, name string) Program {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "ntsbridge-test", "v2.10.3", name)
	if _, err := os.Stat(path); err == nil {
		return Program{Path: path}
	}
	cmd := exec.Command("go", "install", "github.com/letsencrypt/pebble/v2/cmd/"+name+"@v2.10.3")
	cmd.Dir = os.TempDir() // in no module
	cmd.Env = append(os.Environ(), "GOBIN="+filepath.Dir(path), "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		needs.Missing(t, "%s cannot be built: %v: %s", name, err, out)
	}
	return Program{Path: path}
}

// startAuthority runs an ACME server on a host, and a name server that knows one
// address for all names; bundle is what its own certificate is trusted by.
func startAuthority(t *testing.T, h *Host, everybody string) (directory, bundle string) {
	t.Helper()
	names := acmeTool(t, "pebble-challtestsrv")
	program := acmeTool(t, "pebble")
	text, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := pki.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	root, err := pki.NewRoot("test authority", key, 0, time.Now(), 30)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := root.Issue(&pki.Server{Names: []string{h.IPv4.String()}, Days: 30, Before: time.Hour}, key.Public(), true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	config, _ := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": "0.0.0.0:14000", "managementListenAddress": "0.0.0.0:15000",
		"certificate": filepath.Join(h.Dir, "own.crt"), "privateKey": filepath.Join(h.Dir, "own.key"), "httpPort": 80, "tlsPort": 443,
		"profiles": map[string]any{"default": map[string]any{"description": "the one", "validityPeriod": 86400}}}})
	h.Write("own.crt", string(pki.PEM(chain...)))
	h.Write("own.key", string(text))
	h.Write("pebble.json", string(config))
	h.Start("names", names, "-dnsserver", ":8053", "-management", ":8055", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
		"-defaultIPv4", everybody, "-defaultIPv6", "")
	h.Start("pebble", Program{Path: "/usr/bin/env"}, "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", program.Path,
		"-config", filepath.Join(h.Dir, "pebble.json"), "-dnsserver", "127.0.0.1:8053")
	return fmt.Sprintf("https://%s:14000/dir", h.IPv4), string(pki.PEM(root.Certificate))
}

// ntsView is what ntsbridge nts --json prints, as far as it is read here.
type ntsView struct {
	Certificates []struct {
		Issuer string `json:"issuer"`
	} `json:"certificates"`
	ACME struct {
		Error   string `json:"error"`
		Waiting bool   `json:"waiting"`
	} `json:"acme"`
}

// TestACMENetwork is the life of a certificate that a real ACME server gives, in
// a network of its own: nothing is asked for until the clock is right; then a
// real chronyd gets NTS by it. Revoked and deleted it is replaced. While the
// authority cannot be reached what is there stays in use.
func TestACMENetwork(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("the server is ntsbridge's")
	}
	n := NewNetwork(t)
	authority, clock, server, client := n.Host("authority"), n.Host("clock"), n.Host("tick.example"), n.Host("client")
	n.Names()
	directory, bundle := startAuthority(t, authority, server.IPv4.String())
	server.Write("bundle.pem", bundle)
	f := startFollower(server, fmt.Sprintf(`log: {level: debug}
clock: {mode: discipline}
sources: [{server: %s, minpoll: 0, maxpoll: 1, iburst: true}]
nts:
  acme: {directory: %q, names: [tick.example], ca_bundle: %q, listen: ["0.0.0.0:80"]}
`, clock.IPv4, directory, filepath.Join(server.Dir, "bundle.pem")))
	view := func(what string, ok func(ntsView) bool) Condition {
		return Condition{what, func() error {
			var v ntsView
			if err := f.ask(&v, "nts"); err != nil {
				return err
			}
			if !ok(v) {
				return fmt.Errorf("%+v", v)
			}
			return nil
		}}
	}
	command := func(p Program, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		if out, err := server.Output(ctx, p, args...); err != nil {
			t.Fatal(out, err)
		}
	}
	reload := func() { command(f.program, "reload", "--run-dir", filepath.Join(server.Dir, "run")) }
	served := func(v ntsView) bool {
		return len(v.Certificates) == 1 && strings.Contains(v.Certificates[0].Issuer, "Pebble")
	}
	Await(t, chaosLimit, view("it waits for the clock", func(v ntsView) bool { return v.ACME.Waiting && !served(v) }))

	startChronyd(clock)
	Await(t, chaosLimit, view("a certificate", served))
	roots, err := pebbleRoots(authority, bundle)
	if err != nil {
		t.Fatal(err)
	}
	good := chronyNTSClient(client, Chronyd46, server.Name, roots, 30, 128)
	Await(t, chaosLimit, good.Condition())

	// The authority cannot be reached: what is asked for fails, what is there stays.
	file := filepath.Join(server.Dir, "state", "acme.crt")
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	command(Program{Path: "/sbin/ip"}, "route", "add", "unreachable", authority.IPv4.String())
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	reload()
	Await(t, chaosLimit, view("a failure", func(v ntsView) bool { return v.ACME.Error != "" && served(v) }))
	good.Stop()
	Await(t, chaosLimit, chronyNTSClient(client, Chronyd46, server.Name, roots, 30, 128).Condition())

	// It can: whoever reloads does not wait.
	command(Program{Path: "/sbin/ip"}, "route", "del", "unreachable", authority.IPv4.String())
	reload()
	Await(t, chaosLimit, view("it is replaced", func(v ntsView) bool {
		text, err := os.ReadFile(file)
		return err == nil && !bytes.Equal(text, first) && v.ACME.Error == "" && served(v)
	}))
}

// pebbleRoots asks the ACME server for what its certificates are trusted by.
func pebbleRoots(h *Host, bundle string) (roots string, err error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(bundle))
	err = h.Do(func() error {
		conn, err := tls.Dial("tcp", h.IPv4.String()+":15000", &tls.Config{RootCAs: pool})
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /roots/0 HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(answer.Body)
		roots = string(text)
		return err
	})
	return roots, err
}
