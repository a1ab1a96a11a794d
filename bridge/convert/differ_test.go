package convert

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ntsbridge/bridge/needs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/syntax"
)

// differFixed is how many configurations are shown to ntpd where nobody wants
// more: always the same ones.
const differFixed = 80

// realNTPD returns how the ntpd 4.2.8p15 of peers.sh is called from outside its
// root, whose C library is another.
func realNTPD(t *testing.T) []string {
	t.Helper()
	root := needs.Peer(t, "bullseye")
	loaders, err := filepath.Glob(filepath.Join(root, "lib/*/ld-2*.so"))
	if err != nil || len(loaders) == 0 {
		t.Fatalf("%s has no loader: %v", root, err)
	}
	libraries := filepath.Dir(loaders[0])
	return []string{loaders[0], "--library-path", libraries + ":" + filepath.Join(root, "usr/lib", filepath.Base(libraries)),
		filepath.Join(root, "usr/sbin/ntpd")}
}

var logPrefix = regexp.MustCompile(`(?m)^.*ntpd\[\d+\]: `)

// askNTPD returns what ntpd says of a configuration and keeps of it.
func askNTPD(t *testing.T, ntpd []string, conf []byte) oracle {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ntp.conf"), conf, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(ntpd[0], append(slices.Clone(ntpd[1:]), "-n", "-c", "ntp.conf", "--saveconfigquit", "out")...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	var o oracle
	for line := range strings.Lines(logPrefix.ReplaceAllString(said.String(), "")) {
		line = strings.TrimSuffix(line, "\n")
		if m := syntaxLine.FindStringSubmatch(line); m != nil {
			o.first = append(o.first, m[1]+":"+m[2]+" "+strings.TrimSuffix(m[3], ","))
		}
		if strings.HasPrefix(line, "syntax error in ") {
			o.errors++
		}
	}
	o.exit = "exit 0"
	if cmd.ProcessState.ExitCode() < 0 {
		o.exit = "crash" // while it prints what it kept
		return o
	}
	if err != nil {
		o.exit = "exit 1"
		return o
	}
	kept, _ := os.ReadFile(filepath.Join(dir, "out"))
	read := readOracle(string(kept))
	for _, s := range read.kept {
		if !strings.HasPrefix(s, "#NTF") {
			o.kept = append(o.kept, s)
		}
	}
	return o
}

// TestDiffer shows random configurations to us and to ntpd.
func TestDiffer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: it runs without -short, in make unit")
	}
	ntpd := realNTPD(t)
	seed, count := uint64(1), differFixed
	if text := os.Getenv("NTSBRIDGE_DIFFER_COUNT"); text != "" {
		seed = rand.Uint64()
		if _, err := fmt.Sscan(text, &count); err != nil {
			t.Fatalf("NTSBRIDGE_DIFFER_COUNT %q: %v", text, err)
		}
	}
	for i := range count {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		conf := randomConf(r)
		got, want := ours(ntpconf.Parse("ntp.conf", conf, syntax.NoFiles)), askNTPD(t, ntpd, conf)
		if want.exit != "exit 0" && got.exit == want.exit {
			continue
		}
		if want.exit == "crash" {
			got.exit, got.kept = want.exit, nil
		}
		// A name of a variable with = in it is printed as another one by ntpd.
		isSetVar := func(line string) bool { return strings.HasPrefix(line, "setvar") }
		got.kept, want.kept = slices.DeleteFunc(got.kept, isSetVar), slices.DeleteFunc(want.kept, isSetVar)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(oracle{})); diff != "" {
			t.Fatalf("seed %d/%d: -ntpd +ours\n%s\n%s", seed, i, diff, conf)
		}
	}
}

