package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/bridge/source/refclock"
	"ntsbridge/nts/aead"
)

// viewed is the moment of the snapshot that the golden files show.
var viewed = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// asked is a server that answers.
func asked(addr string, kind ntp.Kind, offset time.Duration) *source.Status {
	at := ntp.TimestampFromTime(viewed.Add(-5 * time.Second))
	s := &source.Status{Server: netip.AddrPortFrom(netip.MustParseAddr(addr), 123), Kind: kind, Poll: 6, Reach: 0o377,
		Local:  netip.MustParseAddr("192.0.2.200"),
		Counts: source.Counts{Sent: 40, Received: 39, Refused: 1},
		Last: &source.Sample{At: at, T4: at, Offset: offset, Delay: 2 * time.Millisecond, Dispersion: 10 * time.Microsecond, Kind: kind,
			Header: ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 1, Poll: 6, Precision: -25, ReferenceID: ntp.KissCode("GPS\x00"),
				RootDelay: ntp.ShortFromDuration(time.Millisecond), RootDispersion: ntp.ShortFromDuration(2 * time.Millisecond),
				Reference: at}}}
	s.Recent = source.Recent{s.Last, {Delay: 3 * time.Millisecond, Offset: offset + time.Millisecond, Dispersion: 20 * time.Microsecond}}
	return s
}

// thought is what the discipline makes of a source.
func thought(state discipline.SelectState, info clock.SourceInfo, offset float64) *FollowedByClock {
	return &FollowedByClock{SourceReport: clock.SourceReport{Info: info, Age: 5 * time.Second,
		SourceStatus: discipline.SourceStatus{State: state, Reach: 0o377, Poll: 6, Samples: 12, Offset: offset,
			Frequency: 11e-6, Skew: 0.2e-6, Jitter: 30e-6, Distance: 3.5e-3,
			Residuals: discipline.Residuals{Samples: 12, Runs: 7, Span: 400.5, Deviation: 30e-6}}}}
}

