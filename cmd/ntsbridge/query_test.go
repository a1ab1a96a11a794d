package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// query runs ntsbridge query and returns its output.
func query(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := newRootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"query"}, args...))
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestQueryUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--auth", "md5", "host"}, {"--auth", "key", "host"}, {"--samples", "0", "host"}, {"--samples", "61", "host"},
		{"-4", "-6", "host"}, {"--ntpversion", "5", "host"}, {"--auth", "nts", "--ntpversion", "3", "host"}, {"--interval", "0", "host"},
		{"--port", "0", "host"}, {"--auth", "autokey", "--ident", "grp", "host"}, {"--auth", "autokey", "--digest", "sha1", "host"},
		{"--nonsense", "host"},
	} {
		_, err := query(t, args...)
		status, ok := err.(interface{ ExitCode() int })
		if !ok || status.ExitCode() != exitUsage {
			t.Errorf("%q: %v, want wrong usage", args, err)
		}
	}
}

func TestQueryFiles(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("1 MD5 secretive\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--auth", "key", "--keys", keys, "--key-id", "2", "127.0.0.1"}, "no usable key 2"},
		{[]string{"--auth", "key", "--keys", keys + "x", "--key-id", "1", "127.0.0.1"}, "no such file"},
		{[]string{"--auth", "nts", "--ca", keys, "127.0.0.1"}, "no certificate in it"},
		{[]string{"--auth", "autokey", "--keysdir", filepath.Dir(keys), "--host", "tock", "127.0.0.1"}, "ntpkey_host_tock"},
	} {
		out, err := query(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error()+out, "secretive") {
			t.Errorf("%q: %v", c.args, err)
		}
	}
}

// answering answers on the loopback with the system's time; it returns the
// port.
func answering(t *testing.T, change func(*ntp.Header)) string {
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
			if err != nil || n < ntp.HeaderLen {
				return
			}
			var q ntp.Header
			q.Decode(buf)
			now := ntp.TimestampFromTime(time.Now())
			h := ntp.Header{Version: q.Version, Mode: ntp.ModeServer, Stratum: 1, ReferenceID: ntp.KissCode("GPS\x00"),
				Origin: q.Transmit, Receive: now, Transmit: now, Precision: -20}
			change(&h)
			var p [ntp.HeaderLen]byte
			h.Encode(p[:])
			c.WriteToUDPAddrPort(p[:], from)
		}
	}()
	return strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port)
}

func TestQueryMeasures(t *testing.T) {
	port := answering(t, func(*ntp.Header) {})
	out, err := query(t, "--json", "--interval", "10ms", "--port", port, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	var r []queryJSON
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	if len(r[0].Samples) != 4 || r[0].Stratum != 1 || r[0].RefID != "GPS" || *r[0].Offset > 1 || *r[0].Offset < -1 {
		t.Errorf("%s", out)
	}
	out, err = query(t, "--interval", "10ms", "--port", port, "127.0.0.1")
	if err != nil || !strings.Contains(out, "stratum 1") || !strings.Contains(out, "not authenticated") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestQueryNamesTheCause(t *testing.T) {
	for _, c := range []struct {
		change func(*ntp.Header)
		want   string
	}{
		{func(h *ntp.Header) { h.Leap = ntp.LeapUnknown }, "not synchronised"},
		{func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.KissCode("DENY") }, "refuses to serve this host"},
		{func(h *ntp.Header) { h.Origin++ }, "not an answer to the last request"},
	} {
		port := answering(t, c.change)
		out, err := query(t, "--interval", "10ms", "--timeout", "300ms", "--port", port, "127.0.0.1")
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%v: %s, want %q", err, out, c.want)
		}
	}
}
