package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"ntsbridge/bridge/ntp"
)

// fastCounters are what serverstats tells of the fast path.
type fastCounters struct {
	Counters
	Fastpath struct {
		Answered uint64            `json:"answered"`
		Keyed    uint64            `json:"keyed"`
		Frames   uint64            `json:"frames"`
		Passed   map[string]uint64 `json:"passed"`
	} `json:"fastpath"`
}

// fastConfig is a server's, with the fast path at eth0 in a mode.
func fastConfig(mode, more string) string {
	return fmt.Sprintf(`log: {level: debug}
server: {listen: ["0.0.0.0:123", "[::]:123"], fastpath: require, fastpath_interfaces: [eth0/%s]}
clock: {mode: local, stratum: 10}
keys: {files: [{path: keys, format: ntp}], trusted: [all]}
nts: {enabled: false}
%s`, mode, more)
}

// passProgram puts an XDP program at the other end of a host's eth0, without
// which veth does not deliver what XDP sends.
func passProgram(t *testing.T, n *Network, h *Host) {
	t.Helper()
	n.must(n.wire.Do(func() error {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
		if err != nil {
			return err
		}
		t.Cleanup(func() { p.Close() })
		port, err := net.InterfaceByName(fmt.Sprintf("port%d", h.IPv4.As4()[3]))
		if err != nil {
			return err
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: port.Index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	}))
}

// fastServer starts ntsbridge with the fast path at eth0.
func fastServer(h *Host, mode, more string) *follower {
	h.Write("keys", ntpKeys)
	return startFollower(h, fastConfig(mode, more))
}

// counted is the condition that serverstats says what check wants.
func (f *follower) counted(name string, check func(*fastCounters) error) Condition {
	return Condition{name, func() error {
		var c fastCounters
		if err := f.ask(&c, "serverstats"); err != nil {
			return err
		}
		return check(&c)
	}}
}

// TestFastpathClients has real clients of every kind at a server with the fast
// path, in both modes: those that are plain are answered by the kernel, the rest
// by the sockets behind it, and none can tell.
func TestFastpathClients(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"tcx", "xdp"} {
		t.Run(mode, func(t *testing.T) { fastpathClients(t, mode) })
	}
}