// typicals are beginnings of lines with what may follow.
var typicals = [][2]string{
	{"server a", ntpconf.AssociationFlags + " " + ntpconf.AssociationNumbers + " 1 4 5 6 ident"},
	{"server 127.127.1.0", ntpconf.AssociationFlags + " " + ntpconf.AssociationNumbers + " 1 4 5 6"},
	{"pool -4 b", ntpconf.AssociationFlags + " " + ntpconf.AssociationNumbers + " 7 8 9"},
	{"peer", "-4 -6 a b c key minpoll 5 6 autokey ident"},
	{"restrict", ntpconf.RestrictFlags + " default source -4 -6 mask ippeerlimit 3 10.0.0.0 255.0.0.0 serverresponse fuzz"},
	{"restrict default", ntpconf.RestrictFlags + " serverresponse fuzz ippeerlimit 3"},
	{"restrict 10.0.0.0 mask 255.0.0.0", ntpconf.RestrictFlags + " serverresponse fuzz ippeerlimit 3"},
	{"restrict source", ntpconf.RestrictFlags + " ippeerlimit 200"},
	{"tos", ntpconf.TosIntegers + " " + ntpconf.TosNumbers + " 1 2 1.5 cohort true 0 basedate 2021-01-01"},
	{"tinker", ntpconf.TinkerNumbers + " 1 2 1.5 0"},
	{"fudge 127.127.1.0", ntpconf.FudgeFlags + " 0 1 2 true time1 time2 minjitter 1.5 stratum 3 17 refid abbrev X"},
	{"crypto", ntpconf.CryptoStrings + " revoke 5 a b"},
	{"trustedkey", "1 2 3 ( ) ... ( 4 ... 5 )"},
	{"filegen loopstats", ntpconf.FilegenFlags + " file x type " + ntpconf.FilegenTypes},
	{"filegen", ntpconf.FilegenFlags + " file x type " + ntpconf.FilegenTypes + " " + ntpconf.StatisticsNames},
	{"discard", ntpconf.DiscardIntegers + " 1 2 3 4 5"},
	{"mru", ntpconf.MruIntegers + " 1 2 3 4 5"},
	{"rlimit", ntpconf.RlimitIntegers + " 1 2 3 4 5"},
	{"enable", ntpconf.SystemSwitches}, {"disable", ntpconf.SystemSwitches}, {"statistics", ntpconf.StatisticsNames},
	{"logconfig", "=all +a -b c = + -"}, {"phone", "a b 5 \"c d\""}, {"setvar", "a b = 5 default"},
	{"interface", ntpconf.InterfaceActions + " " + ntpconf.InterfaceClasses + " eth0 10.0.0.0/8"},
	{"driftfile", "a 5 1.5"}, {"leapfile", "a checkhash ignorehash"}, {"trap a", "port 5 interface b"},
	{"ttl", "1 2 3"}, {"pollskewlist", "6 1 | 2 default 7 3 4"}, {"includefile x", "driftfile a ttl 1 server b iburst"},
	{"multicastclient", "-4 -6 a b 224.0.1.1"},
}

// randomConf returns lines of which most begin well.
func randomConf(r *rand.Rand) []byte {
	words := slices.Sorted(func(yield func(string) bool) {
		for w := range ntpconf.Keywords {
			if w != "end" && w != "simulate" && w != "unpeer" && w != "unconfig" && !yield(w) {
				return
			}
		}
	})
	starts := slices.Sorted(func(yield func(string) bool) {
		for w := range ntpconf.Directives {
			if w != "end" && w != "simulate" && w != "unpeer" && w != "unconfig" && !yield(w) {
				return
			}
		}
	})
	odd := []string{"1", "5", "-1", "0", "300", "1.5", "0x10", "a", "127.127.1.0", "10.0.0.0", "255.0.0.0", "true",
		`"quoted word"`, `"key"`, "=", "(", ")", "|", ",", "...", "-4", "-6", "-4x", "#c", "x#y", `""`, "KEY", "3000000000", "ä",
		"1e3", "+", "-", "a=b", `" "`, `a"b"c`, "\"open", "\r", "\t", "\v"}
	groups := []string{ntpconf.AssociationFlags, ntpconf.AssociationNumbers, ntpconf.CryptoStrings, ntpconf.TosIntegers,
		ntpconf.TosNumbers, ntpconf.StatisticsNames, ntpconf.FilegenTypes,
		ntpconf.FilegenFlags, ntpconf.DiscardIntegers, ntpconf.MruIntegers, ntpconf.RestrictFlags, ntpconf.FudgeFlags,
		ntpconf.RlimitIntegers, ntpconf.SystemSwitches, ntpconf.TinkerNumbers,
		ntpconf.ResetCounters, ntpconf.InterfaceActions, ntpconf.InterfaceClasses, "file type", "mask default source ippeerlimit",
		"ident", "refid stratum time1"}
	var b strings.Builder
	for range 1 + r.IntN(40) {
		group := strings.Fields(groups[r.IntN(len(groups))])
		switch k := r.IntN(20); {
		case k == 0:
		case k < 8:
			b.WriteString(starts[r.IntN(len(starts))])
		default:
			typical := typicals[r.IntN(len(typicals))]
			group = strings.Fields(typical[1])
			b.WriteString(typical[0])
		}
		for range r.IntN(8) {
			switch k := r.IntN(10); {
			case k < 5:
				b.WriteString(" " + group[r.IntN(len(group))])
			case k < 6:
				b.WriteString(" " + words[r.IntN(len(words))])
			case k < 9:
				b.WriteString(" " + odd[r.IntN(12)])
			default:
				b.WriteString(" " + odd[r.IntN(len(odd))])
			}
		}
		b.WriteString("\n")
	}
	return []byte(b.String())
}
