package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/ntp"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// seen makes an inventory of sightings.
type seen struct {
	t testing.TB
	v *inventory.Inventory
}

func newSeen(t testing.TB) *seen {
	v, err := inventory.New(inventory.Options{Capacity: 1000, Seed: [2]uint64{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	return &seen{t, v}
}

func (s *seen) packet(addr string, at time.Duration, kind ntp.Kind, key uint32, reason ntp.Reason) {
	p := &feed.Sighting{Addr: netip.MustParseAddr(addr).As16(), Received: ntp.TimestampFromTime(start.Add(at)), Kind: kind, Key: key,
		Reason: reason, Count: 1, Octets: 48, MAC: 16, Action: ntp.Answer}
	p.Header[0], p.Header[2], p.Header[3] = 4<<3|3, 6, 32
	s.v.See(p)
}

func (s *seen) clients() (list []inventory.Client) {
	for i := range s.v.Places() {
		var c inventory.Client
		if s.v.Read(i, uint32(start.Unix()), &c) {
			list = append(list, c)
		}
	}
	return list
}

var names = &Names{Labels: label.NewSet([]label.Label{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Owner: "payments", Site: "fra"}}),
	Digest: func(id uint32) string { return map[uint32]string{5: "SHA1"}[id] },
	AEAD:   func(id uint16) string { return "AEAD_AES_SIV_CMAC_256" }}

// The documented shape: a program that reads it must find every name.
func TestJSONShape(t *testing.T) {
	s := newSeen(t)
	s.packet("192.0.2.7", 0, ntp.KindSymmetric, 5, ntp.ReasonOK)
	s.packet("192.0.2.7", time.Minute, ntp.KindSymmetric, 5, ntp.ReasonBadMAC)
	s.packet("192.0.2.7", time.Hour, ntp.KindNTS, 15, ntp.ReasonOK)
	s.v.SeeHandshake(&inventory.Handshake{Addr: netip.MustParseAddr("192.0.2.7").As16(), At: ntp.TimestampFromTime(start),
		Result: inventory.HandshakeAgreed})
	c := s.clients()
	var got map[string]any
	if err := json.Unmarshal(NewRow(&c[0], names).AppendJSON(nil), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"address", "names", "label", "implementation", "means", "nts_ke"} {
		if _, ok := got[name]; !ok {
			t.Errorf("no %q", name)
		}
	}
	means := got["means"].([]any)
	if len(means) != 2 {
		t.Fatalf("%v", means)
	}
	nts, key := means[0].(map[string]any), means[1].(map[string]any)
	want := map[string]any{"kind": "symmetric", "key": 5.0, "digest": "SHA1", "first": "2026-11-01T00:00:00Z",
		"last":     "2026-11-01T00:01:00Z",
		"answered": 1.0, "refused": map[string]any{"bad-mac": 1.0}}
	for name, v := range want {
		if !reflect.DeepEqual(key[name], v) {
			t.Errorf("%s: %v, want %v", name, key[name], v)
		}
	}
	if nts["kind"] != "nts" || nts["aead"] != "AEAD_AES_SIV_CMAC_256" {
		t.Errorf("%v", nts)
	}
	if ke := got["nts_ke"].(map[string]any); ke["handshakes"] != 1.0 || ke["last"] != "2026-11-01T00:00:00Z" {
		t.Errorf("%v", ke)
	}
	if got["implementation"] != "chrony" || got["label"].(map[string]any)["owner"] != "payments" {
		t.Errorf("%v, %v", got["implementation"], got["label"])
	}
}

// Means that a kind's name does not tell: Active Directory's members, and clients
// that an ntpd left behind.
func TestSpecialMeans(t *testing.T) {
	s := newSeen(t)
	s.packet("192.0.2.7", 0, ntp.KindNone, 1104, ntp.ReasonOK)
	p := &feed.Sighting{Addr: netip.MustParseAddr("192.0.2.7").As16(), Received: ntp.TimestampFromTime(start), Kind: ntp.KindAutokey,
		Reason: ntp.ReasonNTPDCookie, Count: 1, Octets: 68, ZeroSeed: true}
	s.v.See(p)
	c := s.clients()
	r := NewRow(&c[0], names)
	text := string(r.AppendTable(nil, start)) + string(r.AppendJSON(nil))
	for _, want := range []string{" ms-sntp 1104 ", "autokey, ntpd's cookie", "ntpd-cookie 1", `"account":1104`, `"ntpd_cookie":true`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

// What is written by hand reads back as the same, whatever the texts are.
func TestJSONAgainstStandard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 20, 60)
		r := &Row{Address: text.Draw(t, "address"), Names: rapid.SliceOfN(text, 1, 3).Draw(t, "names"), Label: Label{text.Draw(t,
			"owner"), "", text.Draw(t, "note")},
			Implementation: text.Draw(t, "program"), First: Time(rapid.Uint32().Draw(t, "first")), Hosts: rapid.IntRange(0,
				9).Draw(t, "hosts"),
			KE:       KE{Handshakes: rapid.Uint32().Draw(t, "handshakes"), Offered: rapid.SliceOfN(text, 1, 3).Draw(t, "offered")},
			Upstream: &Upstream{RefID: text.Draw(t, "refid")},
			Means: []Means{{Kind: text.Draw(t, "kind"), Key: rapid.Uint32().Draw(t, "key"), Refused: map[string]uint32{"denied": 3,
				"bad-mac": rapid.Uint32().Draw(t, "n")},
				Poll: float64(rapid.IntRange(0, 1310720).Draw(t, "poll")) / 10, Modes: []int{3}, Group: text.Draw(t, "group")}}}
		var back Row
		b := r.AppendJSON(nil)
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%v: %q", err, b)
		}
		if !reflect.DeepEqual(r, &back) {
			t.Fatalf("%+v became %+v", r, &back)
		}
	})
}

