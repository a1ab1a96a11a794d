package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// udp serves on the loopback; answer returns the packets to send back.
func udp(t *testing.T, answer func(q []byte, h *ntp.Header) [][]byte) string {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var h ntp.Header
			h.Decode(buf)
			for _, p := range answer(buf[:n], &h) {
				c.WriteToUDPAddrPort(p, from)
			}
		}
	}()
	return strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port)
}

// timeOf is an answer with the system's time and an offset.
func timeOf(q *ntp.Header, ahead time.Duration) []byte {
	now := ntp.TimestampFromTime(time.Now().Add(ahead))
	h := ntp.Header{Version: q.Version, Mode: ntp.ModeServer, Stratum: 1, ReferenceID: ntp.KissCode("GPS\x00"), Origin: q.Transmit,
		Receive: now, Transmit: now, Precision: -20}
	p := make([]byte, ntp.HeaderLen)
	h.Encode(p)
	return p
}

func queryCause(t *testing.T, args ...string) queryJSON {
	t.Helper()
	out, _ := query(t, append([]string{"--json", "--interval", "20ms"}, args...)...)
	var r []queryJSON
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return r[0]
}

func TestQueryCauses(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("1 MD5 secretive\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := []string{"--auth", "key", "--keys", keys, "--key-id", "1"}
	closed, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	nobody := strconv.Itoa(closed.LocalAddr().(*net.UDPAddr).Port)
	closed.Close()
	plain := func(_ []byte, h *ntp.Header) [][]byte { return [][]byte{timeOf(h, 0)} }
	upTo48 := func(q []byte, h *ntp.Header) [][]byte {
		if len(q) > ntp.HeaderLen {
			return nil
		}
		return plain(q, h)
	}
	for _, c := range []struct {
		name   string
		answer func([]byte, *ntp.Header) [][]byte
		args   []string
		cause  source.Cause
		text   string
	}{
		{"silence", func([]byte, *ntp.Header) [][]byte { return nil }, nil, source.CauseUDPFiltered, "not even to the shortest packet"},
		{"nobody", nil, nil, source.CauseUDPRefused, "nothing listens"},
		{"no MAC", plain, key, source.CauseWrongKey, "no MAC of key 1"},
		{"wrong MAC", func(_ []byte, h *ntp.Header) [][]byte {
			return [][]byte{append(timeOf(h, 0), append([]byte{0, 0, 0, 1}, make([]byte, 16)...)...)}
		}, key, source.CauseWrongKey, "wrong MAC under key 1"},
		{"crypto-NAK", func(_ []byte, h *ntp.Header) [][]byte { return [][]byte{append(timeOf(h, 0), 0, 0, 0, 0)} }, key,
			source.CauseCryptoNAK, "crypto-NAK"},
		{"key not known", func(q []byte, h *ntp.Header) [][]byte {
			if len(q) == ntp.HeaderLen+20 {
				return nil
			}
			return plain(q, h)
		}, key, source.CauseKeySilent, "none with our key"},
		{"size filter", upTo48, key, source.CauseSizeFilter, "up to 48 octets"},
		{"second answer", func(_ []byte, h *ntp.Header) [][]byte { return [][]byte{timeOf(h, 0), timeOf(h, time.Second)} }, nil,
			source.CauseInterception, "two different answers"},
		{"copies", func(_ []byte, h *ntp.Header) [][]byte { p := timeOf(h, 0); return [][]byte{p, p} }, nil, source.CauseNone, ""},
		{"few", func() func([]byte, *ntp.Header) [][]byte {
			asked := 0
			return func(q []byte, h *ntp.Header) [][]byte {
				if asked++; asked > 2 {
					return nil
				}
				return plain(q, h)
			}
		}(), []string{"--timeout", "300ms"}, source.CauseFewSamples, "only 2 of 4 samples"},
		{"INIT", func(_ []byte, h *ntp.Header) [][]byte {
			p := timeOf(h, 0)
			p[0], p[1] = p[0]|3<<6, 0
			copy(p[12:], "INIT")
			return [][]byte{p}
		}, []string{"--timeout", "200ms"}, source.CauseUnsynchronised, "INIT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			port := nobody
			if c.answer != nil {
				port = udp(t, c.answer)
			}
			r := queryCause(t, append(c.args, "--port", port, "127.0.0.1")...)
			if r.Cause != c.cause || !strings.Contains(r.Text, c.text) || (r.Cause == "") != (r.Error == "") ||
				(r.Cause == "") != (r.Remedy == "") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What is printed for a person: cause, error and what to do.
func TestQueryPrintsCause(t *testing.T) {
	port := udp(t, func(_ []byte, h *ntp.Header) [][]byte {
		p := timeOf(h, 0)
		p[1] = 0
		copy(p[12:], "DENY")
		return [][]byte{p}
	})
	out, err := query(t, "--interval", "20ms", "--port", port, "127.0.0.1")
	const want = `127.0.0.1: failed: the server refuses to serve this host (kiss code DENY)
  cause: kiss-deny
  error: kiss-o'-death DENY
  what to do: ask the server's operator for access
`
	if err == nil || exitStatus(err) != exitFailed || out != want {
		t.Errorf("%v:\n%s", err, out)
	}
	// A name that cannot be is not asked of anybody.
	if r := queryCause(t, "a..b"); r.Cause != source.CauseNameUnknown {
		t.Errorf("%+v", r)
	}
	if r := queryCause(t, "-6", "127.0.0.1"); r.Cause != source.CauseNameUnknown || r.Address != "" {
		t.Errorf("%+v", r)
	}
}

// TestQueryCombines compares servers that agree and others that do not.
func TestQueryCombines(t *testing.T) {
	server := func(ahead time.Duration) string {
		return udp(t, func(_ []byte, h *ntp.Header) [][]byte { return [][]byte{timeOf(h, ahead)} })
	}
	// All servers of a query have one port: other loopback addresses.
	several := func(aheads ...time.Duration) (port string, names []string) {
		for _, ahead := range aheads {
			address := net.IPv4(127, 0, 0, byte(len(names)+1))
			number, _ := strconv.Atoi(port)
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: address, Port: number})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			port = strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port)
			names = append(names, address.String())
			go func() {
				buf := make([]byte, 2048)
				for {
					_, from, err := c.ReadFromUDPAddrPort(buf)
					if err != nil {
						return
					}
					var h ntp.Header
					h.Decode(buf)
					c.WriteToUDPAddrPort(timeOf(&h, ahead), from)
				}
			}()
		}
		return port, names
	}
	ask := func(port string, names []string, more ...string) (string, error) {
		return query(t, append(append(more, "--interval", "20ms", "--port", port), names...)...)
	}

	port, three := several(time.Hour, time.Hour, 2*time.Hour)
	out, err := ask(port, three)
	if err != nil || !regexp.MustCompile(`System clock wrong by \+(3599\.9|3600\.0)\d* seconds \(not set\), by 2 of 3 servers\n$`).MatchString(out) ||
		strings.Count(out, "disagrees with the majority") != 1 {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err = ask(port, three, "--format", "chrony"); err != nil ||
		!regexp.MustCompile(`^System clock wrong by (3599\.9|3600\.0)\d* seconds \(ignored\)\n$`).MatchString(out) {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err = ask(port, three, "--format", "ntpdate"); err != nil || !regexp.MustCompile(
		`^server 127\.0\.0\.1, stratum 1, offset 3[56]\d\d\.\d{6}, delay 0\.\d{5}\nserver 127\.0\.0\.2, .*\nserver 127\.0\.0\.3, stratum 1, offset 7.*\n`+
			`[ 123]\d [A-Z][a-z][a-z] \d\d:\d\d:\d\d ntpdate\[\d+\]: step time server 127\.0\.0\.[12] offset 3[56]\d\d\.\d{6} sec\n$`).MatchString(out) {
		t.Errorf("%v:\n%s", err, out)
	}
	out, err = ask(port, three, "--json")
	var r []queryJSON
	if json.Unmarshal([]byte(out), &r) != nil || err != nil || len(r) != 3 || !r[0].Agrees || r[2].Agrees || r[0].Combined == nil ||
		r[2].Combined != nil {
		t.Errorf("%v:\n%s", err, out)
	}

	port, two := several(0, time.Hour)
	out, err = ask(port, two)
	if err == nil || exitStatus(err) != exitFailed || !strings.Contains(out, "The 2 servers disagree") {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err = ask(port, two, "--format", "chrony"); err == nil || out != "No suitable source for synchronisation\n" {
		t.Errorf("%v:\n%s", err, out)
	}

	out, err = ask(server(0), []string{"127.0.0.1"}, "--format", "ntpdate")
	if err != nil || !strings.Contains(out, ": adjust time server 127.0.0.1 offset ") {
		t.Errorf("%v:\n%s", err, out)
	}
	silentPort := udp(t, func([]byte, *ntp.Header) [][]byte { return nil })
	out, err = ask(silentPort, []string{"127.0.0.1"}, "--format", "ntpdate")
	if err == nil || !strings.HasPrefix(out, "server 127.0.0.1, stratum 0, offset 0.000000, delay 0.00000\n") ||
		!strings.HasSuffix(out, ": no server suitable for synchronization found\n") {
		t.Errorf("%v:\n%s", err, out)
	}
}