// everything is a snapshot with a source of each kind and state.
func everything() *Snapshot {
	best := clock.SourceInfo{Name: "time.example", Address: netip.MustParseAddr("192.0.2.1")}
	selected := func(addr string) clock.SourceInfo { return clock.SourceInfo{Address: netip.MustParseAddr(addr)} }
	served := &ntp.ClockState{Stratum: 2, Precision: -25, ReferenceID: best.ReferenceID(), Drift: 15e-6,
		Reference: ntp.TimestampFromTime(viewed.Add(-10 * time.Second)), Updated: ntp.TimestampFromTime(viewed.Add(-time.Second)),
		RootDelay: 3 * time.Millisecond, RootDispersion: 2 * time.Millisecond}
	tracking := &clock.TrackingReport{Selected: best, Tracking: discipline.Tracking{SystemOffset: 20e-6, LastOffset: -15e-6,
		RMSOffset: 25e-6,
		Frequency: 10e-6, Residual: -0.5e-6, Skew: 0.1e-6, UpdateInterval: 16, Poll: 6, Updates: 30, Steps: 1}}
	tracking.Synchronised, tracking.RootDelay, tracking.RootDispersion = true, 3e-3, 2.015e-3
	return &Snapshot{At: viewed, Uptime: time.Hour, Served: served, Clock: tracking, Steers: true, Panic: 1000 * time.Second,
		Sources: []SourceSnapshot{
			{ID: 1, Name: "time.example", HostMode: ntp.ModeClient, MinPoll: 6, Event: ntp.PeerSystemPeer, Events: 1,
				Status: asked("192.0.2.1", ntp.KindNone, -20*time.Microsecond),
				Follow: thought(discipline.Selected, best, 1e-6), Options: Options{Prefer: true}},
			{ID: 2, Name: "pool.example", Pool: true, HostMode: ntp.ModeClient, Event: ntp.PeerReachable, Events: 1,
				Status: asked("2001:db8::2", ntp.KindNone, 0),
				Follow: thought(discipline.Selected, selected("2001:db8::2"), -3e-6)},
			{ID: 3, Name: "peer.example", HostMode: ntp.ModeSymmetricActive, Auth: ntp.KindSymmetric, KeyID: 7, Algorithm: "AES128CMAC",
				KeyBits: 128,
				Status:  asked("192.0.2.3", ntp.KindSymmetric, time.Millisecond),
				Follow:  thought(discipline.NotPreferred, selected("192.0.2.3"), 1e-3)},
			{ID: 4, Name: "nts.example", HostMode: ntp.ModeClient, Auth: ntp.KindNTS, Event: ntp.PeerBadAuth, Events: 2,
				Status: asked("192.0.2.4", ntp.KindNTS, time.Second),
				NTS: &source.NTSStatus{KeyID: 2, AEAD: aead.AES128GCMSIV, KeyLen: 128, LastKE: 50 * time.Minute, Cookies: 8,
					CookieLen: 100, NAKs: 1},
				Follow: thought(discipline.Falseticker, selected("192.0.2.4"), 1)},
			{ID: 5, Name: "old.example", HostMode: ntp.ModeClient, Event: ntp.PeerRestarted, Events: 1, Auth: ntp.KindAutokey, Ident: "group",
				Status: asked("192.0.2.5", ntp.KindAutokey, 0),
				Local:  netip.MustParseAddr("192.0.2.100"), Follow: thought(discipline.Inconsistent, selected("192.0.2.5"), 0),
				Autokey: &autokey.State{Host: "old", Status: autokey.Status(autokey.FlagCOOK | autokey.FlagENAB)}},
			{ID: 6, Name: "gone.example", HostMode: ntp.ModeClient, MinPoll: 4, Why: "name resolution: no such host"},
			{ID: 7, Name: "mute.example", HostMode: ntp.ModeClient, Options: Options{NoSelect: true}, Status: &source.Status{
				Server: netip.MustParseAddrPort("192.0.2.7:123"), Poll: 6, Err: errors.New("connection refused")},
				Follow: &FollowedByClock{SourceReport: clock.SourceReport{Age: -1,
					SourceStatus: discipline.SourceStatus{State: discipline.Unusable, Poll: 6}}}},
			{ID: 8, Name: "192.0.2.255", HostMode: ntp.ModeBroadcast, TTL: 3, Auth: ntp.KindSymmetric, KeyID: 7, Algorithm: "MD5",
				KeyBits: 80,
				Status:  &source.Status{Server: netip.MustParseAddrPort("192.0.2.255:123"), Kind: ntp.KindSymmetric, Poll: 6}},
			{ID: 9, Name: "PPS0", HostMode: ntp.ModeClient, Options: Options{Trust: true},
				Follow: thought(discipline.Selected, clock.SourceInfo{Name: "PPS0", Refclock: "PPS0"}, 0),
				Clock: &ClockSnapshot{ReferenceID: ntp.KissCode("PPS0"), Delay: time.Microsecond,
					Status: refclock.Status{Name: "PPS /dev/pps0",
						RefID: "PPS0", Poll: 4, Open: true, Reach: 0o17, Last: &refclock.Sample{Offset: 300, Dispersion: 200,
							Deviation: 100}}}},
			{ID: 10, Name: "192.0.2.10", HostMode: ntp.ModeSymmetricPassive, Ephemeral: true, Auth: ntp.KindSymmetric, KeyID: 9,
				Algorithm: "SHA1",
				KeyBits:   160, Status: asked("192.0.2.10", ntp.KindSymmetric, 0)},
		}}
}

// golden compares with a file of testdata/views.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "views", name)
	if update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; NTSBRIDGE_UPDATE=1 writes it anew. Got:\n%s", name, got)
	}
}

// The reports are functions of a snapshot.
func TestViews(t *testing.T) {
	s, o := everything(), ReportOptions{Why: true, WholeNames: true}
	for name, write := range map[string]func(io.Writer) error{
		"tracking.txt":    func(w io.Writer) error { return s.Tracking().WriteText(w, o) },
		"sources.txt":     func(w io.Writer) error { return WriteSources(w, s.SourceList(), o) },
		"sourcestats.txt": func(w io.Writer) error { return WriteSourceStats(w, s.SourceStatsList(), o) },
		"authdata.txt":    func(w io.Writer) error { return WriteAuthData(w, s.AuthDataList(), o) },
		"selectdata.txt":  func(w io.Writer) error { return WriteSelectData(w, s.SelectDataList(), o) },
		"ntpq.txt":        func(w io.Writer) error { return writeNTPQ(t, w, s) },
	} {
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.Bytes())
	}
}