func fastpathClients(t *testing.T, mode string) {
	n := NewNetwork(t)
	server, slow := n.Host("fast"), n.Host("slow")
	hosts := map[string]*Host{}
	for _, name := range []string{"plain", "six", "xleave", "md5", "sha1", "cmac", "ntpd", "ntpd-md5", "ntpd-sha1",
		"ntpsec", "ntpsec-cmac", "ntpdrs", "openntpd", "probe"} {
		hosts[name] = n.Host(name)
	}
	n.Names()
	if mode == "xdp" {
		passProgram(t, n, server)
	}
	f := fastServer(server, mode, "")
	slow.Write("keys", ntpKeys)
	sockets := startFollower(slow, strings.Replace(fastConfig(mode, ""), "fastpath: require", "fastpath: off", 1))
	Await(t, clientLimit, getsTime(hosts["probe"], server.IPv4), getsTime(hosts["probe"], slow.IPv4))
	v4, v6 := server.IPv4.String(), server.IPv6.String()
	clients := []*Client{
		chronyClient(hosts["plain"], Chronyd49, v4, ""), chronyClient(hosts["six"], Chronyd43, v6, ""),
		chronyClient(hosts["xleave"], Chronyd46, v4, "xleave"),
		chronyKeyClient(hosts["md5"], Chronyd49, v4, 1), chronyKeyClient(hosts["sha1"], Chronyd49, v4, 2),
		chronyKeyClient(hosts["cmac"], Chronyd49, v6, 3),
		ntpdKeyClient(hosts["ntpd-md5"], v4, 1, ntpKeys), ntpdKeyClient(hosts["ntpd-sha1"], v6, 2, ntpKeys),
		ntpdClient(hosts["ntpd"], v4, "", ""), openntpdClient(hosts["openntpd"], v4),
	}
	sec := ntpsecClient(hosts["ntpsec"], v4, "")
	sec.Good = func() error { return associationGood(hosts["ntpsec"], "none", 0) }
	signed := ntpsecClient(hosts["ntpsec-cmac"], v4, "key 3")
	signed.Good = func() error { return associationGood(hosts["ntpsec-cmac"], "ok", 0) }
	clients = append(clients, sec, signed, plainRustClient(hosts["ntpdrs"], v4))
	var good []Condition
	for _, c := range clients {
		good = append(good, c.Condition())
	}
	good = append(good, f.counted("the kernel answers, and the sockets the rest", func(c *fastCounters) error {
		plain, keyed := c.Count("none", "ok"), c.Count("symmetric", "ok")
		if c.Fastpath.Answered < 30 || c.Interleaved == 0 || c.Fastpath.Answered-c.Fastpath.Keyed+c.Interleaved > plain ||
			c.Fastpath.Keyed > keyed || c.Fastpath.Keyed < keyed*3/4 || keyed < 15 {
			return fmt.Errorf("%+v, interleaved %d, packets %+v", c.Fastpath, c.Interleaved, c.Packets)
		}
		return nil
	}))
	Await(t, clientLimit, good...)
	plain := []netip.Addr{hosts["plain"].IPv4, hosts["six"].IPv6, hosts["ntpd"].IPv4, hosts["ntpsec"].IPv4, hosts["ntpdrs"].IPv4,
		hosts["openntpd"].IPv4}
	Await(t, clientLimit, f.knows("none", plain), f.knows("symmetric", []netip.Addr{hosts["md5"].IPv4, hosts["sha1"].IPv4,
		hosts["cmac"].IPv6, hosts["ntpd-md5"].IPv4, hosts["ntpd-sha1"].IPv6, hosts["ntpsec-cmac"].IPv4}))
	if out := checkOn(server); !strings.Contains(out, "SHA1 and AES128 are answered in the kernel ("+mode+")") ||
		strings.HasPrefix(out, "refused") {
		t.Errorf("check, while the daemon runs: %s", out)
	}
	comparedToSockets(t, hosts["probe"], server.IPv4, slow.IPv4)
	if err := sockets.Alive(); err != nil {
		t.Error(err)
	}
}

// TestFastpathNTS has real clients with NTS at a server that they reach past its
// network stack, by AF_XDP: all of theirs comes so, is counted and known as
// what sockets answer, and no client is lost by a reload. The key establishment
// goes by the network stack.
func TestFastpathNTS(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server := n.Host("fast")
	hosts := map[string]*Host{}
	for _, name := range []string{"chrony15", "chrony30", "six", "ntpsec", "ntpdrs", "plain", "probe"} {
		hosts[name] = n.Host(name)
	}
	n.Names()
	passProgram(t, n, server)
	ca := newAuthority(t)
	ca.issue(server, "fast", time.Now().Add(24*time.Hour))
	config := strings.Replace(fastConfig("xdp+nts", ""), "nts: {enabled: false}",
		"nts: {listen: [\"0.0.0.0:4460\", \"[::]:4460\"], certificates: [{cert: fast.crt, key: fast.key}]}", 1)
	server.Write("keys", ntpKeys)
	f := startFollower(server, config)
	Await(t, clientLimit, getsTime(hosts["probe"], server.IPv4))
	clients := []*Client{
		chronyNTSClient(hosts["chrony15"], Chronyd43, "fast", ca.pem(), 15, 256),
		chronyNTSClient(hosts["chrony30"], Chronyd49, "fast", ca.pem(), 30, 128, "acquisitionport 123"),
		chronyNTSClient(hosts["six"], Chronyd46, "fast", ca.pem(), 30, 128),
		ntpsecNTSClient(hosts["ntpsec"], "fast", ca.pem()), ntpdrsClient(hosts["ntpdrs"], "fast", ca.pem()),
		chronyClient(hosts["plain"], Chronyd49, server.IPv4.String(), ""),
	}
	var good []Condition
	for _, c := range clients {
		good = append(good, c.Condition())
	}
	all := f.counted("all with NTS comes by AF_XDP", func(c *fastCounters) error {
		if nts := c.Count("nts", "ok"); nts < 12 || c.Fastpath.Frames != nts || c.Fastpath.Answered < 3 {
			return fmt.Errorf("%+v, packets %+v", c.Fastpath, c.Packets)
		}
		return nil
	})
	Await(t, clientLimit, append(good, all)...)
	var before fastCounters
	if err := errors.Join(f.ask(&before, "serverstats"), f.reload()); err != nil {
		t.Fatal(err)
	}
	Await(t, clientLimit, all, f.counted("and after a reload", func(c *fastCounters) error {
		if c.Fastpath.Frames < before.Fastpath.Frames+3 {
			return fmt.Errorf("%+v", c.Fastpath)
		}
		return nil
	}), f.knows("nts", []netip.Addr{hosts["chrony15"].IPv4, hosts["chrony30"].IPv4, hosts["ntpdrs"].IPv4}))
	var s fastStatus
	if err := f.ask(&s, "status"); err != nil || len(s.Fastpath) != 1 || s.Fastpath[0].Mode != "xdp+nts" || !s.Fastpath[0].Active {
		t.Errorf("status: %+v, %v", s, err)
	}
}

