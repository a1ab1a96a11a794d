package interop

import (
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	//lint:ignore SA1019 Active Directory signs with it
	"golang.org/x/crypto/md4" //nolint:staticcheck // what Active Directory has

	"ntsbridge/bridge/ntp"
)

// memberPassword is that of the domain's member.
const memberPassword = "Mach1ne-Pass"

var objectSID = regexp.MustCompile(`objectSid: S-[-0-9]*-(\d+)`)

// domainController makes a domain with one member on a host, starts of Samba the
// service that signs, and returns the member's relative identifier. Its socket is
// ntp_signd/socket in the scratch directory.
func domainController(h *Host) (account uint32, samba *Daemon) {
	h.t.Helper()
	tool := func(args ...string) string {
		h.t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		out, err := h.Output(ctx, SambaTool, args...)
		if err != nil {
			h.t.Fatal(err)
		}
		return out
	}
	tool("domain", "provision", "--targetdir=/mnt/samba", "--realm=SITE.EXAMPLE", "--domain=SITE", "--server-role=dc", "--dns-backend=NONE",
		"--adminpass=Adm1n-Pass", "--host-name="+h.Name, "--host-ip="+h.IPv4.String())
	conf, err := os.ReadFile(filepath.Join(h.Dir, "samba/etc/smb.conf"))
	if err != nil {
		h.t.Fatal(err)
	}
	others := regexp.MustCompile(`(?m)^\tserver services = .*$`)
	h.Write("smb.conf", strings.Replace(others.ReplaceAllString(string(conf), ""), "[global]",
		"[global]\n\tserver services = ntp_signd\n\tntp signd socket directory = /mnt/ntp_signd", 1))
	tool("computer", "create", "PC1", "-s", "/mnt/smb.conf")
	tool("user", "setpassword", "PC1$", "--newpassword="+memberPassword, "-s", "/mnt/smb.conf")
	shown := tool("computer", "show", "PC1", "-s", "/mnt/smb.conf")
	m := objectSID.FindStringSubmatch(shown)
	if m == nil {
		h.t.Fatalf("no objectSid: %s", shown)
	}
	samba = startSamba(h)
	return uint32(number(objectSID, shown, 10)), samba
}

func startSamba(h *Host) *Daemon {
	h.t.Helper()
	d := h.Start("samba", SambaDC, "-i", "-M", "single", "--debug-stdout", "-d", "3", "-s", "/mnt/smb.conf")
	Await(h.t, time.Minute, Condition{"samba signs", func() error {
		if err := d.Alive(); err != nil {
			return err
		}
		c, err := net.Dial("unix", filepath.Join(h.Dir, "ntp_signd/socket"))
		if err == nil {
			c.Close()
		}
		return err
	}})
	return d
}

// memberRequest is a request as w32time sends it: version 3, leap indicator 3,
// precision -23, root dispersion 1 s, and the account behind it (MS-SNTP,
// sections 2.2.1 and 2.2.3).
func memberRequest(mode ntp.Mode, account uint32, extended bool) []byte {
	p := request()[:ntp.HeaderLen:ntp.HeaderLen]
	p[0], p[2], p[3] = 3<<6|3<<3|byte(mode), 10, 0xe9
	p[9] = 1
	p = binary.LittleEndian.AppendUint32(p, account)
	if !extended {
		return append(p, make([]byte, 16)...)
	}
	return append(append(p, 0, 0, 1, 0), make([]byte, 64)...)
}

// outcome says what a member got.
func outcome(from, server *Host, account uint32, packet []byte) string {
	answer, err := ask(from, server.IPv4, packet)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	case err != nil:
		return err.Error()
	case binary.BigEndian.Uint64(answer[24:]) != binary.BigEndian.Uint64(packet[40:]):
		return fmt.Sprintf("no answer to this request: % x", answer)
	case len(answer) == ntp.HeaderLen:
		return "answer without signature"
	case len(answer) == ntp.HeaderLen+4:
		return "crypto-NAK"
	case len(answer) != ntp.HeaderLen+20:
		return fmt.Sprintf("%d octets", len(answer))
	}
	h := md4.New()
	for _, c := range utf16.Encode([]rune(memberPassword)) {
		h.Write([]byte{byte(c), byte(c >> 8)})
	}
	want := md5.Sum(append(h.Sum(nil), answer[:ntp.HeaderLen]...))
	if id := binary.LittleEndian.Uint32(answer[ntp.HeaderLen:]); id&^(1<<31) != account || [16]byte(answer[ntp.HeaderLen+4:]) != want {
		return fmt.Sprintf("wrong signature under %#x", id)
	}
	return fmt.Sprintf("signed, mode %d", answer[0]&7)
}

