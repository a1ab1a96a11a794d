package nts_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
)

// captured is a request of a real client, see testdata/README.md.
type captured struct {
	name    string
	at      time.Time
	aead    uint32
	cookies int
	packet  []byte
}

func loadCaptured(t testing.TB) (list []captured) {
	t.Helper()
	f, err := os.Open("testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		col := strings.Split(scan.Text(), "\t")
		if len(col) != 5 {
			continue
		}
		var n [3]int
		for i := range n {
			if n[i], err = strconv.Atoi(col[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, captured{col[0], time.Unix(int64(n[0]), 0), uint32(n[1]), n[2], unhex(t, col[4])})
	}
	if len(list) == 0 {
		t.Fatal("no vectors")
	}
	return list
}

func TestCapturedRequests(t *testing.T) {
	for _, c := range loadCaptured(t) {
		t.Run(c.name, func(t *testing.T) {
			ring, err := nts.NewRing(formerSecret(t), nil, 24*time.Hour, 7, c.at)
			if err != nil {
				t.Fatal(err)
			}
			s, sess := newServer(t, ring, allAEADs...), nts.NewSession(seed(1))
			v, resp := answer(s, sess, c.packet)
			want := ntp.Verdict{Action: ntp.Answer, Kind: ntp.KindNTS, AEAD: uint16(c.aead), Marks: ntp.OldSecret}
			if v != want || len(resp) != len(c.packet) {
				t.Errorf("verdict %+v, %d octets for %d", v, len(resp), len(c.packet))
			}
			s.Open(classify(c.packet), sess)
			if sess.Cookies() != c.cookies {
				t.Errorf("%d cookies, want %d", sess.Cookies(), c.cookies)
			}
			for i := range c.packet {
				p := append([]byte(nil), c.packet...)
				p[i] ^= 0x10
				if v, _ := answer(s, sess, p); v.Action == ntp.Answer {
					t.Errorf("answered with octet %d changed", i)
				}
			}
		})
	}
}
