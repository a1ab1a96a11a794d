package autokey

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// session is one recorded run of real daemons, from testdata/sessions.
type session struct {
	name    string
	hosts   map[string]*recordedHost
	packets []packet
}

// recordedHost is the keysdir and configuration of one daemon.
type recordedHost struct {
	name   string
	files  fstest.MapFS
	crypto map[string]string // words of the crypto line
	ident  string            // of the server line
}

// packet is one UDP payload on port 123.
type packet struct {
	at       time.Time
	from, to netip.Addr
	data     []byte
}

// recordedAddrs tells which host of a session has which address.
var recordedAddrs = map[string][]string{
	"10.98.0.1": {"server", "tick"}, "fd98::1": {"server"},
	"10.98.0.2": {"client", "mid", "tock"}, "fd98::2": {"client"},
	"10.98.0.3": {"leaf"},
}

// host returns the host with an address.
func (s *session) host(a netip.Addr) *recordedHost {
	for _, name := range recordedAddrs[a.String()] {
		if h := s.hosts[name]; h != nil {
			return h
		}
	}
	return nil
}

// sessions reads all sessions, by name.
func sessions(t testing.TB) map[string]*session {
	t.Helper()
	paths, err := filepath.Glob("testdata/sessions/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recorded sessions: %v", err)
	}
	all := make(map[string]*session)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		all[name] = readSession(t, name)
	}
	return all
}

// readSession reads testdata/sessions/NAME.txtar: files between "-- NAME --"
// lines, the last one is the capture.
func readSession(t testing.TB, name string) *session {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "sessions", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	s := &session{name: name, hosts: make(map[string]*recordedHost)}
	var file string
	content := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(rest, " --\n") {
			file = strings.TrimSuffix(rest, " --\n")
			continue
		}
		content[file] += line
	}
	for path, text := range maps.All(content) {
		if host, file, ok := strings.Cut(path, "/"); ok {
			s.addFile(host, file, text)
		}
	}
	for line := range strings.Lines(content["capture"]) {
		p, err := parsePacket(line)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.packets = append(s.packets, p)
	}
	return s
}

func (s *session) addFile(host, file, text string) {
	h := s.hosts[host]
	if h == nil {
		h = &recordedHost{name: host, files: fstest.MapFS{}, crypto: map[string]string{}}
		s.hosts[host] = h
	}
	if file != "ntp.conf" {
		h.files[file] = &fstest.MapFile{Data: []byte(text)}
		return
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 0 && f[0] == "server" {
			if i := slices.Index(f, "ident"); i > 0 {
				h.ident = f[i+1]
			}
		}
		if len(f) > 0 && f[0] == "crypto" {
			for i := 1; i+1 < len(f); i += 2 {
				h.crypto[f[i]] = f[i+1]
			}
		}
	}
}

// parsePacket reads "SECONDS.MICROSECONDS FROM TO HEX".
func parsePacket(line string) (packet, error) {
	f := strings.Fields(line)
	if len(f) != 4 {
		return packet{}, fmt.Errorf("capture line of %d words", len(f))
	}
	sec, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return packet{}, err
	}
	from, err := netip.ParseAddr(f[1])
	if err != nil {
		return packet{}, err
	}
	to, err := netip.ParseAddr(f[2])
	if err != nil {
		return packet{}, err
	}
	data, err := hex.DecodeString(f[3])
	return packet{time.UnixMicro(int64(sec * 1e6)), from, to, data}, err
}

// keys loads the host's key set as ntpd with the recorded configuration does.
func (h *recordedHost) keys(t testing.TB) *keyfile.Host {
	t.Helper()
	name, password := h.crypto["host"], h.crypto["pw"]
	if password == "" && h.files["ntpkey_host_tock"] != nil {
		password = "clientpw" // a hand-written client without ntp.conf
	}
	if name == "" {
		for file := range h.files {
			if rest, ok := strings.CutPrefix(file, "ntpkey_host_"); ok {
				name = rest
			}
		}
	}
	k, err := keyfile.LoadHost(h.files, keyfile.HostOptions{
		Host: name, Ident: h.crypto["ident"], Password: password,
	})
	if err != nil {
		t.Fatalf("%s: %v", h.name, err)
	}
	return k
}

func (h *recordedHost) digest() Digest {
	d, _ := ParseDigest(h.crypto["digest"])
	return d
}

// noKeys is a key table without keys.
type noKeys struct{}

func (noKeys) FullMACLen(uint32) (int, bool) { return 0, false }

// request makes a Request of a packet.
func (p packet) request() *ntp.Request {
	r := &ntp.Request{
		Packet: p.data,
		Layout: ntp.Classify(p.data, noKeys{}),
		From:   netip.AddrPortFrom(p.from, 123),
		To:     p.to,
	}
	if len(p.data) >= ntp.HeaderLen {
		r.Header.Decode(p.data)
	}
	return r
}

// message returns the first message of a packet; ok is false if it has none.
func (p packet) message() (m Message, ok bool) {
	f, ok := ntp.FieldAt(p.data, ntp.HeaderLen)
	if !ok || ntp.Classify(p.data, noKeys{}).Fields == 0 {
		return Message{}, false
	}
	m, err := parseMessage(p.data[f.Offset : f.Offset+f.Length])
	return m, err == nil
}
