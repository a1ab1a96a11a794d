package nts_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newKE(t testing.TB, server string, port uint16, ids ...aead.ID) *nts.KEServer {
	t.Helper()
	s, err := nts.NewKEServer(ids, server, port)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	npn  = "8001 0002 0000" // next protocol NTPv4
	end  = "8000 0000"
	siv  = "8004 0002 000f"
	both = "0004 0004 001e 000f"
	c128 = "0400 0000"
)

func TestNegotiate(t *testing.T) {
	for _, test := range []struct {
		name     string
		request  string
		response string // without cookies
		outcome  nts.Outcome
	}{
		// What clients really send.
		{"chrony 4.3", npn + siv + end, npn + siv, nts.Agreed},
		{"chrony 4.6.1", npn + "8004 0004 001e 000f" + c128 + end, npn + "8004 0002 001e" + c128, nts.Agreed},
		{"chrony 4.6.1 with ntsaeads 30", npn + "8004 0002 001e" + c128 + end, npn + "8004 0002 001e" + c128, nts.Agreed},
		{"chrony 4.4", npn + "8004 0004 001e 000f" + end, npn + siv, nts.Agreed},
		{"chrony 4.5 with 30 only", npn + "8004 0002 001e" + end, npn + "8004 0002 001e", nts.Agreed},
		{"ntpsec", npn + "0004 0002 000f" + end, npn + siv, nts.Agreed},
		{"ntpd-rs", npn + "8004 0004 000f 0011" + end, npn + siv, nts.Agreed},
		// What they may.
		{"order of records", c128 + both + npn + end, npn + "8004 0002 001e" + c128, nts.Agreed},
		{"record 1024 without 30", npn + siv + c128 + end, npn + siv, nts.Agreed},
		{"more protocols", "8001 0004 8001 0000" + siv + end, npn + siv, nts.Agreed},
		{"wishes", npn + siv + "0006 0009 6e74702e6578616d70" + "0007 0002 1f90" + end, npn + siv, nts.Agreed},
		{"unknown record", npn + siv + "4000 0001 00" + end, npn + siv, nts.Agreed},
		{"unknown AEAD first", npn + "8004 0004 0001 000f" + end, npn + siv, nts.Agreed},
		// Nothing in common.
		{"no NTPv4", "8001 0002 8001" + end, "8001 0000", nts.NoCommonProtocol},
		{"no AEAD of ours", npn + "8004 0002 0001" + end, npn + "8004 0000", nts.NoCommonAEAD},
		// Errors.
		{"unknown critical record", npn + siv + "c000 0000" + end, "8002 0002 0000", nts.UnrecognizedCritical},
		{"empty message", end, "8002 0002 0001", nts.BadRequest},
		{"no AEAD record", npn + end, "8002 0002 0001", nts.BadRequest},
		{"empty AEAD list", npn + "8004 0000" + end, "8002 0002 0001", nts.BadRequest},
		{"odd AEAD list", npn + "8004 0003 000f00" + end, "8002 0002 0001", nts.BadRequest},
		{"two AEAD lists", npn + siv + siv + end, "8002 0002 0001", nts.BadRequest},
		{"no protocol", siv + end, "8002 0002 0001", nts.BadRequest},
		{"empty protocol list", "8001 0000" + siv + end, "8002 0002 0001", nts.BadRequest},
		{"odd protocol list", "8001 0001 00" + siv + end, "8002 0002 0001", nts.BadRequest},
		{"protocol not critical", "0001 0002 0000" + siv + end, "8002 0002 0001", nts.BadRequest},
		{"two protocol lists", npn + npn + siv + end, "8002 0002 0001", nts.BadRequest},
		{"record 1024 with body", npn + both + "0400 0001 00" + end, "8002 0002 0001", nts.BadRequest},
		{"error record", npn + siv + "8002 0002 0001" + end, "8002 0002 0001", nts.BadRequest},
		{"warning record", npn + siv + "8003 0002 0001" + end, "8002 0002 0001", nts.BadRequest},
		{"cookie", npn + siv + "0005 0004 00000000" + end, "8002 0002 0001", nts.BadRequest},
		{"server with blank", npn + siv + "0006 0003 612062" + end, "8002 0002 0001", nts.BadRequest},
		{"port of one octet", npn + siv + "0007 0001 00" + end, "8002 0002 0001", nts.BadRequest},
		{"end not critical", npn + siv + "0000 0000", "8002 0002 0001", nts.BadRequest},
		{"end with body", npn + siv + "8000 0001 00", "8002 0002 0001", nts.BadRequest},
		{"something after the end", npn + siv + end + "00", "8002 0002 0001", nts.BadRequest},
		{"no end", npn + siv, "8002 0002 0001", nts.BadRequest},
		{"cut off", npn + siv + "80", "8002 0002 0001", nts.BadRequest},
		{"nothing", "", "8002 0002 0001", nts.BadRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, err := newKE(t, "", 0).Negotiate(unhex(t, test.request))
			if n.Outcome != test.outcome {
				t.Fatalf("outcome %v (%v), want %v", n.Outcome, err, test.outcome)
			}
			if (err != nil) != (n.Outcome == nts.BadRequest || n.Outcome == nts.UnrecognizedCritical) {
				t.Errorf("error %v with outcome %v", err, n.Outcome)
			}
			cookies, want := [][]byte(nil), test.response
			if n.Outcome == nts.Agreed {
				cookies, want = [][]byte{{1, 2, 3, 4}, {5, 6, 7, 8}}, want+"0005 0004 01020304 0005 0004 05060708"
			}
			if got := n.Response(nil, cookies); !bytes.Equal(got, unhex(t, want+end)) {
				t.Errorf("response\n%x, want\n%x", got, unhex(t, want+end))
			}
		})
	}
}

