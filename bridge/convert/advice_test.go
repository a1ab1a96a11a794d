package convert

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestAdvice is what the report says to do: nothing that changes nothing, and
// nothing about another daemon.
func TestAdvice(t *testing.T) {
	for _, c := range []struct{ name, dialect, conf, has, hasNot string }{
		{"mask", "ntp", "restrict 10.0.0.0 mask 255.255.0.256 nomodify", "write a mask such as",
			"write: restrict 10.0.0.0 mask 255.255.0.256"},
		{"setvar", "ntp", "setvar pw=X", "", "server pw"},
		{"windows", "ntp", `driftfile C:\ntp\drift`, "no name of a file", "/C:"},
		{"windows keys", "ntp", "keys C:/ntp/keys\ntrustedkey 5", "no name of a file", "/C:"},
		{"chrony's keys", "chrony", "keyfile /none\nserver a key 5\nallow", "chronyd had no keys", "ntpd had"},
		{"pool", "ntp", "restrict default noquery\npool p.example.org\nrestrict p.example.org noserve noquery",
			"p.example.org is a time source", "To be decided"},
		{"ntpd-rs", "", "[[source]]\nmode = \"server\"\naddress = \"a\"\n[synchronization]\n", "ntpd-rs", "OpenNTPD"},
		{"resolv.conf", "", "nameserver 192.0.2.1\n", "no configuration of time", "open"},
		{"sysctl.conf", "", "net.ipv4.ip_forward=1\nvm.swappiness=10\n", "no configuration of time", "open"},
		{"empty", "", "# nothing\n", "no setting in it", "answers everybody, and so"},
		{"bracketed", "ntpsec", "server [fd95::1]:4460 nts", "sources[0]", "server: \"["},
	} {
		res := Convert(Input{Name: "x.conf", Data: []byte(c.conf + "\n"), Files: fstest.MapFS{}}, Options{Dialect: c.dialect})
		all := text(t, res.Report) + string(res.Output)
		if !strings.Contains(all, c.has) || strings.Contains(all, c.hasNot) {
			t.Errorf("%s: wants %q, without %q:\n%s", c.name, c.has, c.hasNot, all)
		}
	}
}
