package control

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/ntp"
)

// update: write testdata/chronyc from what the real chronyc shows.
var update = os.Getenv("NTSBRIDGE_UPDATE") == "1"

// world is what a daemon has to report.
type world struct {
	name     string
	tracking Tracking
	sources  []Source
	stats    []SourceStats
	auth     []AuthData
	selects  []SelectData
}

// commands are those of chronyc that are compared, for each world.
var commands = func() (all [][]string) {
	for _, report := range []string{"tracking", "sources", "sourcestats", "authdata", "selectdata"} {
		all = append(all, []string{"-N", report}, []string{"-n", report}, []string{"-c", "-n", report}, []string{"-c", "-N", report})
	}
	return all
}()

func (w *world) write(out io.Writer, args []string) error {
	o := ReportOptions{Addresses: slices.Contains(args, "-n"), WholeNames: slices.Contains(args, "-N"), CSV: slices.Contains(args, "-c")}
	switch args[len(args)-1] {
	case "tracking":
		return w.tracking.WriteText(out, o)
	case "sources":
		return WriteSources(out, w.sources, o)
	case "sourcestats":
		return WriteSourceStats(out, w.stats, o)
	case "authdata":
		return WriteAuthData(out, w.auth, o)
	}
	return WriteSelectData(out, w.selects, o)
}

// TestReportsAreChronycs wants for the same figures the same text, octet for
// octet, as chronyc 4.6.1 was seen to print.
func TestReportsAreChronycs(t *testing.T) {
	for _, w := range worlds() {
		t.Run(w.name, func(t *testing.T) {
			seen := readSessions(t, w.name)
			for _, args := range commands {
				command := strings.Join(args, " ")
				var got strings.Builder
				if err := w.write(&got, args); err != nil {
					t.Fatal(err)
				}
				want, ok := seen[command]
				if !ok {
					t.Fatalf("nothing was captured of %s", command)
				}
				compareLines(t, command, got.String(), want)
			}
		})
	}
}

func compareLines(t *testing.T, what, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			t.Errorf("%s: line %d is missing: %q", what, i+1, w[i])
		case i >= len(w):
			t.Errorf("%s: line %d is too much: %q", what, i+1, g[i])
		case g[i] != w[i]:
			t.Errorf("%s: line %d\n%q\nwant\n%q", what, i+1, g[i], w[i])
		}
	}
}

// readSessions returns what was captured, by command.
func readSessions(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "chronyc", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, session := range strings.Split(string(text), "$ chronyc ")[1:] {
		command, output, _ := strings.Cut(session, "\n")
		seen[command] = output
	}
	return seen
}