// plainRustClient starts an ntpd-rs without NTS.
func plainRustClient(h *Host, server string) *Client {
	h.t.Helper()
	h.Write("ntp.toml", fmt.Sprintf(`[observability]
log-level = "info"
observation-path = "/mnt/observe"
[[source]]
mode = "server"
address = %q
[source-defaults]
poll-interval-limits = { min = 2, max = 3 }
initial-poll-interval = 2
[synchronization]
minimum-agreeing-sources = 1
`, server))
	c := &Client{Daemon: h.Start("ntp-daemon", NTPDRS, "-c", "/mnt/ntp.toml")}
	c.Good = func() error {
		s, err := queryNTPDRS(h)
		if err == nil && s.Unanswered != 0 {
			err = fmt.Errorf("%+v", s)
		}
		return err
	}
	return c
}

// getsTime is the condition that a host gets the time from an address.
func getsTime(h *Host, to netip.Addr) Condition {
	return Condition{h.Name + " is answered", func() error { _, err := askTime(h, to); return err }}
}

// knows is the condition that the inventory has seen clients of a kind at
// addresses.
func (f *follower) knows(kind string, addresses []netip.Addr) Condition {
	return Condition{"the inventory has all", func() error {
		rows, err := readClients(f.Host, f.program, "clients", "--json", "--run-dir", filepath.Join(f.Host.Dir, "run"))
		if err != nil {
			return err
		}
		for _, a := range addresses {
			c, seen := rows[a.String()]
			if !seen || !slices.ContainsFunc(c.Means, func(m seenMeans) bool { return m.Kind == kind && m.Answered > 0 }) {
				return fmt.Errorf("%v is not among the clients of kind %s: %+v", a, kind, c)
			}
		}
		return nil
	}}
}

// comparedToSockets asks both servers in turn. All have one clock, so that what
// a client finds is its error.
func comparedToSockets(t *testing.T, probe *Host, fast, slow netip.Addr) {
	t.Helper()
	var errs [2][]time.Duration
	for range 150 {
		for i, to := range []netip.Addr{fast, slow} {
			s, err := askTime(probe, to)
			if err != nil {
				t.Fatal(err)
			}
			errs[i] = append(errs[i], s.Ahead.Abs())
		}
	}
	median := func(list []time.Duration) time.Duration {
		slices.Sort(list)
		return list[len(list)/2]
	}
	a, b := median(errs[0]), median(errs[1])
	t.Logf("median error of a client: %v by the kernel, %v by sockets", a, b)
	if a > b+20*time.Microsecond {
		t.Errorf("median error of a client: %v by the kernel, %v by sockets", a, b)
	}
}

