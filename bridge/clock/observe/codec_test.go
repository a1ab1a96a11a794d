package observe

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// Sequence numbers of the captured answers.
const (
	capturedSequence = 0x01020304
	capturedControl  = 0x0102
)

func captured(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// replay runs the chrony side over packets that come in this order; numbered
// gives an answer the request's sequence number.
func replay(packets ...func(request []byte) []byte) (*State, error) {
	var request []byte
	return tracking(func(p []byte) (int, error) {
		if len(packets) == 0 {
			return 0, io.EOF
		}
		next := packets[0]
		packets = packets[1:]
		return copy(p, next(request)), nil
	}, func(p []byte) (int, error) {
		request = bytes.Clone(p)
		return len(p), nil
	})
}

func raw(p []byte) func([]byte) []byte { return func([]byte) []byte { return p } }

func numbered(p []byte) func([]byte) []byte {
	return func(request []byte) []byte {
		p = bytes.Clone(p)
		if len(p) >= chronyReplySeq+4 {
			copy(p[chronyReplySeq:], request[chronyRequestSeq:][:4])
		}
		return p
	}
}

func TestTracking(t *testing.T) {
	s, err := replay(numbered(captured(t, "chronyd-local.hex")))
	if err != nil {
		t.Fatal(err)
	}
	want := State{Program: Chronyd, Stratum: 5, ReferenceID: 0x7f7f0101, Reference: s.Reference}
	if *s != want || s.Reference.Seconds() != 0xeeace1a4 || !s.Synchronised() {
		t.Errorf("got %+v, want %+v", *s, want)
	}
	s, err = replay(numbered(captured(t, "chronyd-follower.hex")))
	if err != nil {
		t.Fatal(err)
	}
	// chronyc shows: root delay 34 us, root dispersion 26 us.
	if s.Stratum != 6 || s.ReferenceID != 0x7f000001 || s.RootDelay <= 0 || s.RootDelay > time.Millisecond ||
		s.RootDispersion <= s.Offset || s.RootDispersion > time.Millisecond || s.Offset <= 0 {
		t.Errorf("follower: %+v", *s)
	}
}

// What does not answer this question is passed over, and not for ever.
func TestTrackingAnswersOnly(t *testing.T) {
	good := captured(t, "chronyd-local.hex")
	change := func(at int, value byte) []byte {
		p := bytes.Clone(good)
		p[at] = value
		return p
	}
	strays := []func([]byte) []byte{raw(good), raw(nil), numbered(good[:27]), numbered(change(chronyVersion, 5)),
		numbered(change(chronyType, 1)),
		numbered(change(chronyCommand+1, 14)), numbered(change(chronyReply+1, 25))}
	if s, err := replay(append(strays, numbered(good))...); err != nil || s.Stratum != 5 {
		t.Errorf("behind strays: %+v %v", s, err)
	}
	var flood []func([]byte) []byte
	for range maxStray + 1 {
		flood = append(flood, raw(good))
	}
	if _, err := replay(flood...); !errors.Is(err, errStray) {
		t.Errorf("flood: %v", err)
	}
	for name, bad := range map[string][]byte{
		"unauthorised": change(chronyStatus+1, 2), "cut off": good[:60], "leap 4": change(28+27, 4), "stratum 17": change(28+25, 17),
	} {
		if s, err := replay(numbered(bad)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	// Root delay and dispersion are the two before the last float.
	for name, at := range map[string]int{"root delay": len(good) - 12, "root dispersion": len(good) - 8} {
		for _, f := range []uint32{0x01ffffff, 0x7fffffff >> 1} { // below 0, and of years
			p := bytes.Clone(good)
			binary.BigEndian.PutUint32(p[at:], f)
			if s, err := replay(numbered(p)); err == nil {
				t.Errorf("%s of %#x: %+v", name, f, s)
			}
		}
	}
}

func TestSystemVariables(t *testing.T) {
	for name, want := range map[string]State{
		"ntpd-alarm.hex": {Program: NTPD, Leap: ntp.LeapUnknown, Stratum: 16, ReferenceID: ntp.KissCode("INIT"),
			RootDispersion: 480 * time.Microsecond},
		"ntpsec-alarm.hex": {Program: NTPsec, Leap: ntp.LeapUnknown, Stratum: 16, ReferenceID: ntp.KissCode("INIT"),
			RootDispersion: 45 * time.Microsecond},
		"ntpd-follower.hex": {Program: NTPD, Stratum: 6, ReferenceID: 0x0a630002, RootDelay: 46 * time.Microsecond, Offset: 13912},
	} {
		t.Run(name, func(t *testing.T) {
			text, ok, err := controlAnswer(captured(t, name), capturedControl)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			s, err := fromVariables(variables(text))
			if err != nil {
				t.Fatal(err)
			}
			if want.Stratum < 16 {
				if s.Reference == 0 || s.RootDispersion <= 0 {
					t.Errorf("%+v", *s)
				}
				want.Reference, want.RootDispersion = s.Reference, s.RootDispersion
			}
			if (s.RootDispersion - want.RootDispersion).Abs() > 2 {
				t.Errorf("root dispersion %v", s.RootDispersion)
			}
			s.RootDispersion = want.RootDispersion
			if *s != want {
				t.Errorf("got %+v, want %+v", *s, want)
			}
		})
	}
}

func TestControlAnswersOnly(t *testing.T) {
	good := captured(t, "ntpd-alarm.hex")
	change := func(at int, value byte) []byte {
		p := bytes.Clone(good)
		p[at] = value
		return p
	}
	for name, stray := range map[string][]byte{"empty": nil, "short": good[:11], "mode 3": change(0, 0x23), "request": change(1, 2),
		"another operation": change(1, 0x81), "another sequence": change(3, 9), "an association": change(7, 1)} {
		if _, ok, err := controlAnswer(stray, capturedControl); ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
	for name, bad := range map[string][]byte{"error": change(1, 0xc2), "first of several": change(1, 0xa2),
		"second part": change(9, 4), "cut off": good[:100]} {
		if _, ok, err := controlAnswer(bad, capturedControl); ok || err == nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
}

func TestVariables(t *testing.T) {
	const whole = `version="ntpd 4.2, (1)", leap=1, stratum=2, refid=10.1.2.3, reftime=0xe0000000.80000000, rootdelay=1.5, rootdisp=20, offset=-0.25`
	s, err := fromVariables(variables(whole))
	want := State{Program: NTPD, Leap: ntp.LeapInsert, Stratum: 2, ReferenceID: 0x0a010203, Reference: 0xe0000000_80000000,
		RootDelay: 1500 * time.Microsecond, RootDispersion: 20 * time.Millisecond, Offset: 250 * time.Microsecond}
	if err != nil || *s != want {
		t.Errorf("%+v %v, want %+v", s, err, want)
	}
	for from, to := range map[string]string{"leap=1": "leap=4", "stratum=2": "stratum=17",
		"rootdelay=1.5": "rootdelay=-1", "rootdisp=20": "rootdisp=NaN",
		"offset=-0.25": "offset=--1", "stratum=2,": ""} {
		if s, err := fromVariables(variables(strings.Replace(whole, from, to, 1))); err == nil {
			t.Errorf("%s: %+v", to, s)
		}
	}
	if _, err := fromVariables(variables(strings.Replace(whole, "ntpd 4.2", "ntsbridge 1", 1))); !errors.Is(err, errOurselves) {
		t.Errorf("ourselves: %v", err)
	}
	for text, want := range map[string]uint32{"GPS": 0x47505300, ".PPS.": 0x50505300, "INIT": ntp.KissCode("INIT"),
		"255.0.0.1": 0xff000001, "": 0} {
		if got := referenceID(text); got != want {
			t.Errorf("refid %q: %#x", text, got)
		}
	}
}

// A question is framed as ntpq does it.
func TestControlRequest(t *testing.T) {
	p := controlRequest(capturedControl)
	if len(p)%4 != 0 || p[0] != 4<<3|6 || p[1] != 2 || int(p[11]) != len(systemVariables) ||
		!strings.HasPrefix(string(p[controlHeader:]), systemVariables) {
		t.Errorf("% x", p)
	}
}

func sane(t *testing.T, s *State) {
	t.Helper()
	if s.Stratum > 16 || s.Leap > 3 || s.RootDelay < 0 || s.RootDispersion < 0 || s.Offset < 0 ||
		s.RootDelay > maxSeconds*time.Second || s.RootDispersion > 2*maxSeconds*time.Second {
		t.Fatalf("%+v", *s)
	}
}

func FuzzTracking(f *testing.F) {
	f.Add(captured(f, "chronyd-local.hex"))
	f.Add(captured(f, "chronyd-follower.hex"))
	f.Fuzz(func(t *testing.T, p []byte) {
		if s, err := replay(numbered(p)); err == nil {
			sane(t, s)
		}
	})
}

func FuzzControl(f *testing.F) {
	for _, name := range []string{"ntpd-alarm.hex", "ntpsec-alarm.hex", "ntpd-follower.hex"} {
		f.Add(captured(f, name))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		text, ok, err := controlAnswer(p, capturedControl)
		if err != nil || !ok {
			return
		}
		if s, err := fromVariables(variables(text)); err == nil {
			sane(t, s)
		}
	})
}

func TestDuration(t *testing.T) {
	for _, bad := range []float64{-1e-9, math.NaN(), math.Inf(1), math.Inf(-1), 70000} {
		if d, ok := duration(bad); ok {
			t.Errorf("%v: %v", bad, d)
		}
	}
	if d, ok := duration(1.5); !ok || d != 1500*time.Millisecond {
		t.Errorf("1.5: %v %v", d, ok)
	}
}
