package interop

import (
	"fmt"
	"path/filepath"
	"testing"
)

// startAutokeyBridge starts ntsbridge as a server of Autokey clients alone,
// with the files in the folder autokey.
func startAutokeyBridge(h *Host) *Daemon {
	h.t.Helper()
	file, err := build()
	if err != nil {
		h.t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(h.Dir, name) }
	h.Write("ntsbridge.yaml", fmt.Sprintf(`server:
  listen: ["0.0.0.0:123", "[::]:123"]
clock:
  mode: local
  stratum: 3
autokey:
  enabled: true
  keysdir: %q
  host: %s
  password_file: %q
nts:
  enabled: false
`, path("autokey"), h.Name, path("password")))
	return h.Start("ntsbridge", Program{Path: file}, "serve", "-c", path("ntsbridge.yaml"),
		"--state-dir", path("state"), "--run-dir", path("run"))
}

// TestEverySchemeServed lets ntsbridge serve a real ntpd in every identity
// scheme, up to the last flag.
func TestEverySchemeServed(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("the server is ntsbridge; real daemons on both sides are in TestKeygenFilesLoad")
	}
	n := NewNetwork(t)
	servers, clients := map[string]*Host{}, map[string]*Host{}
	for _, p := range keygenPairs {
		servers[p.name], clients[p.name] = n.Host("s"+p.name), n.Host("c"+p.name)
	}
	n.Names()
	var good []Condition
	for _, p := range keygenPairs {
		p.makeServer(servers[p.name])
		startAutokeyBridge(servers[p.name])
	}
	for _, p := range keygenPairs {
		good = append(good, p.startClient(clients[p.name], servers[p.name]))
	}
	Await(t, limit, good...)
}
