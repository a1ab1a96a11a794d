package convert

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
)

// codes returns the codes of all findings of a class or worse.
func codes(r *report.Report, least report.Class) (list []string) {
	add := func(f report.Finding) {
		if f.Class.Rank() >= least.Rank() && !slices.Contains(list, f.Code) {
			list = append(list, f.Code)
		}
	}
	for _, f := range r.Findings {
		add(f)
	}
	for _, l := range r.Lines {
		for _, f := range l.Findings {
			add(f)
		}
	}
	return list
}

const good = "restrict default limited kod nomodify notrap nopeer noquery\n"

// trapCases are configurations with what must be found in them.
var trapCases = []struct{ conf, want string }{
	{"restrict default nomodify", "queries-open"},
	{"", "open-to-all"},
	{"restrict -4 default noquery nomodify\nrestrict 127.0.0.1", "ipv6-open"},
	{good + "server 127.127.1.0", "local-only"},
	{good + "server 127.127.1.0 prefer\nserver a", "local-prefer"},
	{good + "server 127.127.1.0\nfudge 127.127.1.0 stratum 1\nserver a", "local-stratum"},
	{good + "tos orphan 5", "orphan"},
	{good + "server 127.127.8.0 mode 5", "refclock"},
	{good + "server 127.127.99.0", "dead-source"},
	{good + "server 127.127.28.2", "shm-public"},
	{good + "server 224.0.1.1", "dead-source"},
	{good + "server a autokey", "dead-source"},
	{good + "crypto\nserver a autokey", "autokey-no-ident"},
	{good + "crypto\nserver a autokey ident b", "autokey-group-missing"},
	{good + "crypto\nserver a autokey ident bad", "autokey-group"},
	{good + "keys /etc/ntp.keys\ntrustedkey 2", "weak-key"},
	{good + "keys /etc/ntp.keys\ntrustedkey 3", "trusted-unused"},
	{good + "restrict 10.0.0.0 mask 255.0.0.0 notrust", "notrust"},
	{good + "server a iburst bogus", "words-lost"},
	{good + "logfile", "line-lost"},
	{good + "keys /etc/ntp.keys\ntrustedkey 1 7", "trusted-absent"},
	{good + "keys /etc/ntp.keys\ntrustedkey 1\nserver a key 3", "source-key"},
	{good + "server a key 3", "source-key"},
	{good + "keys /etc/bad.keys\ntrustedkey 1", "keys-rejected"},
	{good + "keys /etc/none.keys\ntrustedkey 1", "keys-missing"},
	{good + "broadcastclient\ndisable auth", "trusts-everybody"},
	{good + "tinker panic 0", "panic-off"},
	{good + "server a true", "true"},
	{good + "peer a", "peer"},
	{good + "broadcast 192.0.2.255", "broadcast"},
	{good + "leapfile /l ignorehash", "ignorehash"},
	{good + "end\nserver a", "never-read"},
	{good + "tos minsane 3 maxclock 1.5", "lost-setting"},
	{good + "authenticate yes", "old-word"},
	{good + "restrict 10.0.0.0/8 nomodify noquery", "restrict-ignored"},
	{good + "server a minpoll 6 iburst", ""},
	{good + "keys /etc/ntp.keys\ntrustedkey 1\nserver a key 1", ""},
	{good + "restrict 127.0.0.1 nomodify", ""},
}

// TestTraps has what is found in old files, by the code of the finding, and
// what must not be found in a good one.
func TestTraps(t *testing.T) {
	files := fstest.MapFS{
		"etc/ntp.keys":                    {Data: []byte("1 AES128CMAC 00112233445566778899aabbccddeeff\n2 M short\n3 SHA256 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff 192.0.2.1\n")},
		"usr/local/etc/ntpkey_iffpar_bad": {Data: []byte("# ntpkey_IFFpar_bad.3900000000\nnot a key\n")},
		"etc/bad.keys":                    {Data: []byte("1 AES128CMAC 00112233445566778899aabbccddeeff\nx M y\n")},
	}
	for _, c := range trapCases {
		t.Run(strings.TrimPrefix(c.conf, good), func(t *testing.T) {
			in := Input{Name: "ntp.conf", Data: []byte(c.conf + "\n"), Files: files}
			res := Convert(in, Options{Dialect: "ntp", Hostname: "tick", Decide: running})
			least := report.Folded
			if c.want == "" {
				least = report.Unsupported
			}
			found := codes(res.Report, least)
			if c.want != "" && !slices.Contains(found, c.want) || c.want == "" && len(found) > 0 {
				t.Errorf("found %q, want %q\n%s", found, c.want, text(t, res.Report))
			}
		})
	}
}

