package control

import (
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/site"
)

// Who cannot ask etcd does not say of anybody that he is gone.
func TestWriteSiteWithoutEtcd(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	s := &site.Status{Name: "gw1", Since: at, Error: "it does not answer", Gateways: []site.Gateway{
		{Name: "gw1", Here: true, Declared: true, Since: at},
		{Name: "gw2", Declared: true, Since: at, Why: "etcd is away: this is what was known last"},
	}}
	var text strings.Builder
	if err := WriteSite(&text, s); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(text.String()) {
		if f := strings.Fields(line); strings.HasPrefix(line, "gw") {
			got = append(got, strings.Join(f[:min(5, len(f))], " "))
		}
	}
	if want := "gw1 (this one) here 2027-01-15|gw2 not known 2027-01-15 08:00:00"; strings.Join(got, "|") != want {
		t.Errorf("%q, want %q; all:\n%s", got, want, &text)
	}
	s.Connected, s.Gateways[1].Why = true, "gone since then"
	text.Reset()
	if err := WriteSite(&text, s); err != nil || !strings.Contains(text.String(), "gone ") {
		t.Errorf("%v\n%s", err, &text)
	}
}
