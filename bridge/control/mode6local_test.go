package control

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

func stampOf(t testing.TB, date string) ntp.Timestamp {
	t.Helper()
	v, err := time.Parse("200601021504", date)
	if err != nil {
		t.Fatal(err)
	}
	return ntp.TimestampFromTime(v)
}

// tick is a LocalSource with the files of the captured server.
func tick(t testing.TB) *LocalSource {
	l, _ := ticking(t)
	return l
}

func ticking(t testing.TB) (*LocalSource, *autokey.Server) {
	t.Helper()
	host, err := keyfile.LoadHost(os.DirFS(filepath.Join("testdata", "mode6", "tick")),
		keyfile.HostOptions{Host: "tick", Password: "serverpw"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := autokey.NewServer(autokey.Config{Host: host, Seed: 1, Budget: autokey.Unbounded{}}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	events := new(SystemEvents)
	events.Record(EventRestart)
	events.Record(EventFrequencyMode)
	return &LocalSource{Version: "ntsbridge", Processor: "x86_64", OS: "Linux/1", ClockSource: SourceLocal, Events: events,
		Leap: func() LeapTable {
			return LeapTable{TAI: 37, Last: stampOf(t, "201701010000").Seconds(), Expire: stampOf(t, "202705310000").Seconds()}
		},
		Autokey: func() *AutokeySystem { return ShowAutokeyServer(a.Status(), a.Updated(), host, autokey.MD5) }}, a
}

func localClock() *ntp.ClockState {
	return &ntp.ClockState{Stratum: 4, Precision: -24, ReferenceID: 0x7f7f0100, RootDispersion: 100 * time.Millisecond}
}

// TestLocalSourceShowsAutokeyAsNtpd wants for the same key files and times
// what ntpd 4.2.8p15 showed.
func TestLocalSourceShowsAutokeyAsNtpd(t *testing.T) {
	l, server := ticking(t)
	if err := server.SignatureUpdate(stampOf(t, "202611220102")); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, e := range readExchanges(t, "server.txt") {
		if !strings.HasPrefix(e.command, "ntpq -n -c 'rv 0 ") || strings.Contains(e.command, "sys_var_list") {
			continue
		}
		if got := Respond(l, 0, localClock(), e.request); !slices.EqualFunc(got, e.answer, bytes.Equal) {
			t.Errorf("%s: answer\n%swant\n%s", e.command, show(got), show(e.answer))
		}
		compared++
	}
	if compared != 5 {
		t.Errorf("%d answers compared, want 5", compared)
	}
}

func systemText(t *testing.T, l *LocalSource, clock *ntp.ClockState) (string, []byte) {
	t.Helper()
	got := Respond(l, 5<<32, clock, []byte{0x26, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	data, err := reassemble(got)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), got[0]
}

func TestLocalSourceBeforeSynchronisation(t *testing.T) {
	l := tick(t)
	clock := localClock()
	clock.Leap, clock.Stratum, clock.ReferenceID = ntp.LeapUnknown, ntp.StratumUnsynchronised, 0
	text, first := systemText(t, l, clock)
	for _, want := range []string{"leap=3,\r\nstratum=16,", "refid=INIT,", "flags=0x80021,", `cert="tick tick 0x1"`,
		"clock=0x00000005.00000000", "peer=0"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	for _, not := range []string{"update=", "tc=", "offset=", "ident="} {
		if strings.Contains(text, not) {
			t.Errorf("%q is in %q", not, text)
		}
	}
	if first[0] != 0xe6 || first[4] != 0xc0 || first[5] != 0x14 {
		t.Errorf("first octets %x, want e6 and status c014", first[:6])
	}
}

func TestLocalSourceWithoutAutokey(t *testing.T) {
	l := &LocalSource{Version: "ntsbridge", ClockSource: SourceOther, ReferenceClock: true}
	clock := localClock()
	clock.ReferenceID = ntp.KissCode("LOCL")
	text, first := systemText(t, l, clock)
	if !strings.Contains(text, "refid=LOCL,") || strings.Contains(text, "flags=") || strings.Contains(text, "cert=") ||
		strings.Contains(text, "tai=") {
		t.Errorf("%q", text)
	}
	if first[4] != 0x07 || first[5] != 0 {
		t.Errorf("status %x, want 0700", first[4:6])
	}
	list := Respond(l, 0, clock, []byte{0x26, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	if data, err := reassemble(list); err != nil || len(data) != 0 {
		t.Errorf("association list %x %v, want an empty one", data, err)
	}
}

func TestSystemEvents(t *testing.T) {
	var e SystemEvents
	want := func(count uint8, event SystemEvent) {
		t.Helper()
		if c, v := e.status(); c != count || v != event {
			t.Errorf("%d times %d, want %d times %d", c, v, count, event)
		}
	}
	want(0, EventUnspecified)
	e.Record(EventRestart)
	want(1, EventRestart)
	e.Record(EventClockSync)
	want(1, EventClockSync)
	for range 20 {
		e.Record(EventClockSync)
	}
	want(15, EventClockSync)
}

// TestOtherHostsAreBounded counts what one source, and many, get by asking
// without pause.
func TestOtherHostsAreBounded(t *testing.T) {
	q, err := NewQueries(tick(t))
	if err != nil {
		t.Fatal(err)
	}
	request := []byte{0x26, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	flood := func(begin, length time.Duration, sources ...string) (octets int, refused bool) {
		for at := time.Duration(0); at < length; at += 10 * time.Millisecond {
			for _, from := range sources {
				req := &ntp.Request{Packet: request, From: netip.AddrPortFrom(netip.MustParseAddr(from), 123)}
				if !q.Admit(int64(begin+at), req, false) {
					refused = true
					continue
				}
				answer, reason := q.Answer(0, int64(begin+at), localClock(), req, false)
				refused = refused || reason == ntp.ReasonRateLimited
				if (reason == ntp.ReasonOK) != (len(answer) > 0) {
					t.Fatalf("%d packets with reason %v", len(answer), reason)
				}
				for _, p := range answer {
					octets += len(p)
				}
			}
		}
		return octets, refused
	}
	if n, refused := flood(0, time.Minute, "192.0.2.1"); !refused || n > (64+600)*480 || n == 0 {
		t.Errorf("one source got %d octets in a minute (refused: %v)", n, refused)
	}
	var many []string
	for i := range 100 {
		many = append(many, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String())
	}
	if n, refused := flood(time.Hour, 10*time.Second, many...); !refused || n > (255+10*250)*480 || n == 0 {
		t.Errorf("100 sources got %d octets in ten seconds (refused: %v)", n, refused)
	}
	if n, refused := flood(2*time.Hour, 10*time.Second, "127.0.0.1"); refused || n < 1000*300 {
		t.Errorf("this host got %d octets (refused: %v)", n, refused)
	}
	if answer, reason := q.Answer(0, 0, localClock(),
		&ntp.Request{Packet: request[:8], From: netip.MustParseAddrPort("[::1]:123")}, false); answer != nil || reason != ntp.ReasonMalformed {
		t.Errorf("8 octets: %d packets, %v", len(answer), reason)
	}
}

// A host that proved that it is no forgery gets its answers while a thousand
// addresses ask without pause.
func TestKnownHostsAreAnsweredInAFlood(t *testing.T) {
	q, err := NewQueries(tick(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(at time.Duration, from netip.Addr, known bool) bool {
		req := &ntp.Request{Packet: []byte{0x26, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, From: netip.AddrPortFrom(from, 123)}
		if !q.Admit(int64(at), req, known) {
			return false
		}
		answer, _ := q.Answer(0, int64(at), localClock(), req, known)
		return len(answer) > 0
	}
	answered, strangers := 0, 0
	for second := range 20 {
		for i := range 4000 {
			at := time.Duration(second)*time.Second + time.Duration(i)*time.Second/4000
			if ask(at, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8 & 3), byte(i)}), false) {
				strangers++
			}
			if i == 3999 && ask(at, netip.MustParseAddr("192.0.2.1"), true) {
				answered++
			}
		}
	}
	if answered != 20 || strangers == 0 {
		t.Errorf("%d of 20 answered beside %d of strangers", answered, strangers)
	}
}
