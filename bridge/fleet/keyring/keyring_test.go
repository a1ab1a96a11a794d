package keyring

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/symkey"
)

var now = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func key(t testing.TB, id uint32, digest, secret string) *symkey.Key {
	t.Helper()
	k, err := symkey.NewKey(id, digest, []byte(secret), nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAudit(t *testing.T) {
	old := Held{Key: key(t, 5, "SHA1", "0123456789abcdefghij"), Trusted: true, Made: now.Add(-400 * day)}
	fresh := Held{Key: key(t, 6, "AES128CMAC", "0123456789abcdef"), Trusted: true, Made: now.Add(-day)}
	twin := Held{Key: key(t, 7, "SHA1", "0123456789abcdefghij"), Trusted: true, Made: now, Sources: []string{"sources[0] tock"}}
	used := []*report.Key{
		{Kind: "symmetric", Key: 5, Clients: 12, Last: report.Time(now.Add(-time.Hour).Unix()), Labels: map[string]int{"a": 5, "b": 7}},
		{Kind: "symmetric", Key: 7, Clients: 1, Last: report.Time(now.Add(-time.Hour).Unix())},
		{Kind: "autokey", Group: "x"},
	}
	list := Audit([]Held{twin, old, fresh}, used, now.Add(-200*day), DefaultLimits, now)
	for i, wants := range [][]string{
		{"SHA1 is deprecated", "400 days ago or earlier", "12 clients share it", "of 2 labels", "also that of key 7"},
		{"no client has used it for 200 days: retire it (keys retire 6)"},
		{"SHA1 is deprecated", "also that of key 5", "our own source sources[0] tock too"},
	} {
		a := list[i]
		if got := strings.Join(a.Findings, "\n"); len(a.Findings) != len(wants) && i > 0 {
			t.Errorf("key %d: %s", a.ID, got)
		}
		for _, want := range wants {
			if !strings.Contains(strings.Join(a.Findings, "\n"), want) {
				t.Errorf("key %d: %q is not in %q", a.ID, want, a.Findings)
			}
		}
		if strings.Contains(fmt.Sprintf("%+v %#v", a, a), "0123456789") {
			t.Error("a secret is shown")
		}
	}
	// Where nobody watched, nothing is said of use.
	if list := Audit([]Held{fresh}, nil, time.Time{}, DefaultLimits, now); len(list[0].Findings) != 0 {
		t.Errorf("%q", list[0].Findings)
	}
}

func TestGate(t *testing.T) {
	at := func(d time.Duration) uint32 { return uint32(now.Add(d).Unix()) }
	whole := []gate.Interval{{Start: at(-60 * day), End: at(-20 * day)}, {Start: at(-20*day + 30*time.Minute), End: at(0)}}
	for name, x := range map[string]struct {
		facts Facts
		shut  string
	}{
		"open":       {Facts{Watched: whole}, ""},
		"in use":     {Facts{Watched: whole, Clients: []gate.Client{{Address: "192.0.2.1"}}}, "quiet"},
		"a gap":      {Facts{Watched: []gate.Interval{{Start: at(-60 * day), End: at(-20 * day)}, {Start: at(-20*day + 2*time.Hour), End: at(0)}}}, "watched"},
		"down now":   {Facts{Watched: []gate.Interval{{Start: at(-60 * day), End: at(-2 * time.Hour)}}}, "watched"},
		"too short":  {Facts{Watched: []gate.Interval{{Start: at(-29 * day), End: at(0)}}}, "watched"},
		"no table":   {Facts{}, "watched"},
		"forgotten":  {Facts{Watched: whole, Full: inventory.Full{Forgotten: 3, LastForgotten: at(-day)}}, "no_forgotten"},
		"forgot ago": {Facts{Watched: whole, Full: inventory.Full{Forgotten: 3, LastForgotten: at(-31 * day)}}, ""},
		"ours":       {Facts{Watched: whole, Sources: []string{"sources[0]"}}, "own_sources"},
	} {
		x.facts.ID, x.facts.Quiet, x.facts.Now = 5, 30*day, now
		var shut []string
		for _, r := range Gate(&x.facts) {
			if r.Evidence == "" {
				t.Errorf("%s: %s has no evidence", name, r.Name)
			}
			if !r.Open {
				shut = append(shut, r.Name)
			}
		}
		if got := strings.Join(shut, " "); got != x.shut {
			t.Errorf("%s: shut %q, want %q", name, got, x.shut)
		}
	}
}

// A key that is cut and put back gives the file of before; the other lines stay as
// they are, octet by octet.
func TestCutAndAdd(t *testing.T) {
	text := []byte("# ntpkey_MD5key_tick.3892345678\n# Sun\n\n 5 SHA1 0123456789abcdef0123456789abcdef01234567  # old\n6 MD5 secret\n; 5 SHA1 x\n5x MD5 y")
	kept, cut, ok := Cut(text, 5)
	if !ok || string(cut) != " 5 SHA1 0123456789abcdef0123456789abcdef01234567  # old\n" || bytes.Contains(kept, []byte("# old")) ||
		len(kept)+len(cut) != len(text) {
		t.Fatalf("%q %q", kept, cut)
	}
	if _, _, ok := Cut(text, 7); ok {
		t.Error("a key that is not there was cut")
	}
	if made, ok := MadeAt(text); !ok || made.Year() != 2023 {
		t.Errorf("%v %v", made, ok)
	}
	for _, other := range []string{"", "# ntpkey_MD5key_tick.x\n", "# keys.3892345678\n", "# ntpkey_x.99\n"} {
		if _, ok := MadeAt([]byte(other)); ok {
			t.Errorf("%q tells when it was made", other)
		}
	}
	for format, digest := range map[symkey.Format]string{symkey.FormatNTP: "SHA1", symkey.FormatChrony: "AES128CMAC"} {
		k, err := symkey.Generate(rand.Reader, 9, digest)
		if err != nil {
			t.Fatal(err)
		}
		more, err := Add([]byte("6 MD5 secret"), format, k)
		if err != nil {
			t.Fatal(err)
		}
		parse := symkey.ParseNTPKeys
		if format == symkey.FormatChrony {
			parse = symkey.ParseChronyKeys
		}
		f, err := parse("keys", more)
		if err != nil || len(f.Keys) != 2 || !f.Keys[1].Equal(k) {
			t.Errorf("%v: %v, %v", format, f.Keys, err)
		}
		back, _, _ := Cut(more, 9)
		if string(back) != "6 MD5 secret\n" {
			t.Errorf("%q", back)
		}
	}
	if got := Retired([]byte("x\n"), []byte("5 MD5 s\n"), 5, "change\n4711", now); string(got) !=
		"x\n# key 5 retired 2026-11-01T00:00:00Z: change 4711\n5 MD5 s\n" {
		t.Errorf("%q", got)
	}
}
