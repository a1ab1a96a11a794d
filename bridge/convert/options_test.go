package convert

import (
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.yaml.in/yaml/v3"

	"ntsbridge/bridge/config"
)

// unwritten are the options that no conversion writes, and why.
var unwritten = map[string]string{
	"state_dir": "the old daemon had no such directory", "readable_secrets": "never weakened by a conversion",
	"run_dir":   "the old daemon had no such directory",
	"log.level": "the old daemon's logs have other levels", "log.json": "the old daemon had no such logs",
	"server.workers": "about this machine", "server.batch": "about this machine",
	"server.fastpath": "about this machine", "server.fastpath_interfaces": "about this machine",
	"server.timestamping":        "the default is what ntpd and chronyd have",
	"server.interleaved.enabled": "answers are as clients ask", "server.interleaved.entries": "about this machine",
	"clock.refid": "ntpd's LOCAL driver has the default", "clock.min_dispersion": "no counterpart", "clock.max_error": "no counterpart",
	"clock.process": "who has the right to set the clock is the installation's to decide",
	"clock.ask":     "found out by itself", "clock.panic_exit": "ntpd exits; what follows is the operator's to decide",
	"clock.leap.table":    "the default is what chronyd has",
	"access.default.name": "for messages", "access.default.kiss": "neither daemon sends one", "access.default.keys": "no counterpart",
	"access.rules[].name": "for messages", "access.rules[].kiss": "neither daemon sends one", "access.rules[].keys": "no counterpart",
	"access.default.prefixes": "must stay unset", "access.default.source_port_123": "must stay unset",
	"access.default.kinds":       "as access.rules[].kinds",
	"access.default.min_version": "as access.rules[].min_version",
	"rate_limit.ipv4_prefix":     "both daemons count addresses", "rate_limit.ipv6_prefix": "both daemons count addresses",
	"autokey.seed_file": "the default is right", "nts.names": "those of the certificate", "nts.port": "the default is right",
	"nts.cookies.previous_secret_file": "for a change of the secret, later",
	"nts.cookies.secret_file":          "the default is right", "nts.cookies.kept": "the default is right",
	"user": "the unit's to say", "sandbox": "never weakened by a conversion",
	"sources[].group": "broadcasts of servers that nobody named are not followed", "broadcast[].port": "no counterpart",
	"server.ms_sntp.timeout": "about this machine", "server.ms_sntp.rate": "about this machine",
	"keys.files[].strict_addresses": "ntpd signs for every client",
	"server.free_bind":              "an address that is not there yet is listened on when it comes",
}

// unwrittenBelow are sections of which nothing is written.
var unwrittenBelow = map[string]string{
	"autokey.budget": "about this machine", "nts.limits": "about this machine, but for connections",
	"metrics": "neither daemon is read by Prometheus",
	"passive": "symmetric associations that others begin are the operator's to allow",
	"fleet":   "the migration is begun by the operator", "control": "for the commands of this host",
	"nts.acme": "neither daemon has it", "api": "neither daemon has it", "page": "neither daemon has it",
}

// paths returns the options of a section, lists with [] behind their name.
func paths(t reflect.Type, path string, add func(string)) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("mapstructure")
		if name == "" {
			continue
		}
		if path != "" {
			name = path + "." + name
		}
		switch element := f.Type; {
		case element.Kind() == reflect.Slice && hasOptions(element.Elem()):
			paths(element.Elem(), name+"[]", add)
		case hasOptions(element):
			paths(element, name, add)
		default:
			add(name)
		}
	}
}

func hasOptions(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("mapstructure") != "" {
			return true
		}
	}
	return false
}

// written adds the options that a YAML has.
func written(n *yaml.Node, path string, add func(string)) {
	switch n.Kind {
	case yaml.DocumentNode:
		written(n.Content[0], path, add)
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if path != "" {
				name = path + "." + name
			}
			add(name)
			written(n.Content[i+1], name, add)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			written(item, path+"[]", add)
		}
	}
}

