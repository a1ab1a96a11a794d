package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

var (
	ignoreLines = cmpopts.IgnoreUnexported(Config{})
	compareIPs  = cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}, netip.AddrPort{})
)

func diff(want, got *Config) string { return cmp.Diff(want, got, ignoreLines, compareIPs) }

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("test.yaml", "/etc/ntsbridge", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNothingIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "{}", "server:\nnts:\n  # port: 1\n",
		"access:\n  default:\n  rules:\n    []\n"} {
		if d := diff(Default(), parse(t, text)); d != "" {
			t.Errorf("%q: not the default (-want +got):\n%s", text, d)
		}
	}
}

func TestEveryKindOfValue(t *testing.T) {
	c := parse(t, `
state_dir: state
log: {level: debug, json: true}
server:
  listen: ["192.0.2.1:123", "[2001:db8::1]:123", "[fe80::1%eth0]:123"]
  workers: 2
clock:
  mode: local
  refid: GPS
  max_error: PT0.5S
  drift_ppm: 1
access:
  default: {kinds: [nts]}
  rules:
    - name: old
      prefixes: [10.0.0.0/8, "2001:db8::/32"]
      kinds: [none, symmetric]
      keys: [7, 10-19]
      rate: slow
    - prefixes: [10.1.0.0/16]
      action: deny
      kiss: restrict
      source_port_123: true
rate_limit:
  limits:
    - name: slow
      interval: 1m
    - {name: fast, interval: 1ms, leak: 0, kiss: false}
keys:
  files:
    - path: ntp.keys
    - {path: /etc/chrony.keys, format: chrony}
  trusted: [all]
autokey:
  enabled: true
  keysdir: /etc/ntp/crypto
  digest: SHA1
  takeover: {enabled: true, until: 2030-06-30}
nts:
  certificates: [{cert: tls.crt, key: tls.key}]
  aeads: [AES-SIV-CMAC-256, AEAD_AES_128_GCM_SIV]
  cookies: {rotation: 7d}
`)
	want := Default()
	want.StateDir = "/etc/ntsbridge/state"
	want.Log = Log{Level: "debug", JSON: true}
	want.Server.Workers = 2
	for _, a := range []string{"192.0.2.1:123", "[2001:db8::1]:123", "[fe80::1%eth0]:123"} {
		want.Server.Listen = append(want.Server.Listen, Listen{AddrPort: netip.MustParseAddrPort(a)})
	}
	want.Clock.Mode, want.Clock.RefID, want.Clock.MaxError, want.Clock.DriftPPM = "local", 0x47505300, time.Second/2, 1
	want.Access.Default.Kinds = []ntp.Kind{ntp.KindNTS}
	old, port123 := defaultRule(), defaultRule()
	old.Name, old.Rate = "old", "slow"
	old.Prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	old.Kinds = []ntp.Kind{ntp.KindNone, ntp.KindSymmetric}
	old.Keys = []access.KeyRange{{Low: 7, High: 7}, {Low: 10, High: 19}}
	port123.Prefixes = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	port123.Action, port123.Kiss, port123.SourcePort123 = "deny", "restrict", true
	want.Access.Rules = []AccessRule{old, port123}
	slow, fast := defaultLimit("slow"), defaultLimit("fast")
	slow.Interval = time.Minute
	fast.Interval, fast.Leak, fast.Kiss = time.Millisecond, 0, false
	want.RateLimit.Limits = []Limit{slow, fast}
	want.Keys.Files = []KeyFile{{Path: "/etc/ntsbridge/ntp.keys", Format: "auto"}, {Path: "/etc/chrony.keys", Format: "chrony"}}
	want.Keys.Trusted = []access.KeyRange{access.AllKeys}
	want.Autokey.Enabled, want.Autokey.KeysDir, want.Autokey.Digest = true, "/etc/ntp/crypto", "SHA1"
	want.Autokey.Takeover = Takeover{true, time.Date(2030, 6, 30, 0, 0, 0, 0, time.UTC)}
	want.NTS.Certificates = []Certificate{{"/etc/ntsbridge/tls.crt", "/etc/ntsbridge/tls.key"}}
	want.NTS.AEADs = []AEAD{15, 30}
	want.NTS.Cookies.Rotation = 7 * 24 * time.Hour
	if d := diff(want, c); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// Each text has the problems that are named behind "#!", in the line where
// they stand, and no other ones.
func TestProblems(t *testing.T) {
	for name, text := range map[string]string{
		"unknown": `
sever: 1          #! sever: unknown option; did you mean server?
server:
  Listen: []      #! server.Listen: unknown option; did you mean listen?
  bogus: 1        #! server.bogus: unknown option; known here: listen, workers
access:
  rules:
    - prefix: 10.0.0.0/8   #! access.rules[0].prefix: unknown option; did you mean prefixes? #! access.rules[0].prefixes: is missing
autokey:
  password: hunter2        #! autokey.password: unknown option; secrets are never in this file
  password-file: x         #! did you mean password_file?
`,
		"clocks of one name": `
reference_clocks:
  - {driver: sock, device: /run/a.sock, refid: GPS}
  - driver: shm
    refid: GPS      #! reference_clocks[1].refid: another reference clock is called GPS too
  - {driver: pps, device: /dev/pps0, lock: SHM3}
  - {driver: shm, unit: 3}
  - {driver: phc, device: /dev/ptp0}
  - driver: phc     #! reference_clocks[5].refid: another reference clock is called PHC0 too
    device: /dev/other
`,
		"duplicates": `
server:
  batch: 1
  batch: 2        #! server.batch: is already set in line 3
  listen: ["[::]:123", "[::]:123"]  #! server.listen[1]: [::]:123 is in the list twice
server: {}        #! server: is already set in line 2
access:
  rules:
    - prefixes: [10.0.0.0/8]
    - prefixes:
        - 10.0.0.0/8       #! access.rules[1].prefixes[0]: 10.0.0.0/8 is already in line 9
    - {prefixes: [10.0.0.0/8], source_port_123: true}
    - {prefixes: [10.1.0.0/16, 10.1.0.0/16]}   #! access.rules[3].prefixes[1]: 10.1.0.0/16 is already in line 13
nts:
  aeads: [15, AES-SIV-CMAC-256]   #! nts.aeads[1]: AES-SIV-CMAC-256 is in the list twice
  cookies:
    rotation: 8760h
    kept: 11    #! nts.cookies.kept: cookies would be opened for 11 times 8760h, above 87600h
rate_limit:
  limits:
    - name: a
    - name: a     #! rate_limit.limits[1].name: "a" is already the name
keys:
  files: [{path: a}, {path: ./a}] #! keys.files[1].path: the file is in the list twice
`,
		"peers and broadcasts": `
server:
  listen: ["192.0.2.1:123"]
autokey: {keysdir: k}
sources:
  - {server: a, mode: peer}                       #! sources[0].auth: mode: peer must be authenticated
  - {server: b, mode: broadcast, auth: nts}       #! sources[1].auth: mode: broadcast must be authenticated #! sources[1].mode: broadcasts come to an unspecified address only
  - {server: c, mode: peer, auth: autokey}        #! sources[2].auth: a peer with autokey also asks this host; write autokey.enabled: true
  - {server: d, group: 224.0.1.1}                 #! sources[3].group: must be a multicast address, with mode: broadcast
  - {server: e, mode: passive}                    #! sources[4].mode: "passive" is not one of client, pool, peer, broadcast
passive: {max: 0}     #! passive.max: 0 is out of range
broadcast:
  - {key: 1}                                      #! broadcast[0].destination: is missing
  - {destination: 192.0.2.255}                    #! broadcast[1].key: a key identifier and auth: symmetric go together
  - {destination: 192.0.2.255, key: 1}            #! broadcast[2].destination: 192.0.2.255 is in the list twice
  - {destination: 192.0.3.255, auth: none}        #! broadcast[3].auth: broadcasts must be authenticated
  - {destination: "2001:db8::1", auth: autokey}   #! broadcast[4].destination: 2001:db8::1 is neither #! broadcast[4].auth: clients of an autokey broadcast also ask this host
  - {destination: "192.0.2.255:123", key: 1}      #! broadcast[5].destination: "192.0.2.255:123" is not an address
`,
		"types": `
log: verbose      #! log: "verbose" is not a section; write options below it, such as "level: ..."
server:
  batch: "64"     #! server.batch: "64" is not a whole number; write 1 to 1024
  workers: 1.5    #! server.workers: "1.5" is not a whole number
  dscp:           #! server.dscp: has no value; write one, or delete the line
  listen: [::]:123   # this is not YAML
`,
		"more types": `
server:
  listen: "[::]:123"        #! server.listen: "[::]:123" is not a list
  timestamping: [kernel]    #! server.timestamping: a list stands where one value should be
  interleaved: {enabled: yes}   #! server.interleaved.enabled: "yes" is not true or false
clock:
  max_error: 1              #! clock.max_error: "1" is not a duration; write a number with a unit
  min_dispersion: -1s       #! "-1s" is not a duration
  drift_ppm: .nan           #! clock.drift_ppm: ".nan" is not a number; write 0.001 to 500
  refid: TOOLONG            #! clock.refid: "TOOLONG" is not a reference identifier
autokey:
  host: 2030-01-01          #! autokey.host: "2030-01-01" would be read as a number, date or the like; write it in quotes
  ident: "a\nb"             #! autokey.ident: has a control character
  takeover: {until: soon}   #! autokey.takeover.until: "soon" is not a date
access:
  default:
    prefixes: [{a: b}]      #! access.default.prefixes[0]: a section stands where one value should be
    kinds: [md5]            #! access.default.kinds[0]: "md5" is not a kind of authentication
    keys: [0, 5-3]          #! access.default.keys[0]: "0" is not a key identifier #! keys[1]: key range 5-3 is empty
  rules: {}                 #! access.rules: a section is not a list
nts:
  aeads: [AES-GCM]          #! nts.aeads[0]: "AES-GCM" is not an AEAD algorithm for NTS
`,
		"ranges": `
server:
  batch: 0        #! server.batch: 0 is out of range; write 1 to 1024
  workers: -1     #! server.workers: -1 is out of range; write 0 to 256
  timestamping: software   #! server.timestamping: "software" is not one of none, kernel
clock:
  stratum: 16     #! clock.stratum: 16 is out of range; write 1 to 15
  max_error: 17s  #! clock.max_error: 17s is out of range; write 1ms to 16s
rate_limit:
  limits:
    - name: x
      leak: 1.01  #! rate_limit.limits[0].leak: 1.01 is out of range; write 0 to 1
      interval: 0s  #! rate_limit.limits[0].interval: 0s is out of range; write 1us to 24h
server_: 1        #! server_: unknown option; did you mean server?
`,
		"meaning": `
clock: {mode: discipline}     #! clock.mode: discipline needs sources to follow
server:
  listen: ["0.0.0.0:0", "[::ffff:1.2.3.4]:123", "eth0"] #! 0.0.0.0:0 has port 0 #! write 1.2.3.4:123 #! "eth0" is not an address with a port
access:
  default:
    prefixes: [10.0.0.0/8]    #! access.default.prefixes: the default has no prefixes
    source_port_123: true     #! access.default.source_port_123: the default is for every source port
    kinds: []                 #! access.default.kinds: is empty; write action: deny
  rules:
    - prefixes: []            #! access.rules[0].prefixes: is missing
      rate: unheard           #! access.rules[0].rate: there is no limit "unheard"
    - prefixes: [10.0.0.1/8]  #! access.rules[1].prefixes[0]: 10.0.0.1/8 has host bits; write 10.0.0.0/8
      kinds: [nts]
      keys: [1]               #! access.rules[1].keys: has no effect without the kind symmetric
    - prefixes: [10.0.0.0/8]
      kinds: [none, none]     #! access.rules[2].kinds[1]: none is in the list twice
    - prefixes: [10.2.0.0/16]
      action: deny
      keys: [1]               #! access.rules[3].keys: has no effect with action: deny
rate_limit:
  limits:
    - interval: 1s            #! rate_limit.limits[0].name: is missing
    - name: none              #! rate_limit.limits[1].name: the name none stands for no limit
keys:
  trusted: [1-9]              #! keys.trusted: names keys, but keys.files names no file
autokey:                      #! autokey.keysdir: is missing
  enabled: true
  host: ../x                  #! autokey.host: "../x" cannot be part of a file name
  digest: md5                 #! autokey.digest: "md5" is not one of MD5
  budget: {clients: 100}      #! autokey.budget.clients: 100 is not a power of two
  takeover: {enabled: true}   #! autokey.takeover.until: is missing
nts:
  server: "a b"               #! nts.server: "a b" is neither a name nor an address
  names: [-x]                 #! nts.names[0]: "-x" is neither a name nor an address
  aeads: []                   #! nts.aeads: is empty
  generate: false
  limits: {clients: 100}      #! nts.limits.clients: 100 is less than nts.limits.connections
  certificates: [{cert: a}]   #! nts.certificates[0].key: is missing
`,
		"one clock": `
clock:
  mode: discipline
  orphan: true                #! clock.orphan: needs a stratum
  auth_select: require
  leap: {mode: ignore, smear: 1h, table: none, file: leap} #! clock.leap.file: is not read #! clock.leap.smear: smears what the system clock gets
sources:
  - server: a
    noselect: true            #! sources[0].noselect: contradicts prefer, trust and require
    trust: true
  - server: b
    require: true             #! sources[1].require: clock.auth_select: require never uses this source
  - server: c
    aeads: [15]               #! sources[2].aeads: is for auth: nts
    family: ipv6
    local_address: 192.0.2.1  #! sources[2].local_address: 192.0.2.1 is not of family ipv6
  - server: d
    mode: peer                #! sources[3].mode: interleaved, burst and presend are for modes client and pool
    auth: symmetric
    key: 1
    interleaved: true
reference_clocks:
  - driver: pps               #! reference_clocks[0].device: is missing
  - driver: shm
    device: /dev/pps0         #! reference_clocks[1].device: is not for driver shm
  - driver: phc
    device: /dev/ptp0
    unit: 1                   #! reference_clocks[2].unit: is for driver shm
    poll: 2
    driver_poll: 3            #! reference_clocks[2].driver_poll: 3 is above poll 2
  - driver: pps
    device: /dev/pps1
    lock: GNSS                #! reference_clocks[3].lock: no other reference clock has the refid GNSS
    noselect: true            #! reference_clocks[3].noselect: contradicts
    prefer: true
  - driver: pps               #! reference_clocks[4].driver: the same clock is in the list twice
    device: /dev/pps1
  - refid: GPS                #! reference_clocks[5].driver: is missing
`,
		"no certificate": `
nts: {generate: false}        #! nts.certificates: is missing, and nts.generate is false
autokey: {takeover: {enabled: true, until: 2030-01-01}}  #! autokey.takeover.enabled: has no effect
keys: {files: [{format: ntp}]} #! keys.files[0].path: is missing
`,
		"anchors": `
log: &l {level: info}         #! log: anchors and aliases are not supported
server:
  workers: !!int 1            #! server.workers: tags such as !!int are not supported
`,
		"document": "log: {}\n---      #! a second document begins here\nserver: {}\n",
		"scalar":   "hello              #! \"hello\" is not a section\n",
		"list":     "- server: {}       #! a list is not a section\n",
		"tab":      "server:\n\tbatch: 1      # this is not YAML\n",
	} {
		t.Run(name, func(t *testing.T) { checkProblems(t, text) })
	}
}

func checkProblems(t *testing.T, text string) {
	_, err := Parse("test.yaml", "/", []byte(text))
	var problems Problems
	if !errors.As(err, &problems) || !errors.Is(err, ErrInvalid) {
		t.Fatalf("error %v, want Problems", err)
	}
	if strings.Contains(text, "this is not YAML") {
		if len(problems) != 1 || !strings.Contains(problems[0].Text, "not YAML") || problems[0].Line == 0 {
			t.Errorf("%v", problems)
		}
		return
	}
	left := append(Problems(nil), problems...)
	for i, line := range strings.Split(text, "\n") {
		for _, want := range strings.Split(line, "#!")[1:] {
			at := -1
			for j, p := range left {
				if p.Line == i+1 && strings.Contains(p.Path+": "+p.Text, strings.TrimSpace(want)) {
					at = j
				}
			}
			if at < 0 {
				t.Errorf("line %d: no problem %q", i+1, strings.TrimSpace(want))
				continue
			}
			left = append(left[:at], left[at+1:]...)
		}
	}
	for _, p := range left {
		t.Errorf("unexpected: %v", p)
	}
	for i := 1; i < len(problems); i++ {
		if problems[i].Line < problems[i-1].Line {
			t.Errorf("line %d comes after line %d", problems[i].Line, problems[i-1].Line)
		}
	}
}

// The YAML library does not tell the line of this one.
func TestUnknownAlias(t *testing.T) {
	_, err := Parse("test.yaml", "/", []byte("log: *l\n"))
	if err == nil || !strings.Contains(err.Error(), "unknown anchor") {
		t.Error(err)
	}
}

func TestMessagesNameFileAndLineAndNoSecret(t *testing.T) {
	_, err := Parse("/etc/x.yaml", "/etc", []byte("autokey:\n  pw: hunter2\n"))
	if got := err.Error(); !strings.HasPrefix(got, "/etc/x.yaml:2: autokey.pw: unknown option") || strings.Contains(got, "hunter2") {
		t.Error(got)
	}
}

// The origin of an option is the text that set it last; a later list replaces
// an earlier one with its problems.
func TestAssemble(t *testing.T) {
	first := Read("a.yaml", "/a",
		[]byte("log: {level: bad}\nserver: {workers: 2, batch: 3}\nautokey: {leap_file: leap}\nkeys: {files: [{path: x, format: odd}, {path: x}], trusted: [1]}\n"))
	second := Read("b.yaml", "/b", []byte("\nserver:\n  workers: 4\nkeys: {files: [{path: y}]}\nlog: {level: warn}\n"))
	values := map[string]any{"server": map[string]any{"workers": 4, "batch": 3}, "autokey": first.Values["autokey"],
		"keys": map[string]any{"files": second.Values["keys"].(map[string]any)["files"],
			"trusted": first.Values["keys"].(map[string]any)["trusted"]}}
	c, err := Assemble(values, first, second)
	if c != nil || !strings.Contains(err.Error(), "a.yaml:1: log.level") {
		t.Errorf("a problem of the first text: %v", err)
	}
	first.problems = nil
	c, err = Assemble(values, first, second)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]Origin{
		"server.workers": {"b.yaml", 3}, "server.batch": {"a.yaml", 2}, "keys.files[0].path": {"b.yaml", 4},
		"keys.files[1].path": {"b.yaml", 4}, "keys.trusted[0]": {"a.yaml", 4}, "nts": {},
	} {
		if got := c.Origin(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if c.Autokey.LeapFile != "/a/leap" || c.Keys.Files[0].Path != "/b/y" {
		t.Errorf("%q, %q", c.Autokey.LeapFile, c.Keys.Files[0].Path)
	}
}

func TestReadOption(t *testing.T) {
	for _, test := range []struct{ path, text, want string }{
		{"server.workers", "7", "7"},
		{"server.workers", "seven", `$V: server.workers: "seven" is not a whole number; write 0 to 256`},
		{"server.workers", "700", "$V: server.workers: 700 is out of range; write 0 to 256"},
		{"server.listen", "127.0.0.1:123, [::1]:123", "[127.0.0.1:123 [::1]:123]"},
		{"server.listen", `["127.0.0.1:123"]`, "[127.0.0.1:123]"},
		{"server.listen", "[::1]:123", "[[::1]:123]"},
		{"nts.enabled", "false", "false"},
		{"nts.names", "a,b", "[a b]"},
		{"state_dir", "x", "/d/x"},
		{"state_dir", "007", "/d/007"},
		{"clock.panic", "10s", "10s"},
		{"log.level", "loud", `$V: log.level: "loud" is not one of trace, debug, info, warn, error`},
		{"no.such", "1", "$V: no.such: unknown option"},
		{"sources", "[{server: a}]", "[map"},
	} {
		tree, v := ReadOption("$V", "/d", test.path, test.text)
		got := fmt.Sprint(v)
		if err := tree.Err(); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%s = %q: %s, want %s", test.path, test.text, got, test.want)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	c := Default()
	c.Server.Batch, c.Log.Level, c.Clock.Panic = 5000, "loud", 500*time.Microsecond
	c.Clock.Mode = ClockDiscipline
	err := c.Validate()
	for _, want := range []string{"server.batch: 5000 is out of range", "log.level: \"loud\"", "clock.mode: discipline needs sources",
		"clock.panic: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestResolve(t *testing.T) {
	root, user := Default(), Default()
	root.Resolve(Environment{true, "tick", "/var/lib/ntsbridge", "/run/ntsbridge", ""})
	user.Resolve(Environment{false, "tick", "/s/ntsbridge", "/r/ntsbridge", ""})
	for _, tc := range []struct{ got, want string }{
		{root.StateDir, "/var/lib/ntsbridge"},
		{root.Control.Socket, "/run/ntsbridge/control.sock"},
		{format(reflect.ValueOf(root.Server.Listen)), "[[::]:123, 0.0.0.0:123]"},
		{format(reflect.ValueOf(root.NTS.Listen)), "[[::]:4460, 0.0.0.0:4460]"},
		{root.Autokey.Host, "tick"},
		{root.NTS.Names[0], "tick"},
		{user.StateDir, "/s/ntsbridge"},
		{user.Autokey.SeedFile, "/s/ntsbridge/autokey.seed"},
		{user.NTS.Cookies.SecretFile, "/s/ntsbridge/cookies.secret"},
		{user.Control.Socket, "/r/ntsbridge/control.sock"},
		{format(reflect.ValueOf(user.Server.Listen)), "[[::]:11123, 0.0.0.0:11123]"},
		{format(reflect.ValueOf(user.NTS.Listen)), "[[::]:14460, 0.0.0.0:14460]"},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
	set := parse(t, "state_dir: /x\nnts: {cookies: {secret_file: /y}, names: [a.example]}\nserver: {listen: [\"127.0.0.1:1\"]}\n")
	set.Resolve(Environment{Ports: true, Hostname: "tick"})
	if set.StateDir != "/x" || set.NTS.Cookies.SecretFile != "/y" || len(set.Server.Listen) != 1 ||
		set.NTS.Names[0] != "a.example" || set.Autokey.SeedFile != "/x/autokey.seed" {
		t.Errorf("what is set was changed: %+v", set)
	}
}

func TestDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"8s": 8 * time.Second, "1h30m": 90 * time.Minute, "500ms": time.Second / 2, "1us": 1000, "1µs": 1000, "0s": 0,
		"7d": 168 * time.Hour, "2w": 336 * time.Hour, "1w1d1h": 193 * time.Hour, "1.5h": 90 * time.Minute,
		"PT8S": 8 * time.Second, "P7D": 168 * time.Hour, "PT1H30M": 90 * time.Minute, "P1W": week,
		"P1DT0.5S": day + time.Second/2, "PT0,25S": time.Second / 4,
	} {
		got, err := parseDuration(in)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", in, got, err, want)
		}
		if again, err := parseDuration(FormatDuration(want)); err != nil || again != want {
			t.Errorf("%v is written %s and read back as %v", want, FormatDuration(want), again)
		}
	}
	for _, in := range []string{"", "0", "8", "-1s", "+1s", "s", "1d-1h", "1y", "P", "PT", "P1Y", "P1M", "P1DT", "PT1S1H",
		"9999999w", "99999999999999999999d", "106751d24h", "P106752D", "PT9223372037S", "1d2w", "8 s"} {
		if got, err := parseDuration(in); err == nil {
			t.Errorf("%q: read as %v", in, got)
		}
	}
}

func TestRefID(t *testing.T) {
	for in, want := range map[string]RefID{"LOCL": 0x4c4f434c, "GPS": 0x47505300, "127.127.1.1": 0x7f7f0101, "X": 0x58000000} {
		var r RefID
		if err := r.UnmarshalText([]byte(in)); err != nil || r != want || r.String() != in {
			t.Errorf("%s: %08x %v, %v", in, uint32(r), r, err)
		}
	}
	for _, in := range []string{"", "TOOLONG", "A B", "\x00", "é"} {
		var r RefID
		if err := r.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q: read as %v", in, r)
		}
	}
	if got := RefID(0).String(); got != "0.0.0.0" {
		t.Errorf("zero is written %s", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"../../configs/*.yaml", "testdata/*.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("access: {rules: [{prefixes: [10.0.0.0/8], rate: x}]}\nrate_limit: {limits: [{name: x}]}"))
	f.Add([]byte("a: &a [*a]\n<<: *a\n? [x]\n: y\n---\n..."))
	f.Add([]byte("access: {rules: [{prefixes: [10.0.0.0/8], keys: [1]}, 5, null]}\nserver: {listen: [null]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", "/etc", data)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("error that is not Problems: %v", err)
			}
			return
		}
		// What is accepted can be used.
		if _, err := c.AccessTable(); err != nil {
			t.Fatalf("accepted, but the table says: %v", err)
		}
		for name, l := range c.Limits() {
			if err := l.Validate(); err != nil {
				t.Fatalf("accepted, but limit %q: %v", name, err)
			}
		}
		c.Resolve(Environment{Ports: true, Hostname: "h"})
	})
}

