package gate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// list is what another gateway tells of one client, answered so long ago.
func list(address string, ago time.Duration) string {
	last := time.Unix(now, 0).Add(-ago).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`[{"address":%q,"means":[{"kind":"none","last":%[2]q,"last_answered":%[2]q}]}]`, address, last)
}

// Another gateway has a client if it answered it lately, and not if it only saw
// it, or its list is old.
func TestElsewhere(t *testing.T) {
	for _, x := range []struct {
		text string
		want bool
	}{
		{list("192.0.2.1", time.Hour), true},
		{list("192.0.2.1", 7*time.Hour), false},
		{list("192.0.2.2", time.Hour), false},
		{list("192.0.2.0/24", time.Hour), false},
		{`[{"address":"192.0.2.1","means":[{"kind":"none","last":"2027-01-15T08:00:00Z","last_answered":null}]}]`, false},
		{strings.Replace(list("192.0.2.1", time.Hour), `"kind"`, `"unanswered":3,"kind"`, 1), false}, // refused there
		{list("hash:0011223344556677", time.Hour), false},
		{"[]", false},
	} {
		e := Elsewhere{}
		if err := e.Read(strings.NewReader(x.text)); err != nil {
			t.Errorf("%s: %v", x.text, err)
		}
		if got := e.Has(netip.MustParsePrefix("192.0.2.1/32"), now); got != x.want {
			t.Errorf("%s: %v", x.text, got)
		}
	}
	for _, bad := range []string{"", "{}", "[", `[{"address":5}]`, list("192.0.2.1", 0)[:40]} {
		if err := (Elsewhere{}).Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is a list", bad)
		}
	}
}

func FuzzElsewhere(f *testing.F) {
	f.Add(list("192.0.2.1", time.Hour))
	f.Add("[{}]")
	f.Fuzz(func(t *testing.T, text string) {
		e := Elsewhere{}
		_ = e.Read(strings.NewReader(text))
		e.Has(netip.MustParsePrefix("192.0.2.1/32"), now)
	})
}
