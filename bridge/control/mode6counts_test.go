package control

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// counting is a source with figures of every list, and the keys of the
// captured exchanges, of which 2 is the control key.
func counting(t testing.TB) *model {
	t.Helper()
	file, err := symkey.ParseNTPKeys("keys", []byte("1 M secretone\n2 M secrettwo\n3 SHA1 abcdef0123\n"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := symkey.NewTable(file.Keys, symkey.TrustAll)
	if err != nil {
		t.Fatal(err)
	}
	c := &Counts{Uptime: 90 * time.Second,
		MRU:    MRUCounts{Enabled: true, Clients: 3, Most: 4, Room: 100, ClientLen: 250, Oldest: time.Minute},
		System: SystemCounts{Received: 7}, Keys: KeyCounts{Keys: 3}, NTS: new(NTSCounts),
		// The kernel's clock that ntpd showed: not synchronised.
		Kernel: &unix.Timex{Maxerror: 16_000_000, Esterror: 16_000_000, Status: unix.STA_PLL | unix.STA_UNSYNC, Constant: 7, Precision: 1,
			Tolerance: 500 << 16}}
	return &model{sys: SystemVariables{Leap: ntp.LeapUnknown, Stratum: 16, Discipline: new(Discipline),
		Status: SystemStatus{EventCount: 1, Event: EventRestart}, Counts: func() *Counts { return c }},
		authority: Authority{Keys: keys, Control: 2}}
}

// names are the variables of an answer, in their order.
func names(t *testing.T, data []byte) (list []string) {
	for _, v := range items(t, data) {
		list = append(list, v[0])
	}
	return list
}

// TestListsOfCounters asks what ntpq asked ntpd for each of its lists: the same
// variables in the same order, and of those that show what was set here the same
// octets.
func TestListsOfCounters(t *testing.T) {
	exact := []string{"kerninfo", "sys_var_list", "nosuch"}
	var compared []string
	m := counting(t)
	for _, e := range readExchanges(t, "counts.txt") {
		if e.request[1] != 2 {
			continue
		}
		t.Run(e.command, func(t *testing.T) {
			got := ask(m, ntp.LeapUnknown, e.request)
			if slices.ContainsFunc(exact, func(s string) bool { return strings.Contains(e.command, s) }) {
				compared = append(compared, e.command)
				if !slices.EqualFunc(got, e.answer, bytes.Equal) {
					t.Errorf("answer\n%swant\n%s", show(got), show(e.answer))
				}
				return
			}
			data, err := reassemble(got)
			if err != nil {
				t.Fatal(err)
			}
			// What ntpd alone has: the delay of broadcasts, and what it makes up.
			want := slices.DeleteFunc(names(t, e.data(t)), func(s string) bool {
				return slices.Contains([]string{"bcastdelay", "fuzz", "clk_wander_threshold", "ss_lamport"}, s)
			})
			if have := names(t, data); !slices.Equal(have, want) {
				t.Errorf("%q\nwant %q", have, want)
			}
		})
	}
	if len(compared) != 2 {
		t.Errorf("compared octet for octet: %q", compared)
	}
}

// TestNtpsecFindsItsVariables asks what ntpsec's ntpq asked its ntpd: nothing is
// unknown, not even what its own ntpd does not know, so that ntpq never has to
// try one at a time.
func TestNtpsecFindsItsVariables(t *testing.T) {
	m := counting(t)
	m.assoc = []Association{{ID: 0x4567, NTS: true, Cookies: 8}}
	for _, e := range readExchanges(t, "ntpsec.txt") {
		if e.request[1] != 2 {
			continue
		}
		got := ask(m, ntp.LeapUnknown, e.request)
		if len(got) == 0 || got[0][1]&0x40 != 0 {
			t.Errorf("%s: %q is answered %s", e.command, e.request[queryHeaderLen:], show(got))
		}
		data, err := reassemble(got)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(e.command, "ntsinfo") && !strings.HasPrefix(string(data), "nts_") {
			t.Errorf("ntsinfo: %q", data)
		}
		if strings.Contains(e.command, "pstats") && !strings.Contains(string(data), "ntscookies=8") {
			t.Errorf("pstats: %q", data)
		}
	}
}

// ordered are the rows of an answer of READ_ORDERED_A, names in the order of
// the alphabet: ntpd shuffles each row and adds a variable of no meaning.
func ordered(t *testing.T, data []byte) (rows []map[string]string) {
	t.Helper()
	for _, v := range items(t, data) {
		name, number, _ := strings.Cut(v[0], ".")
		for len(rows) <= int(scan{t, v[0], number}.uint()) {
			rows = append(rows, map[string]string{})
		}
		row := rows[len(rows)-1]
		row[name] = v[1]
	}
	return rows
}

// TestOrderedLists answers ifstats and reslist to the requests of both ntpqs
// with the key, and refuses them as ntpd does without: octet for octet, but for
// the offset that ntpd leaves over from its last answer.
func TestOrderedLists(t *testing.T) {
	m := counting(t)
	m.listening = []InterfaceVariables{{Name: "v4wildcard", Address: netip.MustParseAddrPort("0.0.0.0:123"), Flags: 0x89, Received: 5},
		{Name: "lo", Address: netip.MustParseAddrPort("127.0.0.1:123"), Flags: 5, Sent: 4, Peers: 1, Up: time.Minute}}
	for _, r := range []access.Rule{{Prefix: netip.MustParsePrefix("::/0")}, {Prefix: netip.MustParsePrefix("0.0.0.0/0")},
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Action: access.Allow, Rate: &access.RateLimit{Kiss: true}, Query: true,
			Kinds: access.KindsOf(ntp.KindNone)}} {
		m.rules = append(m.rules, RestrictionVariables{Rule: r, Hits: 3})
	}
	lists := 0
	for _, file := range []string{"counts.txt", "ntpsec.txt"} {
		for _, e := range readExchanges(t, file) {
			if e.request[1] != opReadOrdered {
				continue
			}
			got := ask(m, ntp.LeapUnknown, e.request)
			if e.answer[0][1]&0x40 != 0 {
				e.answer[0][8], e.answer[0][9] = 0, 0
				if len(got) != 1 || len(got[0]) != len(e.answer[0]) || !bytes.Equal(got[0][:16], e.answer[0][:16]) {
					t.Errorf("%s: answer\n%swant\n%s", e.command, show(got), show(e.answer))
				}
				continue
			}
			lists++
			data, err := reassemble(got)
			if err != nil {
				t.Fatal(err)
			}
			have, want := ordered(t, data), ordered(t, e.data(t))
			if strings.Contains(e.command, "reslist") {
				if len(have) != 3 || have[0]["addr"] != "10.0.0.0" || have[0]["mask"] != "255.0.0.0" || have[0]["hits"] != "3" ||
					have[0]["flags"] != "serve trust nopeer noepeer limited query nomodify notrap kod" || have[2]["mask"] != "::" {
					t.Errorf("%s: %q", e.command, have)
				}
			} else if len(have) != 2 || have[1]["name"] != `"lo"` || have[1]["pc"] != "1" {
				t.Errorf("%s: %q", e.command, have)
			}
			for name := range want[0] {
				if _, ok := have[0][name]; !ok && name != "den" && len(want[0][name]) < 4 {
					t.Errorf("%s: ntpd has %s", e.command, name)
				}
			}
			last := got[len(got)-1]
			n := len(last) - 20
			if k := m.authority.Keys.Lookup(2); n%8 != 0 || !k.Verify(last, n, symkey.NewScratch()) {
				t.Errorf("%s: the answer has no good MAC: %x", e.command, last)
			}
		}
	}
	if lists < 4 {
		t.Errorf("%d lists compared", lists)
	}
	// Without a control key nobody is told.
	m.authority.Control = 0
	for _, e := range readExchanges(t, "counts.txt") {
		if got := ask(m, ntp.LeapUnknown, e.request); e.request[1] == opReadOrdered && got[0][1]&0x40 == 0 {
			t.Errorf("%s: answered without a control key", e.command)
		}
	}
}

// TestChangesAreRefused refuses what would change something, with the right key
// too.
func TestChangesAreRefused(t *testing.T) {
	m := counting(t)
	n := 0
	for _, e := range readExchanges(t, "counts.txt") {
		if e.request[1] != opConfigure {
			continue
		}
		n++
		got := ask(m, ntp.LeapUnknown, e.request)
		if len(got) != 1 || got[0][1] != 0xc8 || got[0][4] != byte(errPermission) {
			t.Errorf("%s: %s", e.command, show(got))
		}
	}
	if n == 0 {
		t.Error("nothing was asked")
	}
}