// TestAutokeyFiles reads sets of real ntp-keygen files with a configuration.
func TestAutokeyFiles(t *testing.T) {
	for _, c := range []struct{ dir, host, pw, want string }{
		{"iff-b512", "tick", "serverpw", "autokey-weak-key"},
		{"tc-rsa512-md5", "tick", "serverpw", "autokey-tc"},
		{"gq-b1024", "tick", "serverpw", "autokey-gq-too-large"},
		{"iff-b512", "tick", "wrong", "autokey-files"},
		{"iff-b512", "tock", "serverpw", "autokey-files"},
	} {
		t.Run(c.dir+" "+c.host+" "+c.pw, func(t *testing.T) {
			tree, err := os.OpenRoot("../../autokey/keyfile/testdata/keys")
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			in := Input{Name: "ntp.conf", Data: []byte("crypto host " + c.host + " pw " + c.pw + "\nkeysdir /" + c.dir + "\n"),
				Files: tree.FS()}
			res := Convert(in, Options{Dialect: "ntp", PasswordFile: "/pw", Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
			checkResult(t, in, res)
			if found := codes(res.Report, report.Dangerous); !slices.Contains(found, c.want) {
				t.Errorf("found %q, want %s\n%s", found, c.want, text(t, res.Report))
			}
			enabled := strings.Contains(string(res.Output), "autokey:\n  # Legacy")
			if enabled == (c.want == "autokey-files") || enabled != (len(res.Secrets) == 1) {
				t.Errorf("enabled %v, %d secrets", enabled, len(res.Secrets))
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	files := fstest.MapFS{"etc/default/ntp": {Data: []byte("# x\nNTPD_OPTS='-g -t 7 -x'\n")}}
	res := Convert(Input{Name: "ntp.conf", Data: []byte("restrict default noquery\n"), Files: files}, Options{})
	if got := text(t, res.Report); !strings.Contains(got, "starts ntpd with -t (one more trusted key)") ||
		strings.Contains(got, "with -g") {
		t.Error(got)
	}
}

// TestStarted reads how distributions start the daemon.
func TestStarted(t *testing.T) {
	for _, c := range []struct{ name, content, dialect, want string }{
		{"etc/default/ntp", "NTPD_OPTS='-g'\n", "ntp", "known -g"},
		{"etc/sysconfig/ntpd", "# Drop root\nOPTIONS=\"-u ntp:ntp -p /var/run/ntpd.pid -x\" # no steps\n", "ntp", "known -x"},
		{"etc/sysconfig/ntp", "NTPD_OPTIONS=\"-gxu ntp:ntp\"\n", "ntp", "known -g -x"},
		{"etc/default/ntpsec", "NTPD_OPTS=\"-g -N\"\n", "ntpsec", "known -g"},
		{"etc/default/ntpsec", "NTPD_OPTS=\"-g\"\n", "ntp", ""},
		{"etc/rc.conf", "ntpd_enable=\"YES\"\nntpd_sync_on_start=\"YES\"\n", "ntp", "known -g"},
		{"etc/rc.conf", "ntpd_flags=\"-p /x -f /var/db/ntpd.drift\"\n", "ntp", "known -f"},
		{"usr/lib/systemd/system/ntpd.service", "[Service]\nExecStart=/usr/sbin/ntpd -u ntp:ntp --panicgate $OPTIONS\n", "ntp", "known -g"},
		{"etc/systemd/system/ntp.service.d/over.conf", "[Service]\nExecStart=\nExecStart=-/usr/sbin/ntpd -n -g -c /etc/ntp.conf\n", "ntp",
			"known -g"},
		{"etc/systemd/system/ntp.service", "[Service]\nExecStart=/usr/bin/something -g\n", "ntp", ""},
		{"etc/default/chrony", "DAEMON_OPTS=\"-F 1 -x\"\n", "chrony", "known never"},
		{"etc/default/chrony", "DAEMON_OPTS=\"-g\"\n", "ntp", ""},
	} {
		in := Input{Name: "/etc/ntp.conf", Files: fstest.MapFS{c.name: {Data: []byte(c.content)}}}
		conv := &job.Job{In: in, Dialect: c.dialect, Report: &report.Report{}}
		conv.CommandLine()
		var got []string
		for _, option := range []struct {
			name string
			on   bool
		}{{"known", conv.Start.Known}, {"-g", conv.Start.PanicOnce}, {"-x", conv.Start.SlewOnly}, {"-f", conv.Start.Drift != ""},
			{"never", conv.Start.Never != ""}} {
			if option.on {
				got = append(got, option.name)
			}
		}
		if strings.Join(got, " ") != c.want || len(conv.Report.Findings) > 0 {
			t.Errorf("%s: %q, want %q; %v", c.name, got, c.want, conv.Report.Findings)
		}
	}
}

// TestChronySources reads sources with all kinds of options.
func TestChronySources(t *testing.T) {
	conf := "server a.example.org key 5 iburst\nserver b.example.org nts ntsport 4461\npool c.example.org maxsources 4\nkeyfile /etc/chrony.keys\n" +
		"SERVER d.example.org minpoll -2 maxpoll 3\nserver e.example.org key 6\nserver # nobody\n"
	files := fstest.MapFS{"etc/chrony.keys": {Data: []byte("5 AES128 HEX:00112233445566778899aabbccddeeff\n")}}
	in := Input{Name: "chrony.conf", Data: []byte(conf), Files: files}
	res := Convert(in, Options{})
	checkResult(t, in, res)
	for _, want := range []string{"server: a.example.org\n    auth: symmetric\n    key: 5",
		"server: b.example.org\n    auth: nts\n    nts_port: 4461",
		"server: c.example.org", "server: d.example.org\n    minpoll: -2\n    maxpoll: 3", "format: chrony", "trusted: [all]"} {
		if !strings.Contains(string(res.Output), want) {
			t.Errorf("lacks %q:\n%s", want, res.Output)
		}
	}
	if strings.Contains(string(res.Output), "server: e.example.org") {
		t.Error("a source with a key that is not there was written")
	}
	if found := codes(res.Report, report.Dangerous); !slices.Contains(found, "source-key") || !slices.Contains(found, "no-address") {
		t.Errorf("found %q", found)
	}
}

// TestNTPsecIncludes reads what ntpsec reads: names from the directory of the
// file that has them, directories, and ntp.d beside the main file.
func TestNTPsecIncludes(t *testing.T) {
	files := fstest.MapFS{
		"etc/ntpsec/more.d/b.conf":    {Data: []byte("includefile deep.conf\nserver b.example.org\n")},
		"etc/ntpsec/more.d/a.conf":    {Data: []byte("server a.example.org\n")},
		"etc/ntpsec/more.d/c.txt":     {Data: []byte("server c.example.org\n")},
		"etc/ntpsec/more.d/deep.conf": {Data: []byte("server deep.example.org\n")},
		"etc/ntpsec/one.conf":         {Data: []byte("server one.example.org\nbogus\n")},
		"etc/ntpsec/ntp.d/x.conf":     {Data: []byte("server x.example.org nts\n")},
		"etc/ntpsec/ntp.d/y.conf":     {Data: []byte("server y.example.org\n")},
		"etc/default/ntpsec":          {Data: []byte("NTPD_OPTS=\"-g -N\"\n")},
	}
	in := Input{Name: "host/etc/ntpsec/ntp.conf", Path: "/etc/ntpsec/ntp.conf", Files: files,
		Data: []byte("includefile more.d\nserver main.example.org\nincludefile one.conf\nincludefile /etc/none.conf\n")}
	res := Convert(in, Options{})
	checkResult(t, in, res)
	if res.Report.Dialect != "ntpsec" {
		t.Errorf("dialect %s", res.Report.Dialect)
	}
	var order []string
	for _, a := range associationsOf(res.Config) {
		order = append(order, strings.TrimSuffix(a.Server, ".example.org")+" "+a.Auth)
	}
	want := []string{"a none", "deep none", "b none", "deep none", "main none", "one none", "x nts", "y none"}
	want = slices.Delete(want, 3, 4) // the second one is the same server
	if !slices.Equal(order, want) {
		t.Errorf("got %q, want %q", order, want)
	}
	if !strings.Contains(string(res.Output), "panic_once: true") {
		t.Error("-g is lost")
	}
	got := text(t, res.Report)
	for _, line := range []string{"/etc/ntpsec/ntp.d/x.conf:1: kept", "/etc/ntpsec/one.conf:2: error", "/etc/none.conf is not there"} {
		if !strings.Contains(got, line) {
			t.Errorf("the report lacks %q:\n%s", line, got)
		}
	}
}
