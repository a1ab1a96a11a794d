package interop

import (
	"testing"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/kit"
)

// TestKits starts the real daemons with the files that clients are given when
// nothing but their packets is known: they have authenticated time of the
// gateway.
func TestKits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if standsIn(t) {
		t.Skip("the gateway is ntsbridge")
	}
	hosts := map[string]*Host{}
	for _, name := range []string{"kit-chrony", "kit-timesyncd", "kit-ntpsec", "kit-ntpd", "kit-ntpd-rs"} {
		hosts[name] = s.Host(name)
	}
	s.Names()
	s.Start()
	text := func(program string) string {
		k, err := kit.For(program, &kit.Options{Gateways: []string{ntsName}, CA: "/mnt/ca.pem"})
		if err != nil {
			t.Fatal(err)
		}
		return string(k.Text)
	}
	var good []Condition
	for _, c := range []*Client{
		chronyOf(hosts["kit-chrony"], Chronyd46, s.ca, text(inventory.Chrony), false),
		chronyOf(hosts["kit-timesyncd"], Chronyd43, s.ca, text(inventory.Timesyncd), false),
		ntpsecOf(hosts["kit-ntpsec"], s.ca, text(inventory.Ntpsec)),
		ntpsecOf(hosts["kit-ntpd"], s.ca, text(inventory.Ntpd)),
		ntpdrsOf(hosts["kit-ntpd-rs"], s.ca, text(inventory.NtpdRs)),
	} {
		good = append(good, c.Condition())
	}
	Await(t, limit, good...)
}