func TestNegotiateOrderIsTheServers(t *testing.T) {
	request := unhex(t, npn+"8004 0008 000f 0010 0011 001e"+c128+end)
	for _, id := range allAEADs {
		n, err := newKE(t, "", 0, append([]aead.ID{id}, without(id)...)...).Negotiate(request)
		if err != nil || n.AEAD != id {
			t.Errorf("%v preferred: %v, %v", id, n.AEAD, err)
		}
	}
}

func without(id aead.ID) (rest []aead.ID) {
	for _, other := range allAEADs {
		if other != id {
			rest = append(rest, other)
		}
	}
	return rest
}

func TestServerAndPortRecords(t *testing.T) {
	n, _ := newKE(t, "ntp.example.net", 1123).Negotiate(unhex(t, npn+siv+end))
	want := unhex(t, npn+siv+"8006 000f"+hex.EncodeToString([]byte("ntp.example.net"))+"8007 0002 0463"+end)
	if got := n.Response(nil, nil); !bytes.Equal(got, want) {
		t.Errorf("response\n%x, want\n%x", got, want)
	}
	n.Fail()
	if got := n.Response(nil, nil); !bytes.Equal(got, unhex(t, "8002 0002 0002"+end)) {
		t.Errorf("internal error: %x", got)
	}
}

func TestNewKEServerRefuses(t *testing.T) {
	for _, test := range []struct {
		aeads  []aead.ID
		server string
	}{
		{[]aead.ID{1}, ""}, {[]aead.ID{15, 15}, ""}, {nil, "a b"}, {nil, "ntp.example.net:123"}, {nil, "fe80::1%eth0"},
		{nil, strings.Repeat("a", 254)},
	} {
		if _, err := nts.NewKEServer(test.aeads, test.server, 0); err == nil {
			t.Errorf("%v %q accepted", test.aeads, test.server)
		}
	}
	for _, server := range []string{"192.0.2.1", "2001:db8::1", "ntp-1.example.net."} {
		if _, err := nts.NewKEServer(nil, server, 0); err != nil {
			t.Errorf("%q: %v", server, err)
		}
	}
}

