package convert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
)

// site is an ntp.conf with something of everything, and what lies around it.
const site = `# Time for the plant.
driftfile /var/lib/ntp/drift
server ntp1.example.org key 4 iburst   # main
server ntp2.example.org autokey
server ntp3.example.org iburst minpoll 4 maxpoll 20
server 127.127.28.0 minpoll 4 prefer
fudge 127.127.28.0 time1 0.13 refid GPS
server 127.127.1.0
fudge 127.127.1.0 stratum 10
keys /etc/ntp.keys
trustedkey 1 2
trustedkey 4 5
tinker panic 0
tos minsane 2
crypto pw "not for you" ident plant host tick
keysdir /etc/ntp/crypto

# Nobody but us.
restrict default kod nomodify notrap nopeer noquery
restrict -6 default ignore
restrict 10.0.0.0 mask 255.0.0.0 notrust limited kod nomodify notrap
restrict 10.1.0.0 mask 255.255.0.0 limited nomodify notrap noquery version
restrict 10.1.2.3 ntpport ignore
restrict 127.0.0.1
restrict source nomodify
includefile /etc/ntp/more
discard average 5 minimum 3
statistics loopstats
dscp 34
interface listen 10.1.0.1
leapfile /etc/leap.list
logfile /var/log/ntp.log
pidfile /run/ntp.pid
setvar owner = "me" default
`

var siteFiles = fstest.MapFS{
	"etc/ntp.keys":   {Data: []byte("4 SHA1 0123456789012345678901234567890123456789\n6 M not4you\n")},
	"etc/ntp/more":   {Data: []byte("# more\ndisable monitor\nserver a.example.org Key 5\n")},
	"etc/leap.list":  {Data: []byte("#@ 3991593600\n")},
	"etc/hostname":   {Data: []byte("tick\n")},
	"etc/other.keys": {Data: []byte("4 SHA1\n")},
}

// golden compares text with a file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata/golden", name)
	if os.Getenv("NTSBRIDGE_UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got\n%s", file, diff)
	}
}

func text(t *testing.T, r *report.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func running(report.Question) Lost { return LostRunning }

func TestGolden(t *testing.T) {
	options := Options{PasswordFile: "/etc/ntsbridge/site.autokey-password", Decide: running}
	withNTS := options
	withNTS.NTSCert, withNTS.NTSKey, withNTS.TakeoverUntil = "/etc/tls/cert.pem", "/etc/tls/key.pem", "2027-12-31"
	for _, c := range []struct {
		name, file string
		opt        Options
	}{
		{"site", "", withNTS},
		{"debian", "024-openfest-openfest-network-2022.conf", options},
		{"notrust", "095-oxford-physics-oxphys-common.conf", options},
		{"autokey-client", "501-autokey-client-iff.conf", options},
		{"prefix-kept", "507-trap-prefix-kept.conf", Options{}},
		{"prefix-kept-intended", "507-trap-prefix-kept.conf", Options{Decide: func(report.Question) Lost { return LostIntended }}},
		{"restrict-forms", "510-trap-restrict-address-forms.conf", options},
		{"ntpsec", "523-ntpsec-nts.conf", options},
		{"everything", "524-everything.conf", options},
		{"chrony", "../chrony.conf/003-kolkman-raspberrysecuretimeserver.conf", options},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Name: filepath.Base(c.file), Files: siteFiles}
			if in.Data = []byte(site); c.file != "" {
				var err error
				if in.Data, err = os.ReadFile(filepath.Join("testdata/ntp.conf", c.file)); err != nil {
					t.Fatal(err)
				}
			} else {
				in.Name = "site.conf"
			}
			res := Convert(in, c.opt)
			checkResult(t, in, res)
			golden(t, c.name+".report.txt", text(t, res.Report))
			if res.Output != nil {
				golden(t, c.name+".yaml", string(res.Output))
			}
		})
	}
}

func TestGoldenClients(t *testing.T) {
	for _, format := range ClientFormats {
		for _, key := range []bool{false, true} {
			if key && format != "chrony" && format != "ntpsec" {
				continue
			}
			name := format
			if key {
				name += "-key"
			}
			t.Run(name, func(t *testing.T) {
				in := Input{Name: "site.conf", Data: []byte(site), Files: siteFiles}
				res := Convert(in, Options{Decide: running, Client: &ClientOptions{
					Format: format, Gateways: []string{"gw1.example.org", "gw2.example.org"}, CA: "/etc/site-ca.pem", Key: key,
					KeyFile: "/etc/client.keys"}})
				golden(t, "client-"+name+".txt", string(res.Output))
				golden(t, "client-"+name+".report.txt", text(t, res.Report))
				if serves := format == "chrony" || format == "ntpsec"; serves != (len(res.Secrets) == 1) { // of its clients
					t.Errorf("%d secrets", len(res.Secrets))
				}
			})
		}
	}
}

// TestNoSecrets looks for the password and keys of the site in everything but
// the files that are made for them.
func TestNoSecrets(t *testing.T) {
	for _, client := range []*ClientOptions{nil, {Format: "chrony", Gateways: []string{"gw"}, Key: true, KeyFile: "/k"}} {
		in := Input{Name: "site.conf", Data: []byte(site)}
		if client != nil {
			in.Files = siteFiles
		}
		res := Convert(in, Options{Decide: running, PasswordFile: "/p", Client: client})
		all := text(t, res.Report) + string(res.Output)
		for _, secret := range []string{"not for you", "not4you", "0123456789012345678901234567890123456789"} {
			if strings.Contains(all, secret) {
				t.Errorf("%q is in the report or the output", secret)
			}
		}
		if len(res.Secrets) != 1 {
			t.Fatalf("%d secrets, want 1", len(res.Secrets))
		}
	}
}

func TestMask(t *testing.T) {
	for line, want := range map[string]string{
		"crypto pw secret host tick":        "crypto pw ******** host tick",
		`crypto pw "two words" host tick`:   "crypto pw ******** host tick",
		"crypto pw pw":                      "crypto pw ********",
		"crypto pws secret":                 "crypto ******** ********",
		"Crypto PW secret":                  "Crypto PW ********",
		"crypto host tick pw secret # mine": "crypto host tick pw ******** # mine",
		`crypto pw"secret"`:                 "crypto ********",
		"\tcrypto\tpw\tsecret":              "\tcrypto\tpw\t********",
		"server a key 5":                    "server a key 5",
		"# crypto pw secret":                "# crypto pw secret",
		"password hunter2":                  "password ********",
		"crypto ident pw x":                 "crypto ident pw ********",
	} {
		if got := spell.Mask(line); got != want {
			t.Errorf("mask(%q) = %q, want %q", line, got, want)
		}
	}
}