// writeNTPQ writes what ntpq is sent: system variables, the associations, and
// the variables of each.
func writeNTPQ(t *testing.T, w io.Writer, s *Snapshot) error {
	l := &LocalSource{Version: "ntsbridge", ClockSource: SourceOther, Tracking: s.Tracking,
		List: func(ntp.Timestamp) []Association { return s.Associations() }}
	ask := func(op byte, id uint16) []byte {
		request := []byte{0x26, op, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(request[6:], id)
		data, err := reassemble(Respond(l, ntp.TimestampFromTime(s.At), s.Served, request))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	fmt.Fprintf(w, "%s\n%x\n", bytes.ReplaceAll(ask(2, 0), []byte("\r\n"), []byte("\n")), ask(1, 0))
	for i := range s.Sources {
		fmt.Fprintf(w, "\n%s\n", bytes.ReplaceAll(ask(2, s.Sources[i].ID), []byte("\r\n"), []byte("\n")))
	}
	return nil
}

// Without sources, and without a discipline, every report is there.
func TestViewsOfNothing(t *testing.T) {
	s := &Snapshot{At: viewed, Served: &ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised}}
	if s.Tracking().Synchronised() || s.SourceList() == nil || s.SourceStatsList() == nil || s.AuthDataList() == nil ||
		s.SelectDataList() == nil || len(s.Associations()) != 0 {
		t.Error("a report is missing")
	}
}

// A host that serves its clock without following a source shows the clock as
// system peer, for monitors that look for one; a host that follows, or whose
// clock is not synchronised, does not.
func TestClockItself(t *testing.T) {
	served := &ntp.ClockState{Stratum: 4, ReferenceID: ntp.KissCode("LOCL"), Precision: -24}
	s := &Snapshot{At: viewed, Served: served, Local: true}
	list := s.Associations()
	if len(list) != 1 {
		t.Fatalf("%d associations", len(list))
	}
	a := list[0]
	if a.Source.Addr() != netip.MustParseAddr("127.127.1.0") || a.Stratum != 3 || a.ReferenceID != ntp.KissCode("LOCL") ||
		a.Status.word(a.signed(), true) != 0x961a || a.clockSource() != SourceLocal || a.HostPoll == 0 || a.PeerPoll == 0 ||
		a.Reach != 0o377 {
		t.Errorf("local: %+v", a)
	}
	s.Local, served.ReferenceID, served.RootDelay = false, 0xc0000201, time.Millisecond
	if a := s.Associations()[0]; a.ReferenceID != 0xc0000201 || a.ReferenceClock || a.Stratum != 3 || a.RootDelay != time.Millisecond ||
		a.clockSource() != SourceOther {
		t.Errorf("of another program: %+v", a)
	}
	s.Sources = []SourceSnapshot{{ID: 1, Name: "a", HostMode: ntp.ModeClient}}
	if n := len(s.Associations()); n != 2 {
		t.Errorf("beside a source that was not reached: %d", n)
	}
	s.Steers = true
	if n := len(s.Associations()); n != 1 {
		t.Errorf("a host that follows: %d", n)
	}
	s.Steers, served.Leap = false, ntp.LeapUnknown
	if n := len(s.Associations()); n != 1 {
		t.Errorf("not synchronised: %d", n)
	}
}

// Of two sources that differ nobody can tell which is wrong until the third is
// heard, or is known not to answer.
func TestFirstSeconds(t *testing.T) {
	two := func(third SourceSnapshot) *Snapshot {
		s := everything()
		s.Sources = []SourceSnapshot{s.Sources[0], s.Sources[1], third}
		for i := range 2 {
			f := *s.Sources[i].Follow
			f.State, f.Rule = discipline.Falseticker, discipline.NoMajority
			s.Sources[i].Follow = &f
		}
		return s
	}
	awaited := SourceSnapshot{ID: 3, Name: "third.example", HostMode: ntp.ModeClient}
	for _, c := range []struct {
		name   string
		change func(*SourceSnapshot)
		state  SourceState
		letter string
		tally  Selection
	}{
		{"not asked yet", func(*SourceSnapshot) {}, StateUnusable, "W", SelectReject},
		{"asked", func(s *SourceSnapshot) { s.Status = &source.Status{Counts: source.Counts{Sent: 1}} }, StateUnusable, "W", SelectReject},
		{"silent", func(s *SourceSnapshot) { s.Status = &source.Status{Counts: source.Counts{Sent: 9}} }, StateFalseticker, "x",
			SelectFalsetick},
		{"refused", func(s *SourceSnapshot) { s.Why = "no such host" }, StateFalseticker, "x", SelectFalsetick},
		{"never followed", func(s *SourceSnapshot) { s.Options.NoSelect = true }, StateFalseticker, "x", SelectFalsetick},
	} {
		third := awaited
		c.change(&third)
		s := two(third)
		for i := range 2 {
			if got := s.SourceList()[i].State; got != c.state {
				t.Errorf("%s: state %s, want %s", c.name, got, c.state)
			}
			if got := s.SelectDataList()[i].State; got != c.letter {
				t.Errorf("%s: letter %s, want %s", c.name, got, c.letter)
			}
			if got := s.Associations()[i].Status.Selection; got != c.tally {
				t.Errorf("%s: tally %d, want %d", c.name, got, c.tally)
			}
		}
	}
}
