package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/autokey/keyfile"
)

// keygenPair is a real ntpd that serves and one that follows it, both with
// files of ntsbridge keygen.
type keygenPair struct {
	name   string
	server []string // arguments that make the server's files
	client []string // arguments that make the client's files
	scheme string   // whose group file is exported; empty: none
	mvKey  bool     // the server's MV key is exported into its directory
	theirs bool     // the server's files are ntp-keygen's, mended by repair
	pc     bool     // the client has the server's own files
	flags  uint32   // final flags of the client's association
}

var keygenPairs = []keygenPair{
	{name: "tc", server: []string{"-T"}, flags: 0x87f03},
	{name: "tc2048", server: []string{"-T", "--oldest-peer", "4.2.8"}, client: []string{"--oldest-peer", "4.2.8", "--pkcs8"},
		flags: 0x29c7f03},
	{name: "tc4096", server: []string{"-T", "-m", "4096", "-c", "sha512", "-C", "aes-256-cbc"},
		client: []string{"-S", "RSA", "-m", "1024", "-c", "RSA-SHA1"}, flags: 0x29e7f03},
	{name: "pc", server: []string{"-P"}, pc: true, flags: 0x87f13},
	{name: "iff", server: []string{"-T", "-I"}, scheme: "iff", flags: 0x87f23},
	{name: "iff2048", server: []string{"-T", "-I", "-b", "2048", "--pkcs8"}, scheme: "iff", flags: 0x87f23},
	{name: "gq", server: []string{"-T", "-G"}, scheme: "gq", flags: 0x87f43},
	{name: "gq1016", server: []string{"-T", "-G", "--oldest-peer", "4.2.8"}, scheme: "gq", flags: 0x29c7f43},
	{name: "oldiff", server: []string{"-T", "-I", "-b", "512"}, theirs: true, scheme: "iff", flags: 0x87f23},
	{name: "oldgq", server: []string{"-T", "-G", "-b", "512"}, theirs: true, scheme: "gq", flags: 0x87f43},
	{name: "mv", server: []string{"-T", "-V", "5"}, scheme: "mv", mvKey: true, flags: 0x87f83},
	{name: "mv1024", server: []string{"-T", "-V", "4", "-b", "1024"}, scheme: "mv", mvKey: true, flags: 0x87f83},
}

// ourKeygen runs ntsbridge keygen in the folder autokey of the host and returns
// what it printed to standard output.
func ourKeygen(h *Host, args ...string) string {
	h.t.Helper()
	file, err := build()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.Dir, "autokey"), 0o700); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args = append([]string{"keygen"}, args...)
	out, err := h.Output(ctx, Program{Path: file, Dir: "autokey"}, append(args, "--password-file", "../password")...)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// flagTAI is in a host's own status once its clock was synchronised.
const flagTAI = 0x2

// ownFlags asks a real ntpd for its own Autokey status.
func ownFlags(h *Host) (uint32, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, NTPQ, "-n", "-c", "rv 0 flags", "127.0.0.1")
	return uint32(number(flagsVariable, out, 16)), err
}

// synchronised is the condition that a real ntpd has followed its own clock
// long enough to sign.
func synchronised(d *Daemon) Condition {
	return Condition{d.Host.Name, func() error {
		if err := d.Alive(); err != nil {
			return err
		}
		flags, err := ownFlags(d.Host)
		if err == nil && flags&flagTAI == 0 {
			err = fmt.Errorf("flags %#x, not synchronised yet", flags)
		}
		return err
	}}
}

// startServer starts the real ntpd with what the pair's arguments make.
func (p keygenPair) startServer(h *Host) (*Daemon, Condition) {
	h.t.Helper()
	p.makeServer(h)
	d := startNTPD(h)
	return d, synchronised(d)
}

// makeServer makes the files of a server.
func (p keygenPair) makeServer(h *Host) {
	h.t.Helper()
	h.Write("password", serverPassword+"\n")
	if p.theirs {
		keygen(h, append([]string{"-p", serverPassword}, p.server...)...)
		ourKeygen(h, "repair", fmt.Sprintf("ntpkey_%skey_%s", p.scheme, h.Name))
	} else {
		ourKeygen(h, p.server...)
	}
	if p.mvKey {
		h.Write("autokey/ntpkey_mvkey_"+h.Name, ourKeygen(h, "--export-password-file", "../password"))
	}
}

// startClient starts the real ntpd that follows server.
func (p keygenPair) startClient(h, server *Host) Condition {
	h.t.Helper()
	return p.follow(h, server).Condition()
}

// follow starts that ntpd.
func (p keygenPair) follow(h, server *Host) *Client {
	h.t.Helper()
	options, words := "autokey", "pw "+clientPassword
	h.Write("password", clientPassword+"\n")
	switch {
	case p.pc:
		words = fmt.Sprintf("host %s pw %s", server.Name, serverPassword)
		if err := os.CopyFS(filepath.Join(h.Dir, "autokey"), os.DirFS(filepath.Join(server.Dir, "autokey"))); err != nil {
			h.t.Fatal(err)
		}
	default:
		ourKeygen(h, p.client...)
	}
	if p.scheme != "" {
		options += " ident " + server.Name
		h.Write(fmt.Sprintf("autokey/ntpkey_%spar_%s", p.scheme, server.Name), ourKeygen(server, "-e"))
	}
	c := ntpdClient(h, server.Name, options, "keysdir /mnt/autokey\ncrypto "+words+"\n")
	c.Good = func() error {
		a, err := QueryNTPD(h)
		if err == nil && (a.Auth != "ok" || a.Reach == 0 || a.Flags != p.flags) {
			err = fmt.Errorf("auth %s, reach %o, flags %#x, want %#x", a.Auth, a.Reach, a.Flags, p.flags)
		}
		return err
	}
	return c
}