func TestComplete(t *testing.T) {
	msg := unhex(t, npn+siv+end)
	for n := range len(msg) {
		if octets, err := nts.Complete(msg[:n], 100); octets != 0 || err != nil {
			t.Errorf("%d octets: %d, %v", n, octets, err)
		}
	}
	if octets, err := nts.Complete(append(bytes.Clone(msg), 1), 100); octets != len(msg) || err != nil {
		t.Errorf("whole: %d, %v", octets, err)
	}
	if _, err := nts.Complete(msg[:12], 12); !errors.Is(err, nts.ErrTooLong) {
		t.Errorf("limit reached: %v", err)
	}
	if _, err := nts.Complete(unhex(t, "0005 ffff"), 4096); !errors.Is(err, nts.ErrTooLong) {
		t.Errorf("record that cannot fit: %v", err)
	}
}

// exporter stands in for TLS: both ends get the same for the same context.
func exporter(label string, context []byte, octets int) ([]byte, error) {
	var out []byte
	for i := byte(0); len(out) < octets; i++ {
		h := sha256.Sum256(append([]byte(label+string(i)), context...))
		out = append(out, h[:]...)
	}
	return out[:octets], nil
}

func TestRolesAgree(t *testing.T) {
	for _, id := range allAEADs {
		c := nts.KEClient{AEADs: []aead.ID{id}, Server: "ntp.example.net", Port: 123}
		request, err := c.Request(nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := newKE(t, "2001:db8::7", 1123).Negotiate(request)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := n.Export(exporter)
		if err != nil {
			t.Fatal(err)
		}
		ring := testRing(t, start)
		var cookies [][]byte
		for i := range nts.MaxCookies {
			cookies = append(cookies, cookie(ring, keys, i))
		}
		res, err := c.Response(n.Response(nil, cookies))
		if err != nil {
			t.Fatal(err)
		}
		if res.AEAD != id || res.Server != "2001:db8::7" || res.Port != 1123 || len(res.Cookies) != 8 {
			t.Errorf("%v: result %+v", id, res)
		}
		got, err := res.Export(exporter)
		if err != nil || got != keys {
			t.Errorf("%v: other keys, %v", id, err)
		}
		if _, ok := res.Alternative(); ok {
			t.Errorf("%v: alternative to a compliant agreement", id)
		}
		client, err := nts.NewClient(&got, res.Cookies, seed(5))
		if err != nil {
			t.Fatal(err)
		}
		v, resp := answer(newServer(t, ring), nts.NewSession(seed(1)), makeRequest(t, client))
		if err := client.Response(resp); err != nil {
			t.Errorf("%v: %+v, %v", id, v, err)
		}
	}
}

// TestExporterContext checks the context octets of RFC 8915, section 5.1, and
// chrony's before 4.6.1.
func TestExporterContext(t *testing.T) {
	for _, test := range []struct {
		nts.Agreement
		c2s, s2c string
		octets   int
	}{
		{nts.Agreement{AEAD: 15}, "0000000f00", "0000000f01", 32},
		{nts.Agreement{AEAD: 16}, "0000001000", "0000001001", 48},
		{nts.Agreement{AEAD: 17}, "0000001100", "0000001101", 64},
		{nts.Agreement{AEAD: 30, Compliant: true}, "0000001e00", "0000001e01", 16},
		{nts.Agreement{AEAD: 30}, "0000000f00", "0000000f01", 16},
	} {
		var got []string
		_, err := test.Export(func(label string, context []byte, octets int) ([]byte, error) {
			if label != "EXPORTER-network-time-security" || octets != test.octets {
				t.Errorf("%+v: label %q, %d octets", test.Agreement, label, octets)
			}
			got = append(got, hex.EncodeToString(context))
			return make([]byte, octets), nil
		})
		if err != nil || len(got) != 2 || got[0] != test.c2s || got[1] != test.s2c {
			t.Errorf("%+v: contexts %v, %v", test.Agreement, got, err)
		}
	}
	if _, err := (nts.Agreement{AEAD: 1}).Export(exporter); err == nil {
		t.Error("unknown AEAD exported")
	}
}

func TestKEClientRefuses(t *testing.T) {
	const cookies = "0005 0004 00000000"
	for _, test := range []struct {
		name, response string
		want           error
	}{
		{"good", npn + siv + cookies + end, nil},
		{"error", "8002 0002 0001" + end, nts.ErrRefused},
		{"warning", npn + siv + "8003 0002 0009" + cookies + end, nts.ErrRefused},
		{"no protocol", "8001 0000" + end, nts.ErrNoProtocol},
		{"no AEAD", npn + "8004 0000" + end, nts.ErrNoAEAD},
		{"two AEADs", npn + "8004 0004 000f 001e" + cookies + end, nts.ErrMalformed},
		{"protocol not critical", "0001 0002 0000" + siv + cookies + end, nts.ErrMalformed},
		{"no cookie", npn + siv + end, nts.ErrMalformed},
		{"empty cookie", npn + siv + "0005 0000" + end, nts.ErrMalformed},
		{"long cookie", npn + siv + "0005 0401" + strings.Repeat("00", 1025) + end, nts.ErrCookieLength},
		{"cookie longer than chrony's", npn + siv + "0005 0101" + strings.Repeat("00", 257) + end, nil},
		{"only cookies", cookies + end, nts.ErrMalformed},
		{"unknown critical", npn + siv + "c000 0000" + cookies + end, nts.ErrUnknownRecord},
		{"unknown", npn + siv + "4000 0000" + cookies + end, nil},
		{"port 0", npn + siv + "8007 0002 0000" + cookies + end, nts.ErrMalformed},
		{"server with zero octet", npn + siv + "8006 0002 6100" + cookies + end, nts.ErrMalformed},
		{"two servers", npn + siv + "8006 0001 61 8006 0001 61" + cookies + end, nts.ErrMalformed},
		{"cut off", npn + siv + cookies, nts.ErrTruncated},
		{"end not critical", npn + siv + cookies + "0000 0000", nts.ErrMalformed},
		{"end with body", npn + siv + cookies + "8000 0001 00", nts.ErrMalformed},
		{"two ends", npn + siv + cookies + end + end, nts.ErrMalformed},
		{"two protocol lists", npn + npn + siv + cookies + end, nts.ErrMalformed},
		{"no protocol list", siv + cookies + end, nts.ErrMalformed},
		{"two AEAD lists", npn + siv + siv + cookies + end, nts.ErrMalformed},
		{"no AEAD list", npn + cookies + end, nts.ErrMalformed},
		{"another protocol", "8001 0002 8001" + siv + cookies + end, nts.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := nts.KEClient{AEADs: []aead.ID{30, 15}}
			if _, err := c.Response(unhex(t, test.response)); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

// ntpsec 1.2.5 answers 15 to an offer of 30 alone.
func TestKEClientIsAnsweredWithAnotherAEAD(t *testing.T) {
	c := nts.KEClient{AEADs: []aead.ID{30}}
	_, err := c.Response(unhex(t, npn+siv+"0005 0004 00000000"+end))
	var other *nts.NotOfferedError
	if !errors.As(err, &other) || other.Chosen != 15 || !strings.Contains(err.Error(), "AEAD 15") {
		t.Errorf("%v", err)
	}
}

func TestOldChronyServer(t *testing.T) {
	c := nts.KEClient{}
	res, err := c.Response(unhex(t, npn+"8004 0002 001e"+"0005 0004 00000000"+end))
	if err != nil || res.Compliant {
		t.Fatalf("%+v, %v", res, err)
	}
	a, ok := res.Alternative()
	if !ok || !a.Compliant || a.AEAD != 30 {
		t.Errorf("alternative %+v, %v", a, ok)
	}
}
