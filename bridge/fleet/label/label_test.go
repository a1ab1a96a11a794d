package label

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const example = "prefix,owner,site,note\n192.0.2.0/24,payments,fra,\n# a comment\n2001:db8::7,storage,muc,\"move first, please\"\n"

func TestFormats(t *testing.T) {
	want := []Label{
		{netip.MustParsePrefix("192.0.2.0/24"), "payments", "fra", ""},
		{netip.MustParsePrefix("2001:db8::7/128"), "storage", "muc", "move first, please"},
	}
	for name, text := range map[string]string{
		"a.csv":  example,
		"b.csv":  "\xef\xbb\xbfPrefix;Site;Owner;Note\r\n192.0.2.0/24;fra;payments\r\n2001:db8::7;muc;storage;move first, please\r\n",
		"c.json": `[{"prefix":"192.0.2.0/24","owner":"payments","site":"fra"},{"prefix":"2001:db8::7","owner":"storage","site":"muc","note":"move first, please"}]`,
		"d.yaml": "- prefix: 192.0.2.0/24\n  owner: payments\n  site: fra\n- {prefix: '2001:db8::7', owner: storage, site: muc, note: 'move first, please'}\n",
	} {
		got, err := Parse(name, []byte(text))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestErrorsNamePlaceAndRemedy(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"l.txt", "", "l.txt: the name must end in"},
		{"l.csv", "owner,site\na,b\n", "l.csv:1: the first line must name the columns"},
		{"l.csv", "prefix,colour\n", `l.csv:1: column "colour" is not known`},
		{"l.csv", "prefix,owner\n192.0.2.0/24,a\n192.0.2.1/24,b\n",
			"l.csv:3: 192.0.2.1/24 has bits set behind its length; 192.0.2.0/24 may be meant"},
		{"l.csv", "prefix,owner\n192.0.2.0/24,a,b\n", "l.csv:2: 3 fields"},
		{"l.csv", "prefix\nhost\n", `l.csv:2: "host" is no address`},
		{"l.json", "{}", "l.json:1: not a list"},
		{"l.json", "[\n{\"prefix\":\"10.0.0.0/8\",\n\"who\":1}]", "unknown field"},
		{"l.json", "[{\"prefix\":\"10.0.0.0/8\"}", "l.json:1"},
		{"l.yaml", "- prefix: 10.0.0.0/8\n  who: x\n", `l.yaml:2: "who" is not known here`},
		{"l.yaml", "- prefix: 10.0.0.0/8\n- prefix: 10.0.0.0/8\n", "l.yaml:2: 10.0.0.0/8 was labelled in line 1 already"},
		{"l.yaml", "a: b", "l.yaml:1: not a list"},
	} {
		_, err := Parse(c.name, []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %q", c.name, c.text, err, c.want)
		}
	}
}

// The longest prefix labels, as a walk through all of them says.
func TestLookupAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var labels []Label
		seen := map[netip.Prefix]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "labels") {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "b") % 4, 0, 0}), rapid.IntRange(6, 24).Draw(t,
				"bits")).Masked()
			if !seen[p] {
				seen[p] = true
				labels = append(labels, Label{Prefix: p})
			}
		}
		s := NewSet(labels)
		a := netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "x") % 4, 0, 9})
		best := -1
		for _, l := range labels {
			if l.Prefix.Contains(a) {
				best = max(best, l.Prefix.Bits())
			}
		}
		got := s.Lookup(netip.PrefixFrom(a, 32))
		if got == nil && best >= 0 || got != nil && got.Prefix.Bits() != best {
			t.Fatalf("%v: %+v, want a prefix of %d bits", a, got, best)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("a.csv", []byte(example))
	f.Add("a.json", []byte(`[{"prefix":"192.0.2.0/24","owner":"payments"}]`))
	f.Add("a.yaml", []byte("- prefix: 192.0.2.0/24\n  owner: x\n"))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		labels, err := Parse(name, text)
		if err != nil {
			if len(err.Error()) > 2000+len(name) {
				t.Fatalf("an error of %d octets", len(err.Error()))
			}
			return
		}
		s := NewSet(labels)
		for _, l := range labels {
			if got := s.Lookup(l.Prefix); got == nil || got.Prefix != l.Prefix {
				t.Fatalf("%v is not found", l.Prefix)
			}
		}
	})
}
