package config

import (
	"strings"
	"testing"
)

// What is wrong with fleet.etcd is told with a remedy, and nothing that weakens
// security is taken.
func TestEtcd(t *testing.T) {
	const good = "fleet:\n  etcd:\n    name: a\n    gateways: [{name: a}, {name: b}]\n    endpoints: [\"https://etcd:2379\"]\n"
	if c := parse(t, good); !c.Fleet.Etcd.Enabled() || len(c.Fleet.Etcd.Names()) != 2 || c.Fleet.Etcd.Plain() {
		t.Errorf("%+v", c.Fleet.Etcd)
	}
	for _, x := range []struct{ text, want string }{
		{strings.Replace(good, "https://etcd:2379", "etcd:2379", 1), "https://HOST:2379"},
		{strings.Replace(good, "https://etcd:2379", "https://etcd", 1), "https://HOST:2379"},
		{strings.Replace(good, "https://etcd:2379", "https://u:p@etcd:2379", 1), "https://HOST:2379"},
		{strings.Replace(good, "https://etcd:2379", "https://[::1]x:2379", 1), "https://HOST:2379"},
		{strings.Replace(good, "https://etcd:2379", "https://etcd:0/", 1), "https://HOST:2379"},
		{strings.Replace(good, "\"https://etcd:2379\"", "\"https://etcd:2379\", \"http://e2:2379\"", 1), "or all http://"},
		{strings.Replace(good, "https", "http", 1) + "    user: u\n    password_file: /f\n", "in the clear"},
		{good + "    user: u\n", "go together"},
		{good + "    certificate: /f\n", "go together"},
		{good + "    lease: 5s\n", "twice fleet.etcd.timeout"},
		{good + "    lease: 1s\n", "5s"},
		{good + "    prefix: ntsbridge\n", "without a slash at the end"},
		{good + "    secrets: etcd\n", "secret gateway"},
		{strings.Replace(good, "{name: b}", "{name: a}", 1), "twice"},
		{strings.Replace(good, "name: a\n", "name: c\n", 1), "has no c"},
		{strings.Replace(good, "    gateways: [{name: a}, {name: b}]\n", "", 1), "gateways"},
		{good + "  enabled: false\n", "no effect"},
	} {
		_, err := Parse("x.yaml", "/", []byte(x.text))
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s\n%v, want %q", x.text, err, x.want)
		}
	}
	if c := parse(t, strings.Replace(good, "https://etcd", "http://127.0.0.1", 1)); c.Fleet.Etcd.Plain() {
		t.Error("what stays on this host is no danger")
	}
}
