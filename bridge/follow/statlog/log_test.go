package statlog

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"

	"ntsbridge/bridge/statedir/smalldisk"
)

// recorded returns the lines of a real program, see doc of the package.
func recorded(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(string(text), "\n")
}

var (
	loopback = netip.MustParseAddr("127.0.0.1")
	moment   = time.Date(2026, 11, 29, 13, 29, 33, 802_000_000, time.UTC)
)

// With the values of a real program's line ours is the same, octet by octet.
func TestFormsOfRealPrograms(t *testing.T) {
	h := ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 3, Poll: -1, ReferenceID: 0x7f7f0101}
	m := Measurement{At: moment, Address: loopback, Header: h, Offset: -2.649e-06, Delay: 8.430e-06, Spread: 1.636e-07,
		Poll: -1, Accepted: true,
		TX: 'K', RX: 'K', Source: Source{Samples: 3, Jitter: 7.924e-07, Estimate: -3.630e-06, Deviation: 8.463e-07,
			Frequency: 4.821e-06, Skew: 3.750e-03}}
	u := Update{At: moment, Address: loopback, Stratum: 4, Frequency: 2.837e-6, Skew: 64.294e-6, Offset: -2.396e-08,
		Sources: 1, Deviation: 4.364e-07,
		Remaining: -3.636e-06, RootDelay: 8.821e-06, RootDispersion: 1.313e-05, Bound: 7.681e-01}
	for _, c := range []struct {
		file    string
		line    int
		replace [2]string // what only their regression has
		got     string
	}{
		{"measurements.log", 4, [2]string{"0.59", "1.00"}, m.measurement()},
		{"statistics.log", 3, [2]string{"2.4e-03   3   0   3", "0.0e+00   3   0   0"}, m.statistics()},
		{"tracking.log", 5, [2]string{}, u.tracking()},
	} {
		want := recorded(t, c.file)[c.line]
		if c.replace[0] != "" {
			want = strings.Replace(want, c.replace[0], c.replace[1], 1)
		}
		if c.got != want {
			t.Errorf("%s:\n%s%s", c.file, c.got, want)
		}
	}
	for name, heading := range headings {
		if name == Refclocks {
			continue
		}
		real := recorded(t, name+".log")
		if real[1] != heading+"\n" || real[0] != strings.Repeat("=", len(heading))+"\n" {
			t.Errorf("%s: heading\n%s\n%s", name, heading, real[1])
		}
	}
	clock := Measurement{At: moment, Name: "127.127.1.0", Delay: 0, Spread: 7.937500030, Source: Source{Jitter: 60e-9,
		Reach: true, Event: 0x14}}
	if got, want := clock.peerstats(), recorded(t, "peerstats")[0]; !strings.HasPrefix(want, "61373 48573.802") || got != want {
		t.Errorf("peerstats:\n%s%s", got, want)
	}
	raw := Measurement{At: time.Date(2026, 11, 29, 13, 29, 34, 799_000_000, time.UTC), Address: loopback, Local: loopback,
		Header: ntp.Header{Leap: 3, Version: 4, Mode: 3, Poll: 3, Precision: -24, ReferenceID: ntp.KissCode("INIT")},
		T:      [4]ntp.Timestamp{2: 4004947774<<32 | 3429815293}}
	want := strings.Replace(recorded(t, "rawstats")[0], " 16777216.000000 ", " 0.000000 ", 1) // theirs is the wrong byte order
	if got := raw.rawstats(); got != want {
		t.Errorf("rawstats:\n%s%s", got, want)
	}
	loop := Update{At: time.Date(2026, 11, 29, 13, 58, 19, 648_000_000, time.UTC), Jitter: 60e-9, Poll: 3}
	if got, want := loop.loopstats(), recorded(t, "loopstats")[0]; got != want {
		t.Errorf("loopstats:\n%s%s", got, want)
	}
	if got := u.loopstats(); got != "61373 48573.802 0.000000024 -2.837 0.000000000 64.294000 0\n" {
		t.Errorf("loopstats: %s", got)
	}
}

func allFiles() []string {
	return []string{Measurements, Statistics, Tracking, Refclocks, Loopstats, Peerstats, Rawstats, Clockstats, Sysstats,
		Protostats, Cryptostats}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "loopstats"), []byte("of old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := Open(Config{Dir: dir, Files: allFiles(), Rotate: "day", Link: true, Banner: 2, OnError: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for day := range 2 {
		at := moment.AddDate(0, 0, day)
		for range 3 {
			l.Measure(&Measurement{At: at, Address: loopback, Accepted: true, TX: 'K', RX: 'K'})
		}
		l.Measure(&Measurement{At: at, Name: "PPS0", Accepted: true})
		l.Update(&Update{At: at, Address: loopback})
		l.System(&System{At: at, Uptime: time.Hour, Received: 5})
		l.Event(at, "127.0.0.1", 0x8014, 0x84, "reachable")
		l.Crypto(at, "127.0.0.1", "cert\nand more")
	}
	l.Close()
	l.Update(&Update{At: moment}) // after the end: nothing
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	if m := read("measurements.log.20261129"); strings.Count(m, "Date (UTC)") != 2 || strings.Count(m, "\n") != 9 {
		t.Errorf("headings each two lines:\n%s", m)
	}
	for _, name := range []string{"tracking.log", "loopstats", "protostats", "sysstats", "clockstats", "cryptostats",
		"peerstats", "rawstats", "refclocks.log", "statistics.log"} {
		if first, second, link := read(name+".20261129"), read(name+".20261130"), read(name); link != second || first == second {
			t.Errorf("%s:\n%s\n%s\n%s", name, first, second, link)
		}
	}
	if p := read("protostats.20261129"); p != "61373 48573.802 127.0.0.1 8014 84 reachable\n" {
		t.Errorf("protostats %q", p)
	}
	if c := read("cryptostats"); strings.Count(c, "\n") != 1 {
		t.Errorf("cryptostats %q", c)
	}
	old, _ := filepath.Glob(filepath.Join(dir, "loopstats.C*"))
	if len(old) != 1 || read(filepath.Base(old[0])) != "of old\n" {
		t.Errorf("what was there before: %v", old)
	}
}

