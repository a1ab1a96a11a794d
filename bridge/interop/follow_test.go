package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// followed is a line of ntsbridge sources --json.
type followed struct {
	Name     string  `json:"name"`
	State    string  `json:"state"`
	Stratum  int     `json:"stratum"`
	Reach    int     `json:"reach"`
	Offset   float64 `json:"offset"`
	Measured float64 `json:"measured_offset"`
	Error    float64 `json:"error"`
	Why      string  `json:"why"`
}

// credential is a line of ntsbridge authdata --json.
type credential struct {
	Name      string `json:"name"`
	Mode      string `json:"mode"`
	KeyID     int    `json:"key_id"`
	Type      int    `json:"type"`
	KeyLength int    `json:"key_length"`
	Cookies   int    `json:"cookies"`
	NAKs      int    `json:"naks"`
}

// follower is an ntsbridge that follows sources, and sets no clock.
type follower struct {
	*Daemon
	program Program
}

func startFollower(h *Host, yaml string) *follower {
	h.t.Helper()
	file, err := build()
	if err != nil {
		h.t.Fatal(err)
	}
	h.Write("ntsbridge.yaml", yaml)
	f := &follower{program: Program{Path: file}}
	f.Daemon = h.Start("ntsbridge", f.program, "serve", "--no-clock", "-c", filepath.Join(h.Dir, "ntsbridge.yaml"),
		"--state-dir", filepath.Join(h.Dir, "state"), "--run-dir", filepath.Join(h.Dir, "run"))
	return f
}

// ask runs a command that asks the daemon, and reads its JSON.
func (f *follower) ask(into any, command string, args ...string) error {
	if err := f.Alive(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	args = append([]string{command, "--json", "--run-dir", filepath.Join(f.Host.Dir, "run")}, args...)
	out, err := f.Host.Output(ctx, f.program, args...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), into)
}

// state is the condition that a source is in a state; if it is followed, with an
// offset that is no lie (a busy machine may take a second for an exchange).
func (f *follower) state(name, state string) Condition {
	return Condition{name + " " + state, func() error {
		var list []followed
		if err := f.ask(&list, "sources"); err != nil {
			return err
		}
		for _, s := range list {
			if s.Name != name {
				continue
			}
			ok := s.State == state || state == "combined" && s.State == "selected"
			if !ok || state == "combined" && (math.Abs(s.Offset) > 1 || s.Error <= 0) {
				return fmt.Errorf("%+v", s)
			}
			return nil
		}
		return fmt.Errorf("no such source in %+v", list)
	}}
}