// stream asks a server all the time, one request after the other, and counts
// those that got no answer.
type stream struct {
	asked, lost atomic.Uint64
	stop        chan struct{}
	done        chan error
}

func startStream(from *Host, to netip.Addr) *stream {
	s := &stream{stop: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		s.done <- from.Do(func() error {
			c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 123)))
			if err != nil {
				return err
			}
			defer c.Close()
			return s.run(c)
		})
	}()
	return s
}

func (s *stream) run(c *net.UDPConn) error {
	answer := make([]byte, 1024)
	for {
		select {
		case <-s.stop:
			return nil
		default:
		}
		s.asked.Add(1)
		if _, err := c.Write(request()); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := c.Read(answer); err != nil || n < ntp.HeaderLen {
			s.lost.Add(1)
		}
		time.Sleep(time.Millisecond)
	}
}

// end returns how many were asked and lost.
func (s *stream) end(t *testing.T) (asked, lost uint64) {
	t.Helper()
	close(s.stop)
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
	return s.asked.Load(), s.lost.Load()
}

// programsAt counts the tcx programs at a host's eth0.
func programsAt(h *Host) (n int, err error) {
	err = h.Do(func() error {
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		found, err := link.QueryPrograms(link.QueryOptions{Target: i.Index, Attach: ebpf.AttachTCXIngress})
		if err == nil {
			n = len(found.Programs)
		}
		return err
	})
	return n, err
}

// TestFastpathFollows changes everything under a stream of requests: reloads
// lose none, rules hold at once, interfaces that come are answered at, a daemon
// that stands still tells no time, and one that is gone leaves no program.
func TestFastpathFollows(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client, denied := n.Host("fast"), n.Host("client"), n.Host("denied")
	n.Names()
	f := fastServer(server, "tcx", "")
	byKernel := f.counted("by the kernel", func(c *fastCounters) error {
		if _, err := askTime(client, server.IPv4); err != nil || c.Fastpath.Answered < 3 {
			return fmt.Errorf("%v; %+v", err, c.Fastpath)
		}
		return nil
	})
	Await(t, clientLimit, getsTime(client, server.IPv4), getsTime(client, server.IPv6), getsTime(denied, server.IPv4), byKernel)

	s := startStream(client, server.IPv4)
	for i := range 4 {
		more := ""
		if i%2 == 1 {
			more = fmt.Sprintf("access: {rules: [{prefixes: [\"%v/32\"], action: deny}]}\n", denied.IPv4)
		}
		server.Write("ntsbridge.yaml", fastConfig("tcx", more))
		if err := f.reload(); err != nil {
			t.Fatal(err)
		}
		if _, err := askTime(denied, server.IPv4); (err != nil) != (more != "") {
			t.Errorf("reload %d: a host that is denied now (%v): %v", i, more != "", err)
		}
	}
	// An interface that comes, without the capabilities of the start.
	n.must(server.Do(func() error {
		return ip("link add eth1 type veth peer name far\naddr add 10.124.0.1/24 dev eth1\nlink set eth1 up\nlink set far up\n")
	}))
	n.must(server.Do(func() error { return ip("addr add 10.123.0.200/24 dev eth0\n") }))
	Await(t, clientLimit, getsTime(client, netip.MustParseAddr("10.123.0.200")))
	if asked, lost := s.end(t); lost > 0 {
		t.Errorf("%d of %d requests were lost by reloads", lost, asked)
	}

	if err := f.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	Await(t, clientLimit, Condition{"a daemon that stands still tells no time", func() error {
		if _, err := askTime(client, server.IPv4); err == nil {
			return errors.New("answered")
		}
		return nil
	}})
	if err := f.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	Await(t, clientLimit, getsTime(client, server.IPv4))
	if at, err := programsAt(server); err != nil || at != 1 {
		t.Fatalf("%d programs: %v", at, err)
	}
	if err := f.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	Await(t, clientLimit, Condition{"no program is left", func() error {
		if at, err := programsAt(server); err != nil || at != 0 {
			return fmt.Errorf("%d programs: %v", at, err)
		}
		return nil
	}})
}

