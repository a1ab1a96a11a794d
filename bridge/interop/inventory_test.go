package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// seenClient is a row of `ntsbridge clients --json`, as far as the tests read it.
type seenClient struct {
	Address        string      `json:"address"`
	Names          []string    `json:"names"`
	Implementation string      `json:"implementation"`
	Means          []seenMeans `json:"means"`
	KE             struct {
		Handshakes int        `json:"handshakes"`
		Last       *time.Time `json:"last"`
	} `json:"nts_ke"`
}

type seenMeans struct {
	Kind     string         `json:"kind"`
	Key      int            `json:"key"`
	Digest   string         `json:"digest"`
	Scheme   string         `json:"scheme"`
	AEAD     string         `json:"aead"`
	Last     time.Time      `json:"last"`
	Answered int            `json:"answered"`
	Refused  map[string]int `json:"refused"`
}

// String is a means in few words: "symmetric 3", "autokey IFF", "nts 30".
func (m seenMeans) String() string {
	switch m.Kind {
	case "symmetric":
		return fmt.Sprint("symmetric ", m.Key)
	case "autokey":
		return "autokey " + m.Scheme
	case "nts":
		return "nts " + map[string]string{"AEAD_AES_SIV_CMAC_256": "15", "AEAD_AES_128_GCM_SIV": "30",
			"AEAD_AES_SIV_CMAC_512": "17"}[m.AEAD]
	}
	return m.Kind
}

// readClients runs a command that prints clients as JSON, by address.
func readClients(h *Host, p Program, args ...string) (map[string]seenClient, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, p, args...)
	if err != nil {
		return nil, err
	}
	var list []seenClient
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("%v: %w: %q", args, err, out)
	}
	rows := make(map[string]seenClient)
	for _, c := range list {
		rows[c.Address] = c
	}
	return rows, nil
}

// expected is what the inventory must say of a host.
type expected struct {
	host    *Host
	program string
	means   string // separated by commas, sorted
	ipv6    bool
	name    string // that Autokey tells
	digest  string // of a key
}

func (e *expected) address() string {
	if e.ipv6 {
		return e.host.IPv6.String()
	}
	return e.host.IPv4.String()
}

// check compares a row. live is false for a capture, which does not know the
// digests of keys that it was not given.
func (e *expected) check(rows map[string]seenClient, live bool) error {
	c, ok := rows[e.address()]
	if !ok {
		return fmt.Errorf("%s (%s) is not in the inventory", e.host.Name, e.address())
	}
	var means []string
	for _, m := range c.Means {
		if m.Answered > 0 {
			means = append(means, m.String())
		}
		if live && e.digest != "" && m.Digest != e.digest {
			return fmt.Errorf("%s: digest %q, want %s", e.host.Name, m.Digest, e.digest)
		}
	}
	slices.Sort(means)
	if got := strings.Join(means, ", "); got != e.means || c.Implementation != e.program {
		return fmt.Errorf("%s: %s by %q, want %s by %q: %+v", e.host.Name, got, c.Implementation, e.means, e.program, c)
	}
	if e.name != "" && !slices.Contains(c.Names, e.name) {
		return fmt.Errorf("%s: names %q, want %s", e.host.Name, c.Names, e.name)
	}
	if live && strings.HasPrefix(e.means, "nts") && (c.KE.Handshakes == 0 || c.KE.Last == nil) {
		return fmt.Errorf("%s: no NTS-KE was seen: %+v", e.host.Name, c)
	}
	return nil
}