// TestActiveDirectory has a real Samba sign the answers to members of its domain,
// for ntsbridge as for a real ntpd and a real chronyd in its place.
func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("it compares ntsbridge with them")
	}
	s := newSite(t)
	member := s.Host("member")
	s.Names()
	account, samba := domainController(s.host)
	requests := []struct {
		name   string
		packet func() []byte
	}{
		{"client", func() []byte { return memberRequest(ntp.ModeClient, account, false) }},
		{"symmetric active", func() []byte { return memberRequest(ntp.ModeSymmetricActive, account, false) }},
		{"former secret", func() []byte { return memberRequest(ntp.ModeClient, account|1<<31, false) }},
		{"unknown account", func() []byte { return memberRequest(ntp.ModeClient, 9999, false) }},
		{"a user's account", func() []byte { return memberRequest(ntp.ModeClient, 500, false) }},
		{"no authentication", request},
		{"extended", func() []byte { return memberRequest(ntp.ModeClient, account, true) }},
	}
	outcomes := func() (list []string) {
		for _, r := range requests {
			list = append(list, outcome(member, s.host, account, r.packet()))
		}
		return list
	}
	serves := Condition{"serves", func() error {
		_, err := ask(member, s.host.IPv4, request())
		return err
	}}

	s.host.Write("signd.conf", "server 127.127.1.0 prefer minpoll 3 maxpoll 3 iburst\nntpsigndsocket /mnt/ntp_signd\n"+
		"restrict default mssntp nomodify\nrestrict 127.0.0.1\n")
	ntpd := s.host.Start("ntpd-signing", NTPD, "-n", "-g", "-c", "/mnt/signd.conf")
	Await(t, limit, serves)
	theirs := outcomes()
	ntpd.Stop()

	s.host.Write("chrony-signd.conf", "local stratum 3\nallow all\nntpsigndsocket /mnt/ntp_signd\nbindcmdaddress /\n"+
		"pidfile /mnt/chronyd-signd.pid\ncmdport 0\n")
	chronyd := s.host.Start("chronyd-signing", Chronyd43, "-d", "-x", "-u", "root", "-f", "/mnt/chrony-signd.conf")
	Await(t, limit, serves)
	chronys := outcomes()
	chronyd.Stop()

	b := s.Server.(*bridge)
	b.edit("clock:\n", fmt.Sprintf("  ms_sntp: {socket: %q}\naccess: {default: {ms_sntp: true}}\nclock:\n",
		filepath.Join(s.host.Dir, "ntp_signd/socket")))
	s.Start()
	Await(t, limit, serves)
	ours := outcomes()
	for i, r := range requests {
		t.Logf("%-18s ntpd: %-26s chronyd: %-26s ntsbridge: %s", r.name, theirs[i], chronys[i], ours[i])
		if r.name != "extended" && ours[i] != theirs[i] {
			t.Errorf("%s: %s, ntpd: %s", r.name, ours[i], theirs[i])
		}
	}
	if last := len(ours) - 1; ours[last] != "signed, mode 4" {
		t.Errorf("extended: %s", ours[last])
	}

	// Samba goes and comes back.
	samba.Stop()
	if got := outcome(member, s.host, account, requests[0].packet()); got != "silence" {
		t.Errorf("without samba: %s", got)
	}
	if got := outcome(member, s.host, account, request()); got != "answer without signature" {
		t.Errorf("without samba another client: %s", got)
	}
	startSamba(s.host)
	if got := outcome(member, s.host, account, requests[0].packet()); got != "signed, mode 4" {
		t.Errorf("samba is back: %s", got)
	}
	Await(t, 30*time.Second, Condition{"the member is in the inventory", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := s.host.Output(ctx, b.program, "clients", "--run-dir", filepath.Join(s.host.Dir, "run"))
		if err == nil && !strings.Contains(out, fmt.Sprintf("ms-sntp %d ", account)) {
			err = fmt.Errorf("not in\n%s", out)
		}
		return err
	}})
}
