package leap

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/facebook/time/leaphash"
	"github.com/facebook/time/leapsectz"

	"ntsbridge/bridge/ntp"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".hex") {
		if b, err = hex.DecodeString(strings.Join(strings.Fields(string(b)), "")); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func parse(t testing.TB, name string, data []byte) *Table {
	t.Helper()
	table, err := Parse(name, data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func date(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

// The three forms of one publication say the same.
func TestRealTables(t *testing.T) {
	list := parse(t, "list", file(t, "leap-seconds.list"))
	text := parse(t, "text", file(t, "leapseconds"))
	tzif := parse(t, "tzif", file(t, "right-UTC.hex"))
	for _, c := range []struct {
		table   *Table
		format  Format
		hashed  bool
		expires string
	}{{list, FormatList, true, "2027-06-28"}, {text, FormatLeapSecond, false, "2027-06-28"}, {tzif, FormatTZif, false, ""}} {
		t.Run(c.table.Source, func(t *testing.T) {
			if c.table.Format != c.format || c.table.Hashed != c.hashed {
				t.Errorf("format %v, hashed %v", c.table.Format, c.table.Hashed)
			}
			if e := c.table.expires; c.expires == "" && !e.IsZero() || c.expires != "" && !e.Equal(date(c.expires)) {
				t.Errorf("expires %v, want %s", e, c.expires)
			}
			if got := c.table.Entries(); len(got) != 28 || !slices.Equal(got, list.Entries()) {
				t.Errorf("%d entries, or not those of the list: %v", len(got), got)
			}
			for day, want := range map[string]int{"1972-01-01": 10, "1972-06-30": 10, "1972-07-01": 11, "1999-01-01": 32,
				"2016-12-31": 36, "2017-01-01": 37, "2026-11-22": 37} {
				if tai, ok := c.table.At(date(day)); !ok || tai != want {
					t.Errorf("%s: TAI-UTC %d %v, want %d", day, tai, ok, want)
				}
			}
			if _, ok := c.table.At(date("1971-12-31")); ok {
				t.Error("TAI-UTC before 1972 is known")
			}
			at, leap, ok := c.table.Next(date("2015-07-01"))
			if !ok || leap != ntp.LeapInsert || !at.Equal(date("2017-01-01")) {
				t.Errorf("next after July 2015: %v %v %v", at, leap, ok)
			}
			if at, _, ok := c.table.Next(date("2017-01-01")); ok {
				t.Errorf("there is one after 2017: %v", at)
			}
		})
	}
}

// The other reader of compiled zones finds the same leap seconds.
func TestTZifAgainstLeapsectz(t *testing.T) {
	name := filepath.Join(t.TempDir(), "UTC")
	data := file(t, "right-UTC.hex")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, err := leapsectz.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, data []byte) {
		ours := parse(t, "UTC", data).Entries()[1:]
		if len(ours) != len(theirs) {
			t.Fatalf("%d leap seconds, they find %d", len(ours), len(theirs))
		}
		for i, e := range ours {
			if !e.At.Equal(theirs[i].Time()) || e.TAI != 10+int(theirs[i].Nleap) {
				t.Errorf("%v, they say %v %d", e, theirs[i].Time().UTC(), theirs[i].Nleap)
			}
		}
	}
	t.Run("as compiled", func(t *testing.T) { check(t, data) })
	for _, version := range []byte{0, '2'} {
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			var b bytes.Buffer
			if err := leapsectz.Write(&b, version, theirs, "UTC"); err != nil {
				t.Fatal(err)
			}
			check(t, b.Bytes())
		})
	}
}

// tzif builds a version 4 file from 64-bit leap second records.
func tzif(records ...[2]int64) []byte {
	block := func(size int, records [][2]int64) []byte {
		b := append([]byte("TZif4"), make([]byte, 15)...)
		for _, n := range []uint32{0, 0, uint32(len(records)), 0, 1, 4} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		b = append(b, "\x00\x00\x00\x00\x00\x00UTC\x00"...)
		for _, r := range records {
			if size == 8 {
				b = binary.BigEndian.AppendUint64(b, uint64(r[0]))
			} else {
				b = binary.BigEndian.AppendUint32(b, uint32(r[0]))
			}
			b = binary.BigEndian.AppendUint32(b, uint32(r[1]))
		}
		return b
	}
	return append(append(block(4, nil), block(8, records)...), "\nUTC0\n"...)
}

func TestTZifVersion4(t *testing.T) {
	expires := date("2027-06-28").Unix() + 3
	table := parse(t, "v4", tzif([2]int64{date("1972-07-01").Unix(), 1}, [2]int64{date("1973-01-01").Unix() + 1, 2},
		[2]int64{date("1974-01-01").Unix() + 2, 3}, [2]int64{expires, 3}))
	if !table.expires.Equal(date("2027-06-28")) || len(table.Entries()) != 4 {
		t.Errorf("expires %v, %d entries", table.expires, len(table.Entries()))
	}
	// A negative leap second: 23:59:59 of 30 June 2027 is left out.
	table = parse(t, "negative", tzif([2]int64{date("1972-07-01").Unix(), 1}, [2]int64{date("2027-07-01").Unix() - 1 + 1, 0}))
	if at, leap, ok := table.Next(date("2027-01-01")); !ok || leap != ntp.LeapDelete || !at.Equal(date("2027-07-01")) {
		t.Errorf("negative leap second: %v %v %v", at, leap, ok)
	}
	// Cut off at the start: what was before is not known.
	table = parse(t, "cut", tzif([2]int64{date("2015-07-01").Unix() + 26, 26}, [2]int64{date("2017-01-01").Unix() + 26, 27}))
	if _, ok := table.At(date("2012-01-01")); ok {
		t.Error("known before the table begins")
	}
	if tai, ok := table.At(date("2020-01-01")); !ok || tai != 37 || table.Entries()[0].Leap != ntp.LeapNone {
		t.Errorf("cut off: TAI-UTC %d %v, entries %v", tai, ok, table.Entries())
	}
}

func TestTextOfOtherForms(t *testing.T) {
	table := parse(t, "leapseconds", []byte("Leap 1972 Jun 30 23:59:60 + S\nLeap\t2027\tDec\t31\t23:59:59\t-\tS\nExpires "+
		"2028 Jun 28 00:00:00\n"))
	if at, leap, _ := table.Next(date("2020-01-01")); leap != ntp.LeapDelete || !at.Equal(date("2028-01-01")) {
		t.Errorf("next %v %v", at, leap)
	}
	if tai, _ := table.At(date("2028-01-01")); tai != 10 || !table.expires.Equal(date("2028-06-28")) {
		t.Errorf("TAI-UTC %d, expires %v", tai, table.expires)
	}
}

func TestMonth(t *testing.T) {
	const lines = "2272060800 10\n3644697600 36\n3692217600 37\n"
	list := func(expires string) *Table {
		return parse(t, "list", fmt.Appendf(nil, "#@ %d\n%s", date(expires).Unix()+unixEpochNTP, lines))
	}
	endless := parse(t, "endless", []byte(lines))
	for _, c := range []struct {
		name  string
		table *Table
		now   string
		leap  ntp.Leap
		known bool
	}{
		{"the month of a leap second", list("2017-06-28"), "2016-12-01", ntp.LeapInsert, true},
		{"its last day", list("2017-06-28"), "2016-12-31", ntp.LeapInsert, true},
		{"the month before", list("2017-06-28"), "2016-11-30", ntp.LeapNone, true},
		{"the month after", list("2017-06-28"), "2017-01-01", ntp.LeapNone, true},
		{"the month in which it expires", list("2017-06-28"), "2017-06-01", ntp.LeapNone, false},
		{"expired", list("2017-06-28"), "2020-06-01", ntp.LeapNone, false},
		{"before it begins", list("2017-06-28"), "1971-06-01", ntp.LeapNone, false},
		{"no expiry, a leap second", endless, "2016-12-31", ntp.LeapInsert, true},
		{"no expiry, none", endless, "2026-12-31", ntp.LeapNone, false},
	} {
		if leap, known := c.table.Month(date(c.now)); leap != c.leap || known != c.known {
			t.Errorf("%s: %v %v", c.name, leap, known)
		}
	}
	if leap, known := list("2017-06-28").Month(date("2016-12-31").Add(24*time.Hour - 1)); leap != ntp.LeapInsert || !known {
		t.Errorf("the last nanosecond before: %v %v", leap, known)
	}
}

func TestWarning(t *testing.T) {
	table := parse(t, "/x/list", file(t, "leap-seconds.list"))
	for now, want := range map[string]string{"2026-11-22": "", "2027-06-10": "expires on 2027-06-28",
		"2027-06-28": "expired on 2027-06-28"} {
		got := table.Warning(date(now))
		if (got == "") != (want == "") || !strings.Contains(got, want) || want != "" && !strings.Contains(got, "/x/list") {
			t.Errorf("%s: %q", now, got)
		}
	}
	if tai, ok := table.At(date("2030-01-01")); !ok || tai != 37 {
		t.Error("an expired table does not know TAI-UTC any more")
	}
}

func TestHash(t *testing.T) {
	good := file(t, "leap-seconds.list")
	bad := bytes.Replace(good, []byte("3692217600      37"), []byte("3692217600      38"), 1)
	if _, err := Parse("list", bad, Options{}); !errors.Is(err, errHash) {
		t.Errorf("changed: %v", err)
	}
	if table, err := Parse("list", bad, Options{IgnoreHash: true}); err != nil || table.Hashed {
		t.Errorf("changed, hash ignored: %v", err)
	}
	if _, err := Parse("list", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), Options{}); err != nil {
		t.Errorf("with CRLF: %v", err)
	}
	// NIST leaves out the zeros before each group.
	text := ""
	for second := 3945196800; !strings.Contains(" "+leaphash.Compute(text), " 0"); second++ {
		text = fmt.Sprintf("#$\t%d\n2272060800\t10\t# 1 Jan 1972\n", second)
	}
	groups := strings.Fields(leaphash.Compute(text))
	for i := range groups {
		groups[i] = strings.TrimLeft(groups[i], "0")
	}
	if table, err := Parse("nist", []byte(text+"#h\t"+strings.Join(groups, " ")+"\n"), Options{}); err != nil || !table.Hashed {
		t.Errorf("zeros left out: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for name, bad := range map[string]string{
		"empty": "", "one column": "3692217600\n", "words": "a b\n", "hash of too few groups": "2272060800 10\n#h 1 2 3\n",
		"twice": "2272060800 10\n2272060800 11\n", "not at midnight": "2272060801 10\n", "TAI of years": "2272060800 5000\n",
		"no expiry": "#@\n2272060800 10\n", "expiry in words": "#@ never\n2272060800 10\n",
		"Leap alone": "Leap\n", "rolling": "Leap 1972 Jun 30 23:59:60 + R\n", "another time": "Leap 1972 Jun 30 12:59:60 + S\n",
		"no day": "Leap 1972 Jun 31 23:59:60 + S\n", "another word": "Leap 1972 Jun 30 23:59:60 + S\nHop\n",
		"TZif alone": "TZif", "TZif of nothing": string(tzif()), "long": strings.Repeat("# comment\n", 7000),
		"TZif with a jump": string(tzif([2]int64{date("1972-07-01").Unix(), 1}, [2]int64{date("1973-01-01").Unix() + 1, 5})),
		"TZif that ends in between": string(tzif([2]int64{date("1972-07-01").Unix(), 1}, [2]int64{date("1973-01-01").Unix(),
			1}, [2]int64{date("1974-01-01").Unix(), 2})),
	} {
		if _, err := Parse("here", []byte(bad), Options{}); err == nil || !strings.Contains(err.Error(), "here") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFind(t *testing.T) {
	now := date("2026-11-22")
	old := []byte("#@ 3928521600\n2272060800 10\n") // June 2024
	older := []byte("#@ 3771532800\n2272060800 10\n")
	list, zone := file(t, "leap-seconds.list"), file(t, "right-UTC.hex")
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"first place", map[string][]byte{Places[0]: list, Places[5]: zone}, Places[0]},
		{"valid before expired", map[string][]byte{Places[0]: old, Places[1]: file(t, "leapseconds"), Places[5]: zone}, Places[1]},
		{"the later of two expired", map[string][]byte{Places[0]: older, Places[2]: old, Places[5]: zone}, Places[2]},
		{"a zone alone", map[string][]byte{Places[5]: zone}, Places[5]},
		{"broken ones are passed over", map[string][]byte{Places[0]: []byte("x"), Places[5]: zone}, Places[5]},
	} {
		files := fstest.MapFS{}
		for name, data := range c.files {
			files[name] = &fstest.MapFile{Data: data}
		}
		if table, err := Find(files, now); err != nil || table.Source != "/"+c.want {
			t.Errorf("%s: %+v %v, want %s", c.name, table, err, c.want)
		}
	}
	_, err := Find(fstest.MapFS{Places[0]: &fstest.MapFile{Data: []byte("x y")}}, now)
	if err == nil || !strings.Contains(err.Error(), "line 1") || !strings.Contains(err.Error(), "tzdata") {
		t.Errorf("nothing usable: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"leap-seconds.list", "leapseconds", "right-UTC.hex"} {
		f.Add(file(f, name))
	}
	f.Add(tzif([2]int64{date("1972-07-01").Unix(), 1}, [2]int64{date("2027-06-28").Unix() + 1, 1}))
	f.Add(tzif([2]int64{date("2015-07-01").Unix() + 26, 26}, [2]int64{date("2027-07-01").Unix() + 25, 25}))
	f.Add([]byte("Leap 1972 Jun 30 23:59:60 + S\nExpires 2028 Jun 28 00:00:00\n"))
	f.Add([]byte("#$ 3676924800\n#@ 3928521600\n2272060800 10 # 1 Jan 1972\n3692217600 37\n#h 1 2 3 4 5\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Parse("fuzz", data, Options{IgnoreHash: true})
		if err != nil {
			return
		}
		entries := table.Entries()
		for i, e := range entries {
			if tai, ok := table.At(e.At); !ok || tai != e.TAI {
				t.Fatalf("%v: TAI-UTC %d %v", e, tai, ok)
			}
			if i > 0 && !e.At.After(entries[i-1].At) {
				t.Fatalf("%v after %v", e, entries[i-1])
			}
			table.Month(e.At.Add(-time.Hour))
		}
		if nearest, ok := table.Nearest(entries[0].At); ok && nearest.seconds() == 0 {
			t.Fatalf("nearest %v is no leap second", nearest)
		}
		table.Warning(entries[0].At)
	})
}