// TestChronycShowsTheSame asks the real chronyc, which is told the same by a
// daemon of this test. With NTSBRIDGE_UPDATE=1 it writes what TestReportsAreChronycs
// compares with.
func TestChronycShowsTheSame(t *testing.T) {
	needs.Root(t, "chroot")
	root := needs.Peer(t, "trixie")
	for _, w := range worlds() {
		port := w.serve(t)
		var file strings.Builder
		for _, args := range commands {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			all := append([]string{root, "/usr/bin/chronyc", "-h", "127.0.0.1", "-p", strconv.Itoa(port)},
				args...)
			out, err := exec.CommandContext(ctx, "chroot", all...).CombinedOutput()
			cancel()
			if err != nil {
				t.Fatalf("%s: %v: %s", args, err, out)
			}
			fmt.Fprintf(&file, "$ chronyc %s\n%s", strings.Join(args, " "), out)
			var got strings.Builder
			if err := w.write(&got, args); err != nil {
				t.Fatal(err)
			}
			if !update {
				compareLines(t, w.name+": "+strings.Join(args, " "), got.String(), string(out))
			}
		}
		if update {
			if err := os.WriteFile(filepath.Join("testdata", "chronyc", w.name+".txt"), []byte(file.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// serve answers chronyc about a world until the test ends.
func (w *world) serve(t *testing.T) (port int) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		request := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(request)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(w.answer(request[:n]), from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).Port
}

func (w *world) answer(request []byte) []byte {
	c := Chrony{Reports: func() *ChronyReports {
		return &ChronyReports{Tracking: &w.tracking, Sources: w.sources, SourceStats: w.stats, AuthData: w.auth, SelectData: w.selects}
	}}
	return c.Respond(request, true)
}

// coarse is a number as chrony's format keeps it, so that rounding is not what
// is compared.
func coarse(v float64) float64 {
	fraction, exponent := math.Frexp(v)
	return math.Ldexp(math.Round(math.Ldexp(fraction, chronyFraction)), exponent-chronyFraction)
}

// worlds are what is shown: everything usual, and everything that columns may
// not expect.
func worlds() []*world {
	all := []*world{usual(), {name: "start", tracking: Tracking{Leap: ntp.LeapUnknown, RootDelay: 1, RootDispersion: 1}}, extremes()}
	for i, v := range []float64{0, 1e-9, -0.4e-9, 0.6e-9, 1e9, -3.2e7} {
		rate := v * 1e4
		all = append(all, &world{name: fmt.Sprintf("clock%d", i), tracking: Tracking{
			ReferenceID: 0x47505300, ReferenceName: "GPS", Stratum: 1, Leap: ntp.Leap(i % 4),
			ReferenceTime: time.Unix(int64(v*250), 0), SystemOffset: coarse(v), LastOffset: coarse(0 - v), RMSOffset: coarse(math.Abs(v)),
			Frequency: coarse(rate), Residual: coarse(0 - rate), Skew: coarse(math.Abs(rate)), RootDelay: coarse(v),
			RootDispersion: coarse(v), UpdateInterval: coarse(v),
		}})
	}
	all = append(all, &world{name: "local", tracking: Tracking{ReferenceID: 0x7f7f0101, Stratum: 10,
		ReferenceTime: time.Unix(1700000000, 5e8)}})
	return all
}

func usual() *world {
	w := &world{name: "usual", tracking: Tracking{
		ReferenceID: 0xC0000201, ReferenceName: "ntp1.example.net", ReferenceAddress: "192.0.2.1", Stratum: 3,
		ReferenceTime: time.Unix(1785509249, 123e6), SystemOffset: coarse(-6.523e-6), LastOffset: coarse(-6.747e-6),
		RMSOffset: coarse(35.822e-6),
		Frequency: coarse(-3.225), Residual: coarse(-0.0004), Skew: coarse(0.129), RootDelay: coarse(0.013639022),
		RootDispersion: coarse(0.001100737), UpdateInterval: coarse(64.2),
	}}
	one := 1.0
	for i, s := range []struct {
		source Source
		auth   AuthData
	}{
		{Source{Mode: ModeServer, State: StateSelected, Name: "ntp1.example.net", Address: "192.0.2.1", Stratum: 2, Poll: 6, Reach: 0o377,
			LastRx: 23, Offset: -12e-6, Measured: -923e-9, Error: 43e-3},
			AuthData{Mode: AuthNTS, KeyID: 1, Type: 30, KeyLength: 128, Last: 135, Cookies: 8, CookieLength: 64}},
		{Source{Mode: ModeServer, State: StateCombined, Name: "ntp2.example.net", Address: "2001:db8::7b", Stratum: 2, Poll: 6,
			Reach: 0o377, LastRx: 21, Offset: -2629e-6, Measured: -2619e-6, Error: 86e-3},
			AuthData{Mode: AuthSymmetric, KeyID: 30, Type: 13, KeyLength: 128, Last: -1}},
		{Source{Mode: ModePeer, State: StateFalseticker, Name: "b.example.net", Address: "198.51.100.7", Stratum: 3, Poll: 10,
			Reach: 0o17, LastRx: 1202, Offset: 1.2, Measured: 1.21, Error: 99e-3},
			AuthData{Last: -1}},
		{Source{Mode: ModeReferenceClock, State: StateNotCombined, Name: "PPS0", Poll: 4, Reach: 0o377, LastRx: 11, Offset: -479e-9,
			Measured: -621e-9, Error: 134e-9}, AuthData{}},
		{Source{Mode: ModeServer, State: StateUnusable, Name: "a-very-long-name-of-a-server.example.net",
			Address: "2001:db8:1111:2222:3333:4444:5555:6666", Poll: 6, LastRx: -1},
			AuthData{Mode: AuthNTS, Attempts: 5, Last: -1, NAKs: 1}},
	} {
		src, auth := s.source, s.auth
		src.Offset, src.Measured, src.Error = coarse(src.Offset), coarse(src.Measured), coarse(src.Error)
		auth.Name, auth.Address = src.Name, src.Address
		w.sources = append(w.sources, src)
		if src.Mode != ModeReferenceClock {
			w.auth = append(w.auth, auth)
		}
		w.stats = append(w.stats, SourceStats{Name: src.Name, Address: src.Address, Samples: uint64(11 * i), Span: uint64(2760 * i),
			Frequency: coarse(0 - 0.001*float64(i)), Skew: coarse(0.045), Offset: src.Offset, Deviation: src.Error})
		w.selects = append(w.selects, SelectData{State: "*+xPM"[i : i+1], Name: src.Name, Address: src.Address, Authenticated: i < 2,
			Effective: Options{Trust: i == 0, Require: i < 2}, Configured: Options{Prefer: i == 3}, LastRx: src.LastRx, Score: &one,
			Low: coarse(src.Offset - src.Error), High: coarse(src.Offset + src.Error), Leap: ntp.Leap(i % 4)})
	}
	return w
}

// extremes goes through all units of all columns.
func extremes() *world {
	w := &world{name: "extremes", tracking: Tracking{ReferenceID: 0x12345678, ReferenceAddress: "2001:db8:1111:2222:3333:4444:5555:6666",
		ReferenceName: "an.even.longer.name.than.the.columns.have.example.net", Stratum: 16}}
	w.sources = append(w.sources, Source{Name: w.tracking.ReferenceName, Address: w.tracking.ReferenceAddress})
	values := []float64{0, 1e-9, -1e-9, 0.4e-9, -0.4e-9, 999e-9, 9999e-9, 9999.4e-9, 9999.6e-9, 12e-6, 9999.4e-6, 9999.6e-6, 10.5e-3,
		9.9994, 9.9996, 99.94, 99.96,
		999.4, 999.6, 9999.4, 99999, 99999.9, 5.9999e6, 5.99998e6, 3.2e7, 3.5999e8, 3.59999e8, 8.6399e9, 8.64e9, 1e11, 3.1e11, 3.2e11}
	ages := []int64{0, 1, 999, 1000, 1199, 1200, 3599, 3600, 35999, 36000, 86400, 345599, 345600, 86399999, 86400000, 4294967294, -1}
	score := make([]float64, len(values))
	for i, v := range values {
		v = coarse(v)
		score[i] = math.Abs(v)
		address := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}).String()
		name, age := "n"+strconv.Itoa(i)+strings.Repeat("x", i), ages[i%len(ages)]
		w.sources = append(w.sources, Source{Name: name, Address: address, LastRx: age, Stratum: uint8(i % 17), Poll: i - 7,
			Reach: uint8(i * 9),
			Mode:  []SourceMode{ModeServer, ModePeer}[i%2], Offset: 0 - v, Measured: v, Error: math.Abs(v),
			State: []SourceState{StateSelected, StateUnusable, StateFalseticker, StateTooVariable, StateCombined, StateNotCombined}[i%6]})
		w.stats = append(w.stats, SourceStats{Name: name, Address: address, Samples: uint64(i * i * 3), Span: uint64(uint32(age)),
			Frequency: coarse(0 - v*1e3), Skew: coarse(math.Abs(v) * 1e4), Offset: v, Deviation: math.Abs(v)})
		w.auth = append(w.auth, AuthData{Name: name, Address: address, Mode: []AuthMode{AuthNone, AuthSymmetric, AuthNTS}[i%3],
			KeyID: uint32(i * i * i * i * 1000), Type: uint16(i * 300),
			KeyLength: i * 64, Last: age, Attempts: i * 1000, NAKs: i % 3, Cookies: i, CookieLength: i * 40})
		w.selects = append(w.selects, SelectData{State: "NsMdD~wWSOTPUx+*"[i%16 : i%16+1], Name: name, Address: address,
			Authenticated: i%2 == 0, LastRx: age, Score: &score[i],
			Configured: Options{NoSelect: i&1 > 0, Prefer: i&2 > 0, Trust: i&4 > 0, Require: i&8 > 0},
			Effective:  Options{NoSelect: i&8 > 0, Prefer: i&4 > 0, Trust: i&2 > 0, Require: i&1 > 0},
			Low:        0 - v, High: v, Leap: ntp.Leap(i % 4)})
	}
	w.tracking.ReferenceTime = time.Unix(253402300799, 999999999)
	first := &w.sources[0]
	first.Mode, first.State = ModeServer, StateSelected
	w.stats = slices.Insert(w.stats, 0, SourceStats{Name: first.Name, Address: first.Address})
	w.selects = slices.Insert(w.selects, 0, SelectData{State: "*", Name: first.Name, Address: first.Address, Score: &score[0]})
	w.auth = slices.Insert(w.auth, 0, AuthData{Name: first.Name, Address: first.Address})
	return w
}