func TestFilter(t *testing.T) {
	s := newSeen(t)
	day := 24 * time.Hour
	s.packet("192.0.2.1", 0, ntp.KindNone, 0, ntp.ReasonOK)          // silent since day 0
	s.packet("192.0.2.2", 9*day, ntp.KindSymmetric, 5, ntp.ReasonOK) // legacy today
	s.packet("192.0.2.3", 0, ntp.KindSymmetric, 5, ntp.ReasonOK)     // moved
	s.packet("192.0.2.3", 9*day, ntp.KindNTS, 15, ntp.ReasonOK)
	s.packet("198.51.100.4", 9*day, ntp.KindNTS, 15, ntp.ReasonOK) // always good
	s.packet("198.51.100.5", 9*day, ntp.KindSymmetric, 9, ntp.ReasonUnknownKey)
	now := uint32(start.Add(10 * day).Unix())
	for _, c := range []struct {
		filter Filter
		want   string
	}{
		{Filter{}, "1 2 3 4 5"},
		{Filter{LegacyOnly: true}, "1 2 3 5"},
		{Filter{LegacyOnly: true, Since: 7 * day}, "2 5"},
		{Filter{SilentFor: 5 * day}, "1"},
		{Filter{Kinds: []string{"nts"}}, "3 4"},
		{Filter{Kinds: []string{"none", "nts"}, Since: 7 * day}, "3 4"},
		{Filter{Keys: []uint32{5}}, "2 3"},
		{Filter{Keys: []uint32{5}, Since: 7 * day}, "2"},
		{Filter{Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, "4 5"},
		{Filter{Labels: []string{"payments"}}, "1 2 3"},
		{Filter{Labels: []string{"payments/fra"}, LegacyOnly: true, Since: 7 * day}, "2"},
	} {
		var got []string
		f, err := ParseFilter(c.filter.Values())
		if err != nil {
			t.Fatal(err)
		}
		for _, client := range s.clients() {
			if f.Match(&client, names.Labels, now) {
				a := client.Prefix.Addr().String()
				got = append(got, a[len(a)-1:])
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v, want %s", c.filter, got, c.want)
		}
	}
}

// Ansible's own program reads the inventory and sees the groups.
func TestAnsible(t *testing.T) {
	s := newSeen(t)
	s.packet("192.0.2.1", 0, ntp.KindSymmetric, 5, ntp.ReasonOK)
	s.packet("192.0.2.2", 0, ntp.KindNTS, 15, ntp.ReasonOK)
	s.packet("2001:db8::3", 0, ntp.KindNone, 0, ntp.ReasonOK)
	var out bytes.Buffer
	w, err := NewWriter(&out, "ansible", start)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.clients() {
		if err := w.Row(NewRow(&c, names)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	type group struct {
		Hosts    []string
		Children []string
	}
	var got map[string]json.RawMessage
	text := out.Bytes()
	if program, err := exec.LookPath("ansible-inventory"); err == nil {
		// A dynamic inventory is a program that prints it.
		script := t.TempDir() + "/clients.sh"
		write(t, script, "#!/bin/sh\ncat <<'END'\n"+out.String()+"END\n")
		cmd := exec.Command(program, "-i", script, "--list")
		if text, err = cmd.Output(); err != nil {
			t.Fatalf("ansible-inventory: %v", err)
		}
	} else {
		if os.Getenv("NTSBRIDGE_REQUIRE_INTEROP") == "1" {
			t.Error(err)
		}
		t.Log("ansible-inventory is not installed: the groups are read from our own text")
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"means_symmetric": "192.0.2.1", "key_5": "192.0.2.1", "owner_payments": "192.0.2.1 192.0.2.2",
		"moved": "192.0.2.2", "means_nts": "192.0.2.2", "legacy": "192.0.2.1 2001:db8::3",
		"program_chrony": "192.0.2.1 192.0.2.2 2001:db8::3"} {
		var g group
		if err := json.Unmarshal(got[name], &g); err != nil || strings.Join(g.Hosts, " ") != want {
			t.Errorf("group %s: %v %v, want %s", name, g.Hosts, err, want)
		}
	}
}

func TestKeys(t *testing.T) {
	s := newSeen(t)
	s.packet("192.0.2.1", 0, ntp.KindSymmetric, 5, ntp.ReasonOK)
	s.packet("192.0.2.2", time.Hour, ntp.KindSymmetric, 5, ntp.ReasonOK)
	s.packet("198.51.100.1", time.Hour, ntp.KindSymmetric, 77, ntp.ReasonUnknownKey)
	k := NewKeys(names, map[uint32]string{5: "SHA1", 6: "MD5"})
	for _, c := range s.clients() {
		k.Add(&c)
	}
	list := k.Rows()
	if len(list) != 3 || list[0].Clients != 2 || list[0].Labels["payments/fra"] != 2 || list[1].Clients != 0 || list[2].Known ||
		list[2].Refused != 1 || strings.Join(list[2].By, " ") != "198.51.100.1" {
		b, _ := json.Marshal(list)
		t.Errorf("%s", b)
	}
	if u := Unused(list, 24*time.Hour, start.Add(48*time.Hour)); len(u) != 2 {
		t.Errorf("%d unused keys after two days, want both", len(u))
	}
	if u := Unused(list, 72*time.Hour, start.Add(48*time.Hour)); len(u) != 1 || u[0].Key != 6 {
		t.Errorf("unused for three days: %v", u)
	}
}

// Hosts that moved are counted as that, and the change is told where it was
// watched.
func TestSummary(t *testing.T) {
	s := newSeen(t)
	day := 24 * time.Hour
	for d := range 40 {
		s.packet("192.0.2.1", time.Duration(d)*day, ntp.KindSymmetric, 5, ntp.ReasonOK) // stays
		if d < 20 {
			s.packet("192.0.2.2", time.Duration(d)*day, ntp.KindSymmetric, 5, ntp.ReasonOK)
		} else {
			s.packet("192.0.2.2", time.Duration(d)*day, ntp.KindNTS, 15, ntp.ReasonOK) // moved
		}
	}
	now := start.Add(39*day + time.Hour)
	sum, err := NewSummary(now, "label", names)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.clients() {
		sum.Add(&c)
	}
	sum.Watched = Time(start.Unix())
	sum.Finish()
	all := sum.Groups[0]
	if all.Name != "all" || all.Best["nts"]["now"] != 1 || all.Best["symmetric"]["now"] != 1 ||
		all.Best["symmetric"]["month"] != 2 || all.Worst["symmetric"]["week"] != 1 {
		b, _ := json.Marshal(sum)
		t.Errorf("%s", b)
	}
	var out bytes.Buffer
	if err := WriteSummary(&out, sum, true); err != nil || !strings.Contains(out.String(), "payments/fra") {
		t.Errorf("%s %v", out.String(), err)
	}
	if _, err := NewSummary(now, "24,48", names); err != nil {
		t.Error(err)
	}
	if _, err := NewSummary(now, "colour", names); err == nil {
		t.Error("grouped by colour")
	}
}

func BenchmarkRowJSON(b *testing.B) {
	s := newSeen(b)
	s.packet("192.0.2.7", 0, ntp.KindSymmetric, 5, ntp.ReasonOK)
	c := s.clients()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = NewRow(&c[0], names).AppendJSON(buf[:0])
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// Times are written as package time writes them.
func TestTimeAgainstStandard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := Time(rapid.Uint32Min(1).Draw(t, "seconds"))
		want := `"` + time.Unix(int64(at), 0).UTC().Format(time.RFC3339) + `"`
		if got := string(at.appendJSON(nil)); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

// A line of a table is as tableFormat has it.
func TestTableFormat(t *testing.T) {
	for _, name := range []string{"192.0.2.1", "2001:db8:1234:5678:9abc:def0:1234:5678/128", "ä"} {
		r := Row{Address: name, Label: Label{Owner: "öl", Site: "x"}, Means: []Means{{Kind: "symmetric", Key: 5, Digest: "MD5",
			Answered:       1 << 31,
			Implementation: "ntpd", Poll: 64, Refused: map[string]uint32{"bad-mac": 7}}}}
		m := &r.Means[0]
		want := fmt.Sprintf(tableFormat, r.name(), r.Label.String(), m.String(), "-", seconds(m.Poll), m.Answered, m.refusedText(), "ntpd")
		if got := string(r.AppendTable(nil, time.Time{})); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