// reload asks the daemon to read its configuration again.
func (f *follower) reload() error {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	_, err := f.Host.Output(ctx, f.program, "reload", "-c", filepath.Join(f.Host.Dir, "ntsbridge.yaml"), "--run-dir",
		filepath.Join(f.Host.Dir, "run"))
	return err
}

// TestFastpathVirtual answers at a bridge that the host's interface is a port
// of, and at a macvlan on top of it; XDP is below both, and is refused there.
func TestFastpathVirtual(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client := n.Host("fast"), n.Host("client")
	n.Names()
	bridge, macvlan := netip.MustParseAddr("10.123.0.201"), netip.MustParseAddr("10.123.0.202")
	n.must(server.Do(func() error {
		return ip("link add br0 type bridge\nlink set eth0 master br0\naddr flush dev eth0\n" +
			"addr add 10.123.0.201/24 dev br0\nlink set br0 up\n" +
			"link add link br0 name mv0 type macvlan mode bridge\naddr add 10.123.0.202/24 dev mv0\nlink set mv0 up\n")
	}))
	config := func(list string) string { return strings.Replace(fastConfig("tcx", ""), "[eth0/tcx]", list, 1) }
	server.Write("keys", ntpKeys)
	server.Write("ntsbridge.yaml", config("[br0/xdp]"))
	if out := checkOn(server); !strings.HasPrefix(out, "refused") {
		t.Errorf("XDP at a bridge: %s", out)
	}
	server.Write("ntsbridge.yaml", config("[eth0/xdp]"))
	if out := checkOn(server); !strings.Contains(out, "br0") || !strings.HasPrefix(out, "refused") {
		t.Errorf("XDP below a bridge: %s", out)
	}
	f := startFollower(server, config("[br0, mv0/tcx]"))
	for _, to := range []netip.Addr{bridge, macvlan} {
		var before uint64
		Await(t, clientLimit, getsTime(client, to), f.counted("what was answered", func(c *fastCounters) error {
			before = c.Fastpath.Answered
			return nil
		}), f.counted(fmt.Sprintf("%v by the kernel", to), func(c *fastCounters) error {
			if _, err := askTime(client, to); err != nil || c.Fastpath.Answered < before+3 {
				return fmt.Errorf("%v; %+v, before %d", err, c.Fastpath, before)
			}
			return nil
		}))
	}
}

// fastStatus is what status tells of the fast path.
type fastStatus struct {
	Fastpath []struct {
		Interface, Mode, Note string
		Active                bool
	} `json:"fastpath"`
	Problems []string `json:"problems"`
}

// TestFastpathXDPWithoutPeer: on a veth whose peer has no program XDP delivers
// nothing. That is noticed, told, and the sockets answer.
func TestFastpathXDPWithoutPeer(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client := n.Host("fast"), n.Host("client")
	n.Names()
	f := fastServer(server, "xdp", "")
	// Nothing is known before an answer was lost, and what passes to the sockets
	// for another reason is answered.
	Await(t, clientLimit,
		Condition{"status says so", func() error {
			_, _ = askTime(client, server.IPv4)
			var s fastStatus
			if err := f.ask(&s, "status"); err != nil {
				return err
			}
			if len(s.Fastpath) != 1 || s.Fastpath[0].Active || !strings.Contains(s.Fastpath[0].Note, "eth0/tcx") || len(s.Problems) == 0 {
				return fmt.Errorf("%+v", s)
			}
			return nil
		}})
	Await(t, clientLimit, Condition{"sockets answer", func() error { _, err := askTime(client, server.IPv4); return err }})
}