// TestEveryOption wants each option of the configuration written by some
// conversion, or in the list with a reason; and nothing in the list that is.
func TestEveryOption(t *testing.T) {
	seen := make(map[string]bool)
	files := fs.FS(mappingFiles)
	convert := func(conf, dialect string, opt Options) {
		opt.Dialect, opt.Decide, opt.PasswordFile = dialect, intended, "/pw"
		opt.Now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		res := Convert(Input{Name: "x.conf", Data: []byte(conf + "\n"), Files: files}, opt)
		if res.Output == nil {
			return
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(res.Output, &doc); err != nil {
			t.Fatal(err)
		}
		written(&doc, "", func(path string) { seen[path] = true })
	}
	for _, m := range ntpMappings {
		convert(ntpBase+m.conf, "ntp", Options{NTSCert: "/c.pem", NTSKey: "/k.pem"})
	}
	for _, m := range chronyMappings {
		convert(m.conf, "chrony", Options{})
	}
	for _, c := range slices.Concat(ntpWords(), chronyWords()) {
		convert(c.before+c.line, map[bool]string{true: "chrony", false: "ntp"}[strings.HasPrefix(c.before, "allow")], Options{})
	}
	files = nil // Autokey's are not looked at
	convert("restrict default noserve notrust\nrestrict 10.0.0.0 mask 255.0.0.0 ntpport version notrust limited\ncrypto pw x ident g host h digest SHA1\nkeysdir /k\n"+
		"leapfile /etc/leap.list\nserver a autokey ident g\nleapsmearinterval 3600\ntos orphan 7", "ntp", Options{Trial: true})
	for line := range strings.Lines(chronyDocumented) {
		convert("allow\nserver other.example.org\nntsservercert /c\nntsserverkey /k\n"+strings.TrimSpace(line), "chrony", Options{})
	}
	convert("allow\nserver a\nlocal stratum 9 orphan distance 0.1 activate 0.2 waitsynced 10 waitunsynced 20\n"+
		"refclock SHM 0 refid GPS pps maxdispersion 0.1 filter 32\nrefclock PPS /dev/pps0 lock GPS width 0.1 maxlockage 4 require\nrefclock PHC /dev/ptp0:nocrossts\nrefclock PHC /dev/ptp1:extpps:pin=1:channel=2 lock GPS\nlog tracking\nlogdir /l\nlogbanner 10",
		"chrony", Options{})
	convert("allow\nserver a\ncmdport 323\ncmdallow 10.0.0.0/8\nbindcmdaddress /run/chronyd.sock", "chrony", Options{})
	convert("interface listen eth0\nmru maxmem 4096\nserver a\nstatsdir /s\nstatistics loopstats\nfilegen loopstats type week nolink",
		"ntp", Options{})
	convert("server [fd95::1]:4461 nts aead AES_SIV_CMAC_256 bias 0.1\nnts enable cert /c key /k", "ntpsec", Options{})
	convert("broadcast 224.0.1.1 key 5 version 3 ttl 2\nkeys /etc/ntp.keys\ntrustedkey 5\ncontrolkey 5\nserver 127.127.1.0", "ntp", Options{})
	paths(reflect.TypeFor[config.Config](), "", func(path string) {
		below := slices.ContainsFunc(slices.Collect(mapKeys(unwrittenBelow)), func(section string) bool {
			return strings.HasPrefix(path,
				section+".")
		})
		switch {
		case seen[path] && unwritten[path] != "":
			t.Errorf("%s is written, and in the list of those that are not", path)
		case !seen[path] && unwritten[path] == "" && !below:
			t.Errorf("%s is never written, and no reason is given", path)
		}
	})
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestSizes are numbers of which a mutation was not seen.
func TestSizes(t *testing.T) {
	ntp := func(conf string) *config.Config {
		return Convert(Input{Name: "x.conf", Data: []byte(ntpBase + conf + "\n"), Files: fstest.MapFS{}}, Options{Dialect: "ntp"}).Config
	}
	chrony := func(conf string) *config.Config {
		return Convert(Input{Name: "x.conf", Data: []byte(conf + "\n"), Files: mappingFiles}, Options{Dialect: "chrony"}).Config
	}
	// An entry of chronyd's table of clients has 128 octets, one of ntpd's 96.
	if got := chrony("allow\nclientloglimit 12800000").RateLimit.Clients; got != 100000 {
		t.Errorf("clientloglimit: %d clients, want 100000", got)
	}
	if got := ntp("mru maxmem 9600").RateLimit.Clients; got != 102400 {
		t.Errorf("mru maxmem: %d clients, want 102400", got)
	}
	if got := ntp("mru maxdepth 50000").RateLimit.Clients; got != 50000 {
		t.Errorf("mru maxdepth: %d clients, want 50000", got)
	}
	if got := chrony("allow\nntsservercert /c\nntsserverkey /k\nmaxntsconnections 77").NTS.Limits.Connections; got != 77 {
		t.Errorf("maxntsconnections: %d, want 77", got)
	}
	for _, c := range []struct{ conf, want string }{
		{"server a noselect", "server gw iburst minpoll 6 maxpoll 10 nts noselect"},
		{"server a noselect\nserver b", "server gw iburst minpoll 6 maxpoll 10 nts"},
		{"refclock shm unit 1 noselect prefer", "refclock shm unit 1 minpoll 6 prefer noselect"},
	} {
		res := Convert(Input{Name: "x.conf", Data: []byte(c.conf + "\n")},
			Options{Dialect: "ntpsec", Client: &ClientOptions{Format: "ntpsec", Gateways: []string{"gw"}}})
		if !slices.Contains(strings.Split(string(res.Output), "\n"), c.want) {
			t.Errorf("%s: lacks %q:\n%s", c.conf, c.want, res.Output)
		}
	}
}