// TestInventoryNamesEverybody runs real clients of every kind against one
// server: the inventory says of each by which means it is served, with which key,
// and what program it is; a capture of the same traffic says the same. Then one of
// them moves from its key to NTS, and shows two means, and the key's silence.
func TestInventoryNamesEverybody(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("the inventory is ntsbridge's")
	}
	s := newSite(t)
	hosts := map[string]*Host{}
	for _, name := range []string{
		"ntpd-none", "ntpd-md5", "ntpd-sha1", "ntpd-cmac", "ntpd-tc", "ntpd-iff", "chrony43-sha1", "chrony43-nts",
		"chrony46-cmac", "chrony46-nts15", "chrony46-nts30", "ntpsec-cmac", "ntpsec-nts", "ntpd-rs-nts", "recorded", "wrong-key",
		"openntpd", "sntp", "ntpdig", "timesyncd",
	} {
		hosts[name] = s.Host(name)
	}
	s.Names()
	wire := s.host.Record()
	s.Start()
	ipv6, group := s.host.IPv6.String(), s.group.File(serverName)
	moving := chronyKeyClient(hosts["chrony43-sha1"], Chronyd43, serverName, 2)
	clients := []*Client{
		ntpdAutokeyClient(hosts["ntpd-tc"], serverName, "", ""),
		ntpdAutokeyClient(hosts["ntpd-iff"], serverName, serverName, group),
		ntpdClient(hosts["ntpd-none"], serverName, "", ""),
		ntpdKeyClient(hosts["ntpd-md5"], serverName, 1, ntpKeys),
		ntpdKeyClient(hosts["ntpd-sha1"], serverName, 2, ntpKeys),
		ntpdKeyClient(hosts["ntpd-cmac"], serverName, 3, ntpKeys),
		moving,
		chronyNTSClient(hosts["chrony43-nts"], Chronyd43, ntsName, s.ca, 15, 256),
		chronyKeyClient(hosts["chrony46-cmac"], Chronyd46, ipv6, 3),
		chronyNTSClient(hosts["chrony46-nts15"], Chronyd46, ntsName, s.ca, 15, 256, "ntsaeads 15"),
		chronyNTSClient(hosts["chrony46-nts30"], Chronyd46, ntsName, s.ca, 30, 128),
		ntpsecClient(hosts["ntpsec-cmac"], serverName, "key 3"),
		ntpsecNTSClient(hosts["ntpsec-nts"], ntsName, s.ca),
		ntpdrsClient(hosts["ntpd-rs-nts"], ntsName, s.ca),
		refusedKeyClient(hosts["wrong-key"]),
		openntpdClient(hosts["openntpd"], s.host.IPv4.String()),
		timesyncdClient(hosts["timesyncd"], s.host.IPv4.String()),
	}
	var good []Condition
	for _, c := range clients {
		good = append(good, c.Condition())
	}
	Await(t, limit, good...)
	askOnce(t, hosts["sntp"], SNTP, "-d", "-K", "/mnt/kod", s.host.IPv4.String())
	askOnce(t, hosts["ntpdig"], NTPDig, s.host.IPv4.String())
	replayClient(t, hosts["recorded"], s.host, "busybox", "busybox-plain.pcap")

	all := []expected{
		{host: hosts["ntpd-none"], program: "ntpd 4.2", means: "none"},
		{host: hosts["ntpd-md5"], program: "ntpd 4.2", means: "symmetric 1", digest: "MD5"},
		{host: hosts["ntpd-sha1"], program: "ntpd 4.2", means: "symmetric 2", digest: "SHA1"},
		{host: hosts["ntpd-cmac"], program: "ntpd 4.2", means: "symmetric 3", digest: "AES128CMAC"},
		{host: hosts["ntpd-tc"], program: "ntpd 4.2", means: "autokey TC", name: "ntpd-tc"},
		{host: hosts["ntpd-iff"], program: "ntpd 4.2", means: "autokey IFF", name: "ntpd-iff"},
		{host: hosts["chrony43-sha1"], program: "chrony", means: "symmetric 2", digest: "SHA1"},
		{host: hosts["chrony43-nts"], program: "chrony", means: "nts 15"},
		{host: hosts["chrony46-cmac"], program: "chrony", means: "symmetric 3", ipv6: true},
		{host: hosts["chrony46-nts15"], program: "chrony", means: "nts 15"},
		{host: hosts["chrony46-nts30"], program: "chrony", means: "nts 30"},
		{host: hosts["ntpsec-cmac"], program: "ntpsec", means: "symmetric 3"},
		{host: hosts["ntpsec-nts"], program: "ntpsec", means: "nts 15"},
		{host: hosts["ntpd-rs-nts"], program: "ntpd-rs", means: "nts 15"},
		{host: hosts["openntpd"], program: "openntpd", means: "none"},
		{host: hosts["timesyncd"], program: "systemd-timesyncd", means: "none"},
		{host: hosts["recorded"], program: "busybox", means: "none"},
		{host: hosts["sntp"], program: "sntp 4.2", means: "none"},
		{host: hosts["ntpdig"], program: "ntpdig", means: "none"},
	}
	bridge, run := Program{Path: s.Server.(*bridge).program.Path}, filepath.Join(s.host.Dir, "run")
	live := func() (map[string]seenClient, error) {
		return readClients(s.host, bridge, "clients", "--json", "--run-dir", run)
	}
	told := func(rows map[string]seenClient, live bool) error {
		for _, e := range all {
			if err := e.check(rows, live); err != nil {
				return err
			}
		}
		return nil
	}
	Await(t, 30*time.Second, Condition{"inventory", func() error {
		rows, err := live()
		if err != nil {
			return err
		}
		if r := rows[hosts["wrong-key"].IPv4.String()]; len(r.Means) != 1 || r.Means[0].Answered != 0 ||
			r.Means[0].Refused["bad-mac"] == 0 {
			return fmt.Errorf("the client with the wrong key: %+v", r)
		}
		return told(rows, true)
	}})

	// The same from a capture.
	capture := filepath.Join(s.host.Dir, "clients.pcap")
	if err := wire.save(capture); err != nil {
		t.Fatal(err)
	}
	rows, err := readClients(s.host, bridge, "inventory", "import", "--dry-run", "--json", "--pcap", capture)
	if err == nil {
		err = told(rows, false)
	}
	if err != nil {
		t.Errorf("from a capture: %v", err)
	}

	// One moves.
	moving.Stop()
	moved := chronyNTSClient(hosts["chrony43-sha1"], Chronyd43, ntsName, s.ca, 15, 256)
	Await(t, limit, moved.Condition(), Condition{"two means", func() error {
		rows, err := live()
		if err != nil {
			return err
		}
		c := rows[hosts["chrony43-sha1"].IPv4.String()]
		if len(c.Means) != 2 || c.Means[0].String() != "nts 15" || c.Means[1].String() != "symmetric 2" ||
			!c.Means[0].Last.After(c.Means[1].Last) {
			return fmt.Errorf("%+v, want NTS now and the key silent", c)
		}
		return nil
	}})
}

