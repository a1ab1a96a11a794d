//go:build linux

package rig

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/cmd/ntpload/internal/load"
	"ntsbridge/symkey"
)

func TestParseSpec(t *testing.T) {
	for text, program := range map[string]string{
		"chronyd": "chronyd", "chronyd,root=/x,noclientlog,bound": "chronyd", "ntsbridge,bin=./b": "ntsbridge",
		"echo,wait=recv,timestamps": "echo", "exec:server -x {dir}": "exec",
	} {
		if s, err := ParseSpec(text); err != nil || s.program != program || s.Text != text {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "ntpd", "chronyd,wait=recv", "ntsbridge,root=/"} {
		if _, err := ParseSpec(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestParseKinds(t *testing.T) {
	if all, err := ParseKinds(""); err != nil || len(all) != len(Kinds) {
		t.Errorf("%v, %v", all, err)
	}
	if two, err := ParseKinds("nts-15, none"); err != nil || len(two) != 2 || two[0].aead != 15 || two[1].Name != "none" {
		t.Errorf("%v, %v", two, err)
	}
	if _, err := ParseKinds("none,autokey"); err == nil || !strings.Contains(err.Error(), "nts-30") {
		t.Errorf("unknown kind: %v", err)
	}
}

// TestPrepare makes the directories of all servers, and reads back the keys
// as both programs would.
func TestPrepare(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	m, err := newMaterial()
	if err != nil {
		t.Fatal(err)
	}
	l := link{"nb-x", netip.MustParseAddr("192.0.2.1")}
	root := t.TempDir()
	for text, want := range map[string]struct{ file, content, command string }{
		"chronyd,root=" + root + ",noclientlog": {"chrony.conf", "\nnoclientlog\n", `exec chroot "$0" "$@" ` + root + " chronyd -n -x"},
		"chronyd,bin=/x/chronyd,bound":          {"chrony.conf", "\nbindaddress 192.0.2.1\n", "/x/chronyd -n -x"},
		"ntsbridge,bound":                       {"ntsbridge.yaml", `listen: ["192.0.2.1:123"]`, "ntsbridge serve -c"},
		"ntsbridge,planned":                     {"state/fleet-state.json", `"group":"many","means":"none","stage":"refuse"`, "ntsbridge serve -c"},
		"echo,timestamps,batch=8":               {keysFile, "4 AES128 HEX:", "self echo"},
		"exec:x {dir} {addr}":                   {certFile, "CERTIFICATE", "192.0.2.1"},
	} {
		s, err := ParseSpec(text)
		if err != nil {
			t.Fatal(err)
		}
		u, err := s.prepare(m, l, "self")
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(u.dir, want.file))
		if err != nil || !strings.Contains(string(content), want.content) {
			t.Errorf("%s: %v, %s has\n%s\nwant %q in it", text, err, want.file, content, want.content)
		}
		if command := strings.Join(u.command, " "); !strings.Contains(command, want.command) ||
			!strings.HasPrefix(command, "setpriv --bounding-set=-sys_time") {
			t.Errorf("%s: command %q", text, command)
		}
		u.remove()
		if _, err := os.Stat(u.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: its directory is still there: %v", text, err)
		}
	}
	keys, err := symkey.ParseChronyKeys("keys", m.keys)
	if err != nil || len(keys.Keys) != 4 {
		t.Errorf("keys: %v, %v", keys, err)
	}
}

// The state of a planned ntsbridge is one that it goes on from, and as large as
// is said.
func TestPlanned(t *testing.T) {
	text, err := planned()
	if err != nil {
		t.Fatal(err)
	}
	s, err := steer.ParseState(text)
	if err != nil {
		t.Fatal(err)
	}
	p, findings := plan.Parse(s.PlanName, []byte(s.Plan))
	if p == nil {
		t.Fatal(findings)
	}
	var compiled *access.Overlays
	steer.New(steer.Environment{
		Each:    func(func(*inventory.Client)) error { return nil },
		Where:   func() stage.Where { return stage.Where{} },
		Record:  func(*history.Entry) error { return nil },
		Keep:    func([]byte) error { return nil },
		Enforce: func(r *stage.Resolver, list []stage.Refusal) { compiled = r.Compile(list) },
	}, s, steer.Moment{Wall: time.Now()})
	if n := compiled.Len(); n < plannedPrefixes {
		t.Errorf("%d prefixes are in force, want %d", n, plannedPrefixes)
	}
	if o := compiled.Lookup(netip.PrefixFrom(clients.Addr().Next(), 32)); o == nil || o.Autokey == nil || o.None != nil {
		t.Errorf("the clients have %+v", o)
	}
}

// Each kind of certificate is made, and no other.
func TestCertificateKinds(t *testing.T) {
	for kind, bits := range map[string]int{"ecdsa": 256, "rsa2048": 2048, "rsa4096": 4096} {
		if testing.Short() && bits > 2048 {
			continue
		}
		m, err := newMaterialOf(kind)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(m.cert, m.key)
		if err != nil {
			t.Fatal(err)
		}
		got := 256
		if key, ok := pair.Leaf.PublicKey.(*rsa.PublicKey); ok {
			got = key.N.BitLen()
		}
		if got != bits {
			t.Errorf("%s has %d bits", kind, got)
		}
	}
	if _, err := newMaterialOf("dsa"); err == nil || !strings.Contains(err.Error(), "rsa4096") {
		t.Errorf("dsa: %v", err)
	}
}

// A server that does not know a key exchange is told so, and the other one
// measured alone.
func TestKERow(t *testing.T) {
	ms := func(n ...time.Duration) (list []time.Duration) {
		for _, v := range n {
			list = append(list, v*time.Millisecond)
		}
		return list
	}
	both := KERow{Certificate: "ecdsa", Group: "x25519"}
	both.measure(func([]int) ([][]time.Duration, error) { return [][]time.Duration{ms(2, 4, 2), ms(1, 1, 2)}, nil })
	if got := strings.Join(both.cells(), "|"); got != "ecdsa|x25519|2000 (2000..4000)|1000 (1000..2000)|0.50 (0.25..1.00)" {
		t.Error(got)
	}
	one := KERow{Certificate: "ecdsa", Group: "hybrid"}
	one.measure(func(which []int) ([][]time.Duration, error) {
		if slices.Contains(which, 0) {
			return nil, errors.New("handshake failure")
		}
		return [][]time.Duration{ms(1)}, nil
	})
	if got := strings.Join(one.cells(), "|"); one.Err != nil || got != "ecdsa|hybrid|not known|1000 (1000..1000)|-" {
		t.Error(got, one.Err)
	}
	none := KERow{}
	if none.measure(func([]int) ([][]time.Duration, error) { return nil, errors.New("refused") }); none.Err == nil {
		t.Error("neither could be measured, and that is no error")
	}
}

func TestSummarise(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Summary
	}{
		{[]float64{3}, Summary{3, 3, 3}},
		{[]float64{3, 1, 2}, Summary{2, 1, 3}},
		{[]float64{4, 1, 2, 9}, Summary{3, 1, 9}},
	} {
		if got := Summarise(c.values); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
	if !math.IsNaN(Summarise(nil).Median) {
		t.Error("no values have a median")
	}
}

func TestTable(t *testing.T) {
	row := Row{Kind: "none"}
	for _, cpu := range []time.Duration{100, 110, 130} {
		row.add(&load.Result{Answers: 1000, CPU: 1000 * 100, Wall: time.Second, Lost: 1},
			&load.Result{Answers: 1000, CPU: 1000 * cpu, Own: 1000 * 90, Wall: time.Second})
	}
	table := Table{A: "one", B: "two", Rows: []Row{row, {Kind: "md5", Err: errors.New("no answer")}}}
	var text, markdown bytes.Buffer
	if err := errors.Join(table.WriteText(&text), table.WriteMarkdown(&markdown)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "1.10 (1.00..1.30)") || !strings.Contains(text.String(), "failed") {
		t.Errorf("text:\n%s", text.String())
	}
	if want := "| none | 100 (100..100) | 110 (100..130) | 1.10 (1.00..1.30) | 1000 | 1000 | 0% | 0% | 100 | 200 | 2.00 | 3 |"; !strings.Contains(
		markdown.String(), want) {
		t.Errorf("markdown:\n%swant\n%s", markdown.String(), want)
	}
	if err := table.Err(); err == nil || !strings.Contains(err.Error(), "md5: no answer") {
		t.Errorf("Err is %v", err)
	}
}
