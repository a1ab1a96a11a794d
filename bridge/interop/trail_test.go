package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// startGateway starts ntsbridge as a client of tick with Autokey and as a
// server of Autokey clients, with a certificate of its own that nobody trusts
// before tick has signed it.
func startGateway(t *testing.T, h *Host, server, group string) *Daemon {
	t.Helper()
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	keygen(h, "-p", serverPassword)
	h.Write("password", serverPassword+"\n")
	h.Write("keys", ntpKeys)
	h.Write("autokey/ntpkey_iffpar_"+server, group)
	path := func(name string) string { return filepath.Join(h.Dir, name) }
	h.Write("ntsbridge.yaml", fmt.Sprintf(`server:
  listen: ["0.0.0.0:123", "[::]:123"]
clock:
  mode: local
  stratum: 4
keys:
  files:
    - path: %q
  trusted: [all]
autokey:
  enabled: true
  keysdir: %q
  host: %s
  password_file: %q
nts:
  enabled: false
sources:
  - server: %s
    auth: autokey
    ident: %s
    iburst: true
    minpoll: 3
    maxpoll: 3
`, path("keys"), path("autokey"), h.Name, path("password"), server, server))
	return h.Start("ntsbridge", Program{Path: file}, "serve", "-c", path("ntsbridge.yaml"),
		"--state-dir", path("state"), "--run-dir", path("run"))
}

// TestLinkOfATrail puts ntsbridge between a real ntpd, whose client it is, and
// a real ntpd that is its client: by IFF it believes the one, which signs its
// certificate, and so the other can follow the trail to a trusted root. What
// ntsbridge thinks of its server is asked by the real ntpq.
func TestLinkOfATrail(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("loud: this test is about ntsbridge as a client; it does not run with peers as stand-ins")
	}
	n := NewNetwork(t)
	tick, gate, leaf := n.Host(serverName), n.Host("gate"), n.Host("leaf")
	n.Names()
	tick.Write("keys", ntpKeys)
	group := autokeyServer(tick).File(serverName)
	startNTPD(tick)
	startGateway(t, gate, serverName, group)
	client := ntpdAutokeyClient(leaf, gate.Name, "", "")
	Await(t, limit,
		Condition{"gate", func() error { return associationGood(gate, "ok", flagsIFF) }},
		Condition{"leaf", client.Good},
		Condition{"certificates", func() error { return ntpqShows(gate, "rv 0 cert", `cert="gate tick 0x`, `cert="tick tick 0x5"`) }},
		Condition{"trail", func() error { return ntpqShows(leaf, "rv 0 cert", `cert="gate tick 0x`, `cert="tick tick 0x5"`) }},
	)
}

// ntpqShows asks the host's daemon by the real ntpq and wants all the words.
func ntpqShows(h *Host, command string, words ...string) error {
	out, err := ntpq(h, "127.0.0.1", command)
	if err != nil {
		return err
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			return fmt.Errorf("ntpq -c %q on %s does not show %s:\n%s", command, h.Name, w, out)
		}
	}
	return nil
}