// askOnce runs a program that asks once, and must be answered.
func askOnce(t *testing.T, h *Host, p Program, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, p, args...)
	if err != nil {
		t.Errorf("%s: %v", p.Path, err)
	}
	t.Logf("%s: %s", p.Path, out)
}

// save writes what was recorded as a capture.
func (w *Wire) save(path string) error {
	var b bytes.Buffer
	p := pcapgo.NewWriterNanos(&b)
	if err := p.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		return err
	}
	for _, packet := range w.Packets(func(Packet) bool { return true }) {
		info := gopacket.CaptureInfo{Timestamp: packet.At, CaptureLength: len(packet.frame), Length: len(packet.frame)}
		if err := p.WritePacket(info, packet.frame); err != nil {
			return err
		}
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// replayClient sends what a program that no root has (no busybox of Debian, up to
// 1.38 of sid, has its ntpd) once sent, with its type of service and its habit of
// ports, and asks for its name.
func replayClient(t *testing.T, from, to *Host, program, capture string) {
	t.Helper()
	f, err := os.Open(filepath.Join(repository(), "bridge", "fleet", "capture", "testdata", capture))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	sockets := map[uint16]*net.UDPConn{}
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			break
		}
		packet := gopacket.NewPacket(data, r.LinkType(), gopacket.Default)
		udp, _ := packet.TransportLayer().(*layers.UDP)
		ip, _ := packet.NetworkLayer().(*layers.IPv4)
		if udp == nil || ip == nil || udp.DstPort != ntpPort {
			continue
		}
		err = from.Do(func() error {
			c := sockets[uint16(udp.SrcPort)]
			if c == nil {
				var err error
				if c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.IPv4, ntpPort))); err != nil {
					return err
				}
				sockets[uint16(udp.SrcPort)] = c
				raw, err := c.SyscallConn()
				if err != nil {
					return err
				}
				if err := raw.Control(func(fd uintptr) {
					_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS,
						int(ip.TOS))
				}); err != nil {
					return err
				}
			}
			if udp.Payload[0]>>6 == 3 { // it tells the time of day, in microseconds
				now := uint64(ntp.TimestampFromTime(time.Now())) &^ 0xfff
				binary.BigEndian.PutUint64(udp.Payload[40:], now)
			}
			_, err := c.Write(udp.Payload)
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", program, err)
		}
	}
	for _, c := range sockets {
		defer c.Close()
	}
	run := filepath.Join(to.Dir, "run")
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	Await(t, 20*time.Second, Condition{program, func() error {
		rows, err := readClients(to, Program{Path: file}, "clients", from.IPv4.String(), "--json", "--run-dir", run)
		if err != nil {
			return err
		}
		if c := rows[from.IPv4.String()]; c.Implementation != program {
			return fmt.Errorf("%q", c.Implementation)
		}
		return nil
	}})
}