// What the configuration takes as a digest, Autokey must know.
func TestDigests(t *testing.T) {
	for _, f := range fieldsOf(reflect.TypeFor[Autokey](), "") {
		if f.name != "digest" {
			continue
		}
		for _, name := range words(f.tag) {
			if d, ok := autokey.ParseDigest(name); !ok || d.String() != name {
				t.Errorf("autokey does not know the digest %s", name)
			}
		}
		if autokey.Digest(len(words(f.tag))).Valid() {
			t.Error("autokey has a digest that the configuration lacks")
		}
	}
}

// Files that a service manager hands over are named by its variable, in every
// option that names a file.
func TestCredentials(t *testing.T) {
	const text = `keys: {files: [{path: $CREDENTIALS_DIRECTORY/ntp.keys}], trusted: [all]}
nts: {certificates: [{cert: site/nts.crt, key: $CREDENTIALS_DIRECTORY/nts.key}]}
autokey: {enabled: true, keysdir: /k, password_file: $CREDENTIALS_DIRECTORY/password,
  leap_file: $CREDENTIALS_DIRECTORY.d/leap}
`
	for dir, want := range map[string][]string{
		"/run/credentials/ntsbridge.service": {"/run/credentials/ntsbridge.service/ntp.keys", "/run/credentials/ntsbridge.service/nts.key",
			"/run/credentials/ntsbridge.service/password"},
		"": {"$CREDENTIALS_DIRECTORY/ntp.keys", "$CREDENTIALS_DIRECTORY/nts.key", "$CREDENTIALS_DIRECTORY/password"},
	} {
		c, err := Parse("site.yaml", "/etc/ntsbridge", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		c.Resolve(Environment{Credentials: dir})
		got := []string{c.Keys.Files[0].Path, c.NTS.Certificates[0].Key, c.Autokey.PasswordFile}
		if !slices.Equal(got, want) || c.NTS.Certificates[0].Cert != "/etc/ntsbridge/site/nts.crt" ||
			c.Autokey.LeapFile != "/etc/ntsbridge/$CREDENTIALS_DIRECTORY.d/leap" {
			t.Errorf("%q: %q, %q, %q; want %q", dir, got, c.NTS.Certificates[0].Cert, c.Autokey.LeapFile, want)
		}
	}
}
