package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// updateVariable makes the tests of oracles write anew what the real ntpd did,
// for the tests of bridge/convert.
const updateVariable = "NTSBRIDGE_UPDATE"

// recorded is a file of bridge/convert/testdata/oracle: comments, then a line
// for each question with the answer behind a mark.
type recorded struct {
	name, comments, mark string
	questions            []string
	answers              map[string]string
}

func readRecorded(t *testing.T, name, mark string) *recorded {
	t.Helper()
	r := &recorded{name: filepath.Join(repository(), "bridge/convert/testdata/oracle", name), mark: mark, answers: make(map[string]string)}
	text, err := os.ReadFile(r.name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			r.comments += line + "\n"
			continue
		}
		at := strings.LastIndex(line, mark)
		if at < 0 {
			t.Fatalf("%s: %q", name, line)
		}
		r.questions = append(r.questions, line[:at])
		r.answers[line[:at]] = sortedWords(line[at+len(mark):])
	}
	return r
}

// compare compares what is recorded with what the real ntpd did now, or records
// it.
func (r *recorded) compare(t *testing.T, now map[string]string) {
	t.Helper()
	text := r.comments
	for _, q := range r.questions {
		text += q + r.mark + now[q] + "\n"
		if os.Getenv(updateVariable) == "" && now[q] != r.answers[q] {
			t.Errorf("%s: ntpd made %q, recorded is %q", q, now[q], r.answers[q])
		}
	}
	if os.Getenv(updateVariable) != "" {
		if err := os.WriteFile(r.name, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func sortedWords(text string) string {
	return strings.Join(slices.Sorted(strings.FieldsSeq(text)), " ")
}

// oracleAddresses are those of the host of testdata/oracle/interfaces.txt.
var oracleAddresses = map[string]string{"127.0.0.1": "lo", "::1": "lo", "10.9.0.1": "eth0", "10.9.0.11": "eth0", "fd09::1": "eth0",
	"10.8.0.1": "eth1", "fd08::1": "eth1"}

// oracleHost is a host with these addresses and no others.
func oracleHost(n *Network, name string) *Host {
	h := n.Host(name)
	batch := "addr flush dev eth0\nlink add eth1 type veth peer name other1\nlink set eth1 up\nlink set other1 up\n"
	for a, device := range oracleAddresses {
		if device != "lo" {
			batch += fmt.Sprintf("addr add %s dev %s nodad\n", netip.PrefixFrom(netip.MustParseAddr(a), map[bool]int{true: 24, false: 64}[!strings.Contains(a, ":")]), device)
		}
	}
	batch = regexp.MustCompile(`(addr add \d+\.\S+ dev \S+) nodad`).ReplaceAllString(batch, "$1")
	n.must(h.Do(func() error { return ip(batch) }))
	return h
}

// answered sends a request from h to an address and reports whether it is
// answered; from is the address it comes from, if it matters.
func answered(h *Host, from, to netip.Addr) bool {
	got := false
	h.Do(func() error {
		// Not connected: a real ntpd answers by a wildcard socket from another
		// of its addresses.
		var local *net.UDPAddr
		if from.IsValid() {
			local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
		c, err := net.ListenUDP("udp", local)
		if err != nil {
			return err
		}
		defer c.Close()
		request := make([]byte, ntp.HeaderLen)
		request[0] = 4<<3 | 3
		copy(request[40:], "question")
		c.SetDeadline(time.Now().Add(700 * time.Millisecond))
		if _, err := c.WriteToUDPAddrPort(request, netip.AddrPortFrom(to, ntpPort)); err != nil {
			return err
		}
		response := make([]byte, 100)
		n, err := c.Read(response)
		got = err == nil && n >= ntp.HeaderLen && string(response[24:32]) == "question" && response[1] <= 16 && response[0]&7 == 4
		return err
	})
	return got
}

// open returns the addresses of an oracleHost at which its daemon answers.
func open(h *Host) (list []string) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for a := range oracleAddresses {
		all.Go(func() {
			if answered(h, netip.Addr{}, netip.MustParseAddr(a)) {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, a)
			}
		})
	}
	all.Wait()
	slices.Sort(list)
	return list
}

// ofSockets returns the addresses at which a daemon with these sockets answers.
func ofSockets(sockets string) (list []string) {
	words := strings.Fields(sockets)
	for a, device := range oracleAddresses {
		wild := "v4wildcard=0.0.0.0"
		if strings.Contains(a, ":") {
			wild = "v6wildcard=::"
		}
		if slices.Contains(words, device+"="+a) || slices.Contains(words, wild) {
			list = append(list, a)
		}
	}
	slices.Sort(list)
	return list
}

var listensOn = regexp.MustCompile(`Listen normally on \d+ (\S+) \[?([0-9a-f:.]+)\]?:123`)

// TestOracleOfInterfaces starts the real ntpd with rules about interfaces, and
// what convert makes of them: both answer at the same addresses, by their
// answers; and the real one has the sockets that are recorded.
func TestOracleOfInterfaces(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("about what convert writes")
	}
	r := readRecorded(t, "interfaces.txt", " =>")
	few := os.Getenv(longVariable) == "" && os.Getenv(updateVariable) == ""
	if few { // every fifth
		var some []string
		for i := 0; i < len(r.questions); i += 5 {
			some = append(some, r.questions[i])
		}
		r.questions = some
	}
	n := NewNetwork(t)
	var hosts []*Host
	for i := range 4 {
		hosts = append(hosts, oracleHost(n, fmt.Sprintf("rules%d", i)))
	}
	n.Names()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	now := make(map[string]string)
	compared := 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() {
			for j := i; j < len(r.questions); j += len(hosts) {
				q := r.questions[j]
				sockets := oracleInterfaces(t, h, q)
				ours := convertedInterfaces(t, h, program, q, ofSockets(sockets))
				mu.Lock()
				now[q] = sockets
				if ours {
					compared++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	r.compare(t, now)
	t.Logf("%d sets of rules, %d of them without a question and served", len(now), compared)
	if !few && compared < 25 {
		t.Errorf("only %d sets of rules could be converted", compared)
	}
}

// rulesOf returns the command line and the file of a set of rules.
func rulesOf(q string) (options []string, conf string) {
	line, conf, ok := strings.Cut(q, "|")
	if !ok {
		line, conf = "", q
	}
	return strings.Fields(line), strings.ReplaceAll(conf, ";", "\n") + "\n"
}

// oracleInterfaces returns the sockets that the real ntpd answers on.
func oracleInterfaces(t *testing.T, h *Host, q string) string {
	options, conf := rulesOf(q)
	h.Write("ntp.conf", conf)
	d := h.Start("ntpd"+strconv.Itoa(int(time.Now().UnixNano())), NTPD, append([]string{"-n", "-c", "/mnt/ntp.conf"}, options...)...)
	defer d.Stop()
	err := waitFor(limit, func() error {
		if !strings.Contains(d.Log(), "Listening on routing socket") {
			if err := d.Alive(); err != nil {
				return err
			}
			return fmt.Errorf("not ready:\n%s", d.Tail(20))
		}
		return nil
	})
	if err != nil {
		return "EXIT"
	}
	var sockets []string
	for _, m := range listensOn.FindAllStringSubmatch(d.Log(), -1) {
		if !strings.HasPrefix(m[2], "fe80") {
			sockets = append(sockets, m[1]+"="+m[2])
		}
	}
	text := sortedWords(strings.Join(sockets, " "))
	if got := open(h); !slices.Equal(got, ofSockets(text)) {
		t.Errorf("%s: ntpd has the sockets %s, and answers on %v", q, text, got)
	}
	return text
}

// convertedInterfaces starts what convert makes of the rules; it reports whether
// that was anything.
func convertedInterfaces(t *testing.T, h *Host, program, q string, want []string) bool {
	options, _ := rulesOf(q)
	yaml := filepath.Join(h.Dir, "new.yaml")
	os.Remove(yaml)
	out, err := exec.Command(program, "convert", "--from", "ntp", "--daemon-options", strings.Join(append([]string{"-g"}, options...), " "),
		"-o", yaml, filepath.Join(h.Dir, "ntp.conf")).CombinedOutput()
	if _, missing := os.Stat(yaml); missing != nil {
		if !strings.Contains(string(out), "DECIDE") && !strings.Contains(string(out), "decide") {
			t.Errorf("%s: nothing is written, and nothing is asked: %v\n%s", q, err, out)
		}
		return false
	}
	d := h.Start("ntsbridge"+strconv.Itoa(int(time.Now().UnixNano())), Program{Path: program}, "serve", "--no-clock", "-c", yaml,
		"--state-dir", filepath.Join(h.Dir, "state"), "--run-dir", filepath.Join(h.Dir, "run"))
	defer d.Stop()
	f := &follower{Daemon: d, program: Program{Path: program}}
	err = waitFor(limit, func() error {
		var ready map[string]any
		return f.ask(&ready, "serverstats")
	})
	if err == nil {
		err = waitFor(10*time.Second, func() error {
			if got := open(h); !slices.Equal(got, want) {
				return fmt.Errorf("answers on %v, ntpd on %v", got, want)
			}
			return nil
		})
	}
	if err != nil {
		t.Errorf("%s: ntsbridge: %v\n%s", q, err, d.Tail(20))
	}
	return true
}

// TestOracleOfDuplicates shows the real ntpd two lines for one address, for all
// kinds of lines, authentications and orders, and compares the associations
// that it makes with those that are recorded.
func TestOracleOfDuplicates(t *testing.T) {
	t.Parallel()
	r := readRecorded(t, "duplicates.txt", " | ")
	n := NewNetwork(t)
	h := n.Host(serverName)
	n.Names()
	keygen(h, "-p", serverPassword, "-T")
	option := map[string]string{"plain": "", "key": " key 3", "autokey": " autokey"}
	conf := "keysdir /mnt/autokey\ncrypto pw " + serverPassword + "\ntos maxclock 1000\n"
	of := make(map[string]string)
	for i, q := range r.questions {
		address := fmt.Sprintf("10.123.%d.%d", 1+i/200, 1+i%200)
		of[address] = q
		for part := range strings.SplitSeq(q, " | ") {
			words := strings.Fields(part)
			conf += words[0] + " " + address + option[words[1]] + "\n"
		}
	}
	startPeerNTPD(h, "3", conf)
	now := make(map[string]string)
	Await(t, 30*time.Second, Condition{"all associations", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := h.Output(ctx, NTPQ, "-n", "-c", "as", "-c", "mrv &1 &999 srcadr,srchost,hmode,keyid", "127.0.0.1")
		if err != nil && !strings.Contains(out, "srcadr") {
			return err
		}
		clear(now)
		maps.Copy(now, associationsMade(out, of))
		if len(now) < len(r.questions) {
			return fmt.Errorf("%d of %d addresses:\n%s", len(now), len(r.questions), out[max(0, len(out)-3000):])
		}
		return nil
	}})
	r.compare(t, now)
}

var madeAssociation = regexp.MustCompile(`srcadr=([0-9.]+),?\s+hmode=(\d),?\s+keyid=(\d+)(?:,?\s+srchost="([0-9.]+)")?`)

// associationsMade counts associations by address as the record does: mode and
// key; the key of Autokey changes with each packet, and counts as none.
func associationsMade(out string, of map[string]string) map[string]string {
	counts := make(map[string]map[string]int)
	for _, m := range madeAssociation.FindAllStringSubmatch(out, -1) {
		address, key := m[1], m[3]
		if m[4] != "" { // of a pool, which is no association with an address
			address = m[4]
		}
		if n, _ := strconv.Atoi(key); n > 65535 {
			key = "0"
		}
		if key == "3" {
			key = "5" // as the record has it
		}
		if counts[address] == nil {
			counts[address] = make(map[string]int)
		}
		counts[address][m[2]+":"+key]++
	}
	made := make(map[string]string)
	for address, list := range counts {
		var words []string
		for what, count := range list {
			words = append(words, fmt.Sprintf("%dx%s", count, what))
		}
		if q := of[address]; q != "" {
			made[q] = sortedWords(strings.Join(words, " "))
		}
	}
	return made
}

// verdictOf returns the codes of the findings about the line of a report that
// begins with a word, and what is said.
func verdictOf(t *testing.T, h *Host, conf, word string, args ...string) (found []string, said string) {
	t.Helper()
	var report struct {
		Lines []struct {
			Text     string
			Findings []struct{ Code, Text string }
		}
	}
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	h.Write("old.conf", conf)
	file := filepath.Join(h.Dir, "report.json")
	args = append([]string{"convert", "--daemon-options", "-g", "--lost", "running", "--report-format", "json", "--report", file, "-o",
		filepath.Join(h.Dir, "new.yaml")}, args...)
	out, err := exec.Command(program, append(args, filepath.Join(h.Dir, "old.conf"))...).CombinedOutput()
	data, err2 := os.ReadFile(file)
	if err2 != nil || json.Unmarshal(data, &report) != nil {
		t.Fatalf("%v %v: %s %s", err, err2, out, data)
	}
	for _, l := range report.Lines {
		if strings.HasPrefix(l.Text, word+" ") {
			for _, f := range l.Findings {
				found, said = append(found, f.Code), said+f.Text+"\n"
			}
		}
	}
	return found, said
}

// TestOracleOfSources starts the real ntpd with restrictions that concern what
// its sources send, and then what convert makes of them: what is said never to
// have had time never has; and both answer the source and another host, or do
// not.
func TestOracleOfSources(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("about what convert writes")
	}
	n := NewNetwork(t)
	above, other := n.Host("above"), n.Host("other")
	cases := []struct{ name, source, restrict string }{
		{"open", "server above", ""},
		{"default-ignore", "server ADDRESS", "restrict default ignore\n"},
		{"default-ignore-lan", "server ADDRESS", "restrict default ignore\nrestrict 10.123.0.0 mask 255.255.255.0 nomodify\n"},
		{"default-noserve", "server ADDRESS", "restrict default noserve\n"},
		{"default-notrust", "server ADDRESS", "restrict default notrust\n"},
		{"default-notrust-key", "server ADDRESS key 1", "restrict default notrust\n"},
		{"source-ignore", "server above", "restrict source ignore\n"},
		{"source-noserve", "server above", "restrict source noserve\n"},
		{"source-notrust", "server above", "restrict source notrust\n"},
		{"source-notrust-key", "server above key 1", "restrict source notrust\n"},
		{"source-lets-in", "server ADDRESS", "restrict default ignore\nrestrict source nomodify\n"},
		{"source-own-entry", "server ADDRESS", "restrict source ignore\nrestrict ADDRESS nomodify\n"},
		{"source-default", "server above", "restrict default ignore\nrestrict source nomodify noquery\n"},
		{"name-ignore", "server above", "restrict above ignore\n"},
		{"name-notrust", "server above", "restrict above notrust\n"},
		{"pool-open", "pool ADDRESS", "restrict default nomodify\n"},
		{"pool-nopeer", "pool ADDRESS", "restrict default nopeer nomodify\n"},
		{"pool-source", "pool ADDRESS", "restrict default nopeer nomodify\nrestrict source nomodify\n"},
		{"pool-source-nopeer", "pool ADDRESS", "restrict source nopeer\n"},
		{"pool-key-nopeer", "pool ADDRESS key 1", "restrict default nopeer nomodify\n"},
		{"itself", "server 127.0.0.1", ""},
		{"interface-lo", "server ADDRESS", "interface listen lo\n"},
		{"interface-own", "server ADDRESS", "interface listen OWN\n"},
		{"interface-other", "server ADDRESS", "interface listen 127.0.0.2\ninterface ignore OWN\n"},
		{"interface-drop", "server ADDRESS", "interface drop OWN\n"},
		{"interface-no-wildcard", "server ADDRESS", "interface ignore wildcard\n"},
		{"interface-ipv6", "server ADDRESS", "interface ignore ipv4\ninterface listen 127.0.0.1\ninterface listen ::1\n"},
	}
	hosts := make(map[string]*Host)
	for _, c := range cases {
		hosts[c.name] = n.Host(c.name)
	}
	n.Names()
	startPeerNTPD(above, "1", localClock)
	var conditions []Condition
	for _, c := range cases {
		h := hosts[c.name]
		conf := strings.ReplaceAll(fmt.Sprintf("%s iburst minpoll 3 maxpoll 3\n%srestrict 127.0.0.1\nkeys KEYS\ntrustedkey 1\n", c.source, c.restrict),
			"ADDRESS", above.IPv4.String())
		conf = strings.ReplaceAll(conf, "OWN", h.IPv4.String())
		h.Write("keys", ntpKeys)
		h.Write("ntp.conf", strings.ReplaceAll(conf, "KEYS", "/mnt/keys")+strings.ReplaceAll(ntpdConf, "restrict default\n", ""))
		found, said := verdictOf(t, h, strings.ReplaceAll(conf, "KEYS", filepath.Join(h.Dir, "keys")), strings.Fields(c.source)[0],
			"--address", "above="+above.IPv4.String())
		d := h.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
		conditions = append(conditions, Condition{c.name, func() error {
			return sourcesAgree(t, h, d, above, other, slices.Contains(found, "dead-source"), said)
		}})
	}
	Await(t, limit, conditions...)
}

// sourcesAgree is nil when the real ntpd has shown what it does with its source, and
// ntsbridge in its place answered the same hosts.
func sourcesAgree(t *testing.T, h *Host, d *Daemon, above, other *Host, dead bool, said string) error {
	heard, err := hasTime(h)
	switch {
	case err != nil:
		return err
	case heard == dead:
		return permanent{fmt.Errorf("the real one has time: %v; the report says:\n%s", heard, said)}
	}
	want := [2]bool{answered(above, netip.Addr{}, h.IPv4), answered(other, netip.Addr{}, h.IPv4)}
	d.Stop()
	program, _ := build()
	ours := h.Start("ntsbridge", Program{Path: program}, "serve", "--no-clock", "-c", filepath.Join(h.Dir, "new.yaml"),
		"--state-dir", filepath.Join(h.Dir, "state"), "--run-dir", filepath.Join(h.Dir, "run"))
	defer ours.Stop()
	err = waitFor(20*time.Second, func() error {
		if err := ours.Alive(); err != nil {
			return err
		}
		got := [2]bool{answered(above, netip.Addr{}, h.IPv4), answered(other, netip.Addr{}, h.IPv4)}
		if got != want {
			return fmt.Errorf("the source and another host are answered: %v, by ntpd %v\n%s", got, want, ours.Tail(20))
		}
		return nil
	})
	if err != nil {
		return permanent{err}
	}
	return nil
}

// hasTime reports whether the real ntpd takes what its source sends, once it has
// asked often enough to know.
func hasTime(h *Host) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, NTPQ, "-n", "-c", "as", "-c", "mrv &1 &9 srcadr,reach,hmode", "-c", "pstats &1", "127.0.0.1")
	if err != nil && !strings.Contains(out, "srcadr") {
		return false, err
	}
	for _, m := range regexp.MustCompile(`reach=([0-7]+)`).FindAllStringSubmatch(out, -1) {
		if m[1] != "000" {
			return true, nil
		}
	}
	for _, m := range statsRow.FindAllStringSubmatch(out, -1) {
		n, _ := strconv.Atoi(m[2])
		if strings.HasSuffix(m[1], "packets sent") && n >= 5 {
			return false, nil
		}
		// It has no address to send from, and has had ten seconds to find one.
		if strings.HasSuffix(m[1], "time last received") && n >= 10 && strings.Contains(out, "0.0.0.0:0") {
			return false, nil
		}
	}
	return false, fmt.Errorf("too early:\n%s", out)
}

// TestOracleOfNTPsec shows ntpsec lines with words that it has, and that ntpd
// has and it has not, and compares what it says with what is recorded.
func TestOracleOfNTPsec(t *testing.T) {
	t.Parallel()
	r := readRecorded(t, "ntpsec.txt", " => ")
	if os.Getenv(longVariable) == "" && os.Getenv(updateVariable) == "" {
		var some []string
		for i := 0; i < len(r.questions); i += 10 {
			some = append(some, r.questions[i])
		}
		r.questions = some
	}
	h := NewNetwork(t).Host("reader")
	now := make(map[string]string)
	for _, q := range r.questions {
		h.Write("read", q+"\ndriftfile /mnt/drift\n")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		// It has no way to read a file and end, but ends for a user that is not there.
		printed, err := h.Output(ctx, NTPsecNTPD, "-n", "-u", "nobody-at-all", "-c", "/mnt/read")
		cancel()
		if now[q] = "ok"; strings.Contains(printed+fmt.Sprint(err), "syntax error") {
			now[q] = "error"
		}
	}
	r.compare(t, now)
}