// TestKeygenFilesLoad lets two real ntpd work with files of ntsbridge keygen
// alone, in every identity scheme, up to the last flag; and with those of
// ntp-keygen after ntsbridge keygen repair.
func TestKeygenFilesLoad(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("there are real daemons on both sides already")
	}
	n := NewNetwork(t)
	servers, clients := map[string]*Host{}, map[string]*Host{}
	for _, p := range keygenPairs {
		servers[p.name], clients[p.name] = n.Host("s"+p.name), n.Host("c"+p.name)
	}
	n.Names()
	var ready, good []Condition
	for _, p := range keygenPairs {
		_, c := p.startServer(servers[p.name])
		ready = append(ready, c)
	}
	Await(t, limit, ready...)
	for _, p := range keygenPairs {
		good = append(good, p.startClient(clients[p.name], servers[p.name]))
	}
	Await(t, limit, good...)
}

// TestKeygenCiphersLoad lets the real ntp-keygen read keys in every cipher and
// form that ntsbridge keygen writes.
func TestKeygenCiphersLoad(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	h := n.Host("ciphers")
	n.Names()
	h.Write("password", serverPassword+"\n")
	for _, cipher := range keyfile.Ciphers() {
		for _, form := range []string{"", "--pkcs8"} {
			name := cipher + form
			args := []string{"-I", "-G", "-S", "RSA", "-s", name, "-C", cipher}
			if form != "" {
				args = append(args, form)
			}
			ourKeygen(h, args...)
			said := keygen(h, "-p", serverPassword, "-s", name, "-i", name)
			for _, want := range []string{"Using host key", "Using sign key", "Using IFF keys", "Using GQ parameters"} {
				if !strings.Contains(said, want) {
					t.Errorf("%s: ntp-keygen does not say %q:\n%s", name, want, said)
				}
			}
		}
	}
}

var certificateOf = regexp.MustCompile(`cert="(\S+) (\S+) 0x[0-9a-f]+",\s+until=(\d+)`)

// cachedUntil asks h's ntpd until when the certificate that subject made for
// itself is valid, as YYYYMMDDhhmm.
func cachedUntil(h *Host, subject string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, NTPQ, "-n", "-c", "rv 0", "127.0.0.1")
	if err != nil {
		return "", err
	}
	for _, m := range certificateOf.FindAllStringSubmatch(out, -1) {
		if m[1] == subject && m[2] == subject {
			return m[3], nil
		}
	}
	return "", fmt.Errorf("no certificate of %s in %q", subject, out)
}

// TestKeygenRenew renews the certificate of a server while a client runs, and
// wants the client to have the new one when the server is asked again.
func TestKeygenRenew(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("there are real daemons on both sides already")
	}
	n := NewNetwork(t)
	server, client := n.Host("renewed"), n.Host("runs-on")
	n.Names()
	pair := keygenPair{server: []string{"-T", "-l", "10"}}
	server.Write("keys", ntpKeys)
	daemon, ready := pair.startServer(server)
	Await(t, limit, ready)
	client.Write("keys", ntpKeys)
	done := startRenewClient(client, server)
	Await(t, limit, done)
	first, err := cachedUntil(client, server.Name)
	if err != nil {
		t.Fatal(err)
	}

	ourKeygen(server, "renew", "-l", "50")
	daemon.Stop()
	daemon = startNTPD(server)
	Await(t, limit, synchronised(daemon))
	reconfigure(t, client, server)
	Await(t, limit, done)
	until, err := cachedUntil(client, server.Name)
	if err != nil {
		t.Fatal(err)
	}
	if until <= first {
		t.Errorf("the running client kept the certificate until %s, from before the renewal: %s", first, until)
	}
}

// startRenewClient is a client that takes orders from ntpq.
func startRenewClient(h, server *Host) Condition {
	h.t.Helper()
	h.Write("password", clientPassword+"\n")
	ourKeygen(h)
	c := ntpdClient(h, server.Name, "autokey", "keysdir /mnt/autokey\ncrypto pw "+clientPassword+
		"\nkeys /mnt/keys\ntrustedkey 1\ncontrolkey 1\n")
	c.Good = func() error {
		a, err := QueryNTPD(h)
		if err == nil && (a.Auth != "ok" || a.Flags&flagsTC != flagsTC) {
			err = fmt.Errorf("auth %s, flags %#x, want %#x", a.Auth, a.Flags, uint32(flagsTC))
		}
		return err
	}
	return c.Condition()
}

// reconfigure takes the server off the running client and puts it back, so
// that a new association asks for everything again.
func reconfigure(t *testing.T, client, server *Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	key := strings.Fields(strings.SplitN(ntpKeys, "\n", 2)[0]) // 1 MD5 secret
	if _, err := strconv.Atoi(key[0]); err != nil {
		t.Fatal(err)
	}
	for _, order := range []string{"unpeer " + server.IPv4.String(), fmt.Sprintf("server %s autokey iburst minpoll 3 maxpoll 3",
		server.Name)} {
		out, err := client.Output(ctx, NTPQ, "-n", "-c", "keyid "+key[0], "-c", "passwd "+key[2], "-c", ":config "+order, "127.0.0.1")
		if err != nil || !strings.Contains(out, "Config Succeeded") {
			t.Fatalf("%s: %v %s", order, err, out)
		}
	}
}