// A file that somebody moved away is begun anew.
func TestMovedAway(t *testing.T) {
	dir := t.TempDir()
	f := &file{name: Loopstats, config: &Config{Dir: dir, Rotate: "none"}}
	defer f.close()
	for _, step := range []string{"one\n", "two\n"} {
		if err := f.write(moment, step); err != nil {
			t.Fatal(err)
		}
		if text, _ := os.ReadFile(filepath.Join(dir, "loopstats")); string(text) != step {
			t.Errorf("%q, want %q", text, step)
		}
		if err := os.Rename(filepath.Join(dir, "loopstats"), filepath.Join(dir, "loopstats.1")); err != nil {
			t.Fatal(err)
		}
	}
}

// On a full disk lines are lost, each as a whole; that is told once, with what to
// do, and when there is room they go on, with what stands above them, through a
// rotation too.
func TestFullDisk(t *testing.T) {
	d := smalldisk.New(t)
	told := make(chan error, 100)
	w := writer{files: map[string]*file{}, config: &Config{Dir: d.Dir, Files: []string{Measurements, Loopstats}, Rotate: "day", Link: true,
		OnError: func(err error) { told <- err }}}
	d.Fill(8192)
	for i := range 2000 { // what is in the last page of each file, and beyond
		at := moment.Add(time.Duration(i/1000) * 24 * time.Hour)
		w.write(line{Loopstats, at, "a line of some length for the loopstats file\n"})
	}
	if len(told) != 1 {
		t.Fatalf("told %d times", len(told))
	}
	if err := <-told; !strings.Contains(err.Error(), "make room") || !strings.Contains(err.Error(), filepath.Join(d.Dir, "loopstats.")) {
		t.Error(err)
	}
	d.Empty()
	for day := range 2 {
		w.write(line{Measurements, moment.AddDate(0, 0, day), "a measurement\n"})
		w.write(line{Loopstats, moment.AddDate(0, 0, day), "a line of some length for the loopstats file\n"})
	}
	w.close()
	if len(told) != 0 {
		t.Errorf("with room again: %v", <-told)
	}
	for _, name := range []string{"loopstats.20261129", "loopstats.20261130", "loopstats", "measurements.log.20261130"} {
		text, err := os.ReadFile(d.Path(name))
		if err != nil || len(text) == 0 || text[len(text)-1] != '\n' {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		for _, one := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			if strings.HasPrefix(name, "loopstats") && one != "a line of some length for the loopstats file" {
				t.Errorf("%s: a torn line %q", name, one)
			}
		}
		if strings.HasPrefix(name, "measurements") && !strings.HasPrefix(string(text), "====") {
			t.Errorf("%s: no heading: %q", name, text)
		}
	}
}

func TestOpen(t *testing.T) {
	if l, err := Open(Config{}); l != nil || err != nil {
		t.Errorf("nothing to write: %v %v", l, err)
	}
	place := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(place, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: place, Files: allFiles()}); err == nil || !strings.Contains(err.Error(), place) {
		t.Errorf("a directory that is none: %v", err)
	}
}

// The names are those of files that ntpd 4.2.8p15 made; that its weeks are those
// of ISO 8601 was seen with its clock at the ends of years.
func TestSuffix(t *testing.T) {
	for _, c := range []struct {
		rotate, at string
		age        time.Duration
		want       string
	}{
		{"none", "2026-11-29", 0, ""},
		{"day", "2026-11-29", 0, ".20261129"},
		{"week", "2026-11-29", 0, ".2026w48"},
		{"week", "2027-01-01", 0, ".2026w53"},
		{"week", "2024-12-30", 0, ".2025w01"},
		{"week", "2026-01-04", 0, ".2026w01"},
		{"month", "2026-11-29", 0, ".202611"},
		{"year", "2026-11-29", 0, ".2026"},
		{"pid", "2026-11-29", 0, fmt.Sprintf(".#%d", os.Getpid())},
		{"age", "2026-11-29", 25 * time.Second, ".a00000000"},
		{"age", "2026-11-29", 50 * time.Hour, ".a00172800"},
	} {
		at, err := time.Parse(time.DateOnly, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := suffix(c.rotate, at.Add(13*time.Hour), c.age); got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.rotate, c.at, got, c.want)
		}
	}
}

// Every kind of rotation writes one file, and its plain name with link alone.
func TestRotations(t *testing.T) {
	for _, rotate := range []string{"none", "pid", "day", "week", "month", "year", "age"} {
		for _, link := range []bool{false, true} {
			dir := t.TempDir()
			l, err := Open(Config{Dir: dir, Files: []string{Loopstats}, Rotate: rotate, Link: link})
			if err != nil {
				t.Fatal(err)
			}
			l.Update(&Update{At: moment, Address: loopback})
			l.Close()
			names, _ := filepath.Glob(filepath.Join(dir, "*"))
			want := []string{filepath.Join(dir, "loopstats") + suffix(rotate, moment, 0)}
			if link && rotate != "none" {
				want = append([]string{filepath.Join(dir, "loopstats")}, want...)
			}
			if !slices.Equal(names, want) {
				t.Errorf("%s, link %v: %v, want %v", rotate, link, names, want)
			}
		}
	}
}