// ntpsecServer starts an ntpsec with NTS that serves its own clock.
func ntpsecServer(h *Host) *Daemon {
	h.Write("drift", "0.000\n")
	h.Write("ntp.conf", fmt.Sprintf(`refclock local prefer stratum 3 minpoll 3 maxpoll 3 iburst
nts enable
nts cert /mnt/%[1]s.crt
nts key /mnt/%[1]s.key
nts cookie /mnt/nts-keys
driftfile /mnt/drift
restrict default
`, h.Name))
	return h.Start("ntpsec", NTPsecNTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
}

// ntpdrsServer starts an ntpd-rs with NTS that follows another server: without
// one it does not serve.
func ntpdrsServer(h *Host, upstream string) *Daemon {
	h.Write("ntp.toml", fmt.Sprintf(`[observability]
log-level = "info"
observation-path = "/mnt/observe"
[[source]]
mode = "server"
address = %q
[source-defaults]
poll-interval-limits = { min = 2, max = 3 }
initial-poll-interval = 2
[synchronization]
minimum-agreeing-sources = 1
[[server]]
listen = "[::]:123"
[[nts-ke-server]]
listen = "[::]:4460"
certificate-chain-path = "/mnt/%[2]s.crt"
private-key-path = "/mnt/%[2]s.key"
`, upstream, h.Name))
	return h.Start("ntp-daemon", NTPDRS, "-c", "/mnt/ntp.toml")
}

// TestFollows lets ntsbridge follow real servers of all kinds at once: ntpd
// with a key and with Autokey, chronyd plain, with a key in interleaved mode
// and with NTS, ntpsec and ntpd-rs with NTS. A liar among them is found out.
func TestFollows(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	tick, chrony, sec, rs, client := n.Host("tick"), n.Host("chrony"), n.Host("sec"), n.Host("rs"), n.Host("client")
	liar := n.Alias(chrony, "liar")
	n.Names()
	ca := newAuthority(t)
	until := time.Now().Add(24 * time.Hour)
	for _, h := range []*Host{chrony, sec, rs} {
		ca.issue(h, h.Name, until)
	}
	group := autokeyServer(tick)
	keygen(client, "-p", clientPassword)
	client.Write("autokey/ntpkey_iffpar_iffgroup", group.File("iffgroup"))
	client.Write("password", clientPassword+"\n")
	client.Write("ca.pem", ca.pem())
	client.Write("keys", ntpKeys)
	chrony.Write("keys", chronyKeys)
	classicServer(tick, "")
	if err := os.MkdirAll(filepath.Join(chrony.Dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	chrony.Write("chrony.conf", `local stratum 3
allow all
keyfile /mnt/keys
ntsserverkey /mnt/chrony.key
ntsservercert /mnt/chrony.crt
ntsdumpdir /mnt/run
bindcmdaddress /mnt/run/chronyd.sock
pidfile /mnt/run/chronyd.pid
cmdport 0
`)
	chrony.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
	ntpsecServer(sec)
	ntpdrsServer(rs, chrony.IPv4.String())

	path := func(name string) string { return filepath.Join(client.Dir, name) }
	f := startFollower(client, fmt.Sprintf(`log: {level: debug}
clock: {mode: discipline}
nts: {enabled: false}
keys: {files: [{path: %q, format: ntp}], trusted: [all]}
autokey: {keysdir: %q, host: client, password_file: %q}
sources:
  - {server: %s, auth: symmetric, key: 1, minpoll: 1, maxpoll: 2}
  - {server: %q, auth: autokey, ident: iffgroup, minpoll: 3, maxpoll: 3}
  - {server: %s, minpoll: 1, maxpoll: 2}
  - {server: %q, auth: symmetric, key: 2, minpoll: 1, maxpoll: 2, interleaved: true}
  - {server: chrony, family: ipv4, auth: nts, trusted_certificates: %[8]q, minpoll: 1, maxpoll: 2}
  - {server: sec, auth: nts, trusted_certificates: %[8]q, minpoll: 1, maxpoll: 2}
  - {server: rs, auth: nts, trusted_certificates: %[8]q, minpoll: 1, maxpoll: 2}
  - {server: %s, minpoll: 1, maxpoll: 2, offset: 0.03}
`, path("keys"), path("autokey"), path("password"),
		tick.IPv4, tick.IPv6.String(), chrony.IPv4, chrony.IPv6.String(), path("ca.pem"), liar.IPv4))

	Await(t, clientLimit,
		f.state(tick.IPv4.String(), "combined"), f.state(tick.IPv6.String(), "combined"),
		f.state(chrony.IPv4.String(), "combined"), f.state(chrony.IPv6.String(), "combined"),
		f.state("chrony", "combined"), f.state("sec", "combined"), f.state("rs", "combined"),
		f.state(liar.IPv4.String(), "falseticker"))
	Await(t, clientLimit, Condition{"tracking", func() error {
		var k tracking
		err := f.ask(&k, "tracking")
		if err == nil && (k.Leap != 0 || k.Stratum < 4 || k.Stratum > 5 || math.Abs(k.SystemOffset) > 0.002 || k.distance() > 0.1) {
			err = fmt.Errorf("%+v", k)
		}
		return err
	}})
	var auth []credential
	if err := f.ask(&auth, "authdata"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{tick.IPv4.String(): "symmetric", tick.IPv6.String(): "autokey", chrony.IPv4.String(): "none",
		chrony.IPv6.String(): "symmetric", "chrony": "nts", "sec": "nts", "rs": "nts", liar.IPv4.String(): "none"}
	if len(auth) != len(want) {
		t.Errorf("%d sources, want %d", len(auth), len(want))
	}
	for _, a := range auth {
		if a.Mode != want[a.Name] || a.Mode == "nts" && (a.Cookies < 7 || a.Type == 0 || a.KeyLength == 0) {
			t.Errorf("authdata: %+v, want mode %s", a, want[a.Name])
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	if out, err := client.Output(ctx, f.program, "waitsync", "--run-dir", filepath.Join(client.Dir, "run"), "1"); err != nil {
		t.Errorf("waitsync: %v: %s", err, out)
	}
}