// checkOn is what check says of a host's configuration, with "refused" in front
// if serve would not start.
func checkOn(h *Host) string {
	h.t.Helper()
	file, err := build()
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, Program{Path: file}, "check", "--json", "-c", filepath.Join(h.Dir, "ntsbridge.yaml"),
		"--state-dir", filepath.Join(h.Dir, "state"), "--run-dir", filepath.Join(h.Dir, "run"))
	if err != nil {
		return "refused: " + err.Error() + out
	}
	return out
}

// TestFastpathRespectsOthers: filters of tc and other XDP programs keep their
// packets. auto serves by sockets and says so; require does not start.
func TestFastpathRespectsOthers(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server := n.Host("fast")
	n.Names()
	check := func(mode, policy string) string {
		server.Write("keys", ntpKeys)
		server.Write("ntsbridge.yaml", strings.Replace(fastConfig(mode, ""), "require", policy, 1))
		return checkOn(server)
	}
	if out := check("tcx", "require"); !strings.Contains(out, "AES128 are answered in the kernel (tcx)") {
		t.Errorf("an interface of nobody else: %s", out)
	}
	n.must(server.Do(func() error {
		if out, err := exec.Command("tc", "qdisc", "add", "dev", "eth0", "clsact").CombinedOutput(); err != nil {
			return fmt.Errorf("tc: %w: %s", err, out)
		}
		return nil
	}))
	for policy, refused := range map[string]bool{"auto": false, "require": true} {
		out := check("tcx", policy)
		if !strings.Contains(out, "clsact") || strings.HasPrefix(out, "refused") != refused {
			t.Errorf("%s at an interface with clsact: %s", policy, out)
		}
	}
	n.must(server.Do(func() error {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
		if err != nil {
			return err
		}
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: i.Index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { l.Close(); p.Close() })
		}
		return err
	}))
	if out := check("xdp", "require"); !strings.Contains(out, "another XDP program") || !strings.HasPrefix(out, "refused") {
		t.Errorf("an interface with an XDP program: %s", out)
	}
}

// TestFastpathComesAndGoes: at an interface that comes while the daemon runs, and
// comes again after it was gone, the kernel answers as it does at the others.
func TestFastpathComesAndGoes(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client := n.Host("fast"), n.Host("client")
	n.Names()
	server.Write("keys", ntpKeys)
	f := startFollower(server, strings.Replace(fastConfig("tcx", ""), ", fastpath_interfaces: [eth0/tcx]", "", 1))
	there := func(name string, want bool) Condition {
		return Condition{fmt.Sprintf("status has %s: %v", name, want), func() error {
			var s fastStatus
			if err := f.ask(&s, "status"); err != nil {
				return err
			}
			found := false
			for _, i := range s.Fastpath {
				found = found || i.Interface == name && i.Active
			}
			if found != want {
				return fmt.Errorf("%+v", s.Fastpath)
			}
			return nil
		}}
	}
	to := netip.MustParseAddr("10.124.0.1")
	Await(t, clientLimit, getsTime(client, server.IPv4), there("eth0", true))
	for range 2 {
		n.must(server.Do(func() error {
			return ip(fmt.Sprintf("link add eth2 type veth peer name eth2 netns %d\naddr add %v/24 dev eth2\nlink set eth2 up\n",
				client.anchor.Process.Pid, to))
		}))
		n.must(client.Do(func() error { return ip("addr add 10.124.0.2/24 dev eth2\nlink set eth2 up\n") }))
		Await(t, clientLimit, there("eth2", true), getsTime(client, to))
		before := uint64(0)
		Await(t, clientLimit, f.counted("what was answered", func(c *fastCounters) error {
			before = c.Fastpath.Answered
			return nil
		}), f.counted("eth2 by the kernel", func(c *fastCounters) error {
			if _, err := askTime(client, to); err != nil || c.Fastpath.Answered < before+3 {
				return fmt.Errorf("%v; %+v, before %d", err, c.Fastpath, before)
			}
			return nil
		}))
		n.must(server.Do(func() error { return ip("link del eth2\n") }))
		Await(t, clientLimit, there("eth2", false), getsTime(client, server.IPv4))
	}
}
