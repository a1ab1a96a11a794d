package interop

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

// steering runs the fleet commands of a daemon.
type steering struct {
	t       *testing.T
	host    *Host
	program Program
	run     string
	daemon  *Daemon // nil: it is another's
}

func newSteering(t *testing.T, s *site) *steering {
	return &steering{t: t, host: s.host, program: Program{Path: s.Server.(*bridge).program.Path}, run: filepath.Join(s.host.Dir, "run")}
}

func (f *steering) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*queryTimeout)
	defer cancel()
	return f.host.Output(ctx, f.program, append(append([]string{"fleet"}, args...), "--run-dir", f.run)...)
}

func (f *steering) do(args ...string) {
	f.t.Helper()
	out, err := f.try(args...)
	if err != nil {
		f.t.Fatalf("fleet %v: %v", args, err)
	}
	f.t.Logf("fleet %s: %s", strings.Join(args, " "), out)
}

// place returns where a means of a group stands.
func (f *steering) place(group, means string) (*steer.PlaceStatus, error) {
	out, err := f.try("status", "--json")
	if err != nil {
		return nil, err
	}
	var s steer.Status
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return nil, err
	}
	for i := range s.Places {
		if p := &s.Places[i]; p.Group == group && p.Means == means {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s by %s is not in the status: %s", group, means, out)
}

// passed is the condition that a group has gone through a stage. A step that
// was backed out will not.
func (f *steering) passed(group, means, stage string) Condition {
	return Condition{group + " " + stage, func() error {
		p, err := f.place(group, means)
		if err != nil {
			return err
		}
		if p.Stage != stage || p.Running != nil {
			return fmt.Errorf("%+v, %+v", p, p.Running)
		}
		return nil
	}}
}

// simpleClient asks without authentication from a new port each time, as an
// appliance does, and may give up for good.
type simpleClient struct {
	gives    atomic.Int32 // after so many unanswered in a row; 0: never
	gone     atomic.Bool
	answered atomic.Int64
	stop     chan struct{}
	done     chan struct{}
}

// simplePoll is longer than what counts as a burst.
const simplePoll = 3200 * time.Millisecond

func startSimple(t *testing.T, h *Host, server netip.Addr, first byte) *simpleClient {
	c := &simpleClient{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		lost := int32(0)
		ticker := time.NewTicker(simplePoll)
		defer ticker.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-ticker.C:
			}
			if err := h.Do(func() error { return simpleAsk(server, first) }); err != nil {
				lost++
			} else {
				lost = 0
				c.answered.Add(1)
			}
			if n := c.gives.Load(); n > 0 && lost >= n {
				c.gone.Store(true)
				return
			}
		}
	}()
	t.Cleanup(c.end)
	return c
}

func (c *simpleClient) end() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	<-c.done
}

// The first octets of a client of SNTP, and of w32time as a member of a domain:
// symmetric active, version 3.
const (
	sntpFirst    = 4<<3 | byte(ntp.ModeClient)
	w32timeFirst = 3<<3 | byte(ntp.ModeSymmetricActive)
)

func simpleAsk(server netip.Addr, first byte) error {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, ntpPort)))
	if err != nil {
		return err
	}
	defer c.Close()
	packet := make([]byte, ntp.HeaderLen)
	packet[0] = first
	binary.BigEndian.PutUint64(packet[40:], uint64(time.Now().UnixNano())*0x9e3779b97f4a7c15)
	if _, err := c.Write(packet); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = c.Read(packet)
	return err
}

const stagedPlan = `
protected:
  - prefixes: [%[1]s]
    why: certified until 2028
gates:
  better_means: {share: 0}
  watched: {days: 0}
  no_forgotten: false
  another_server: false
  nts_ke: {headroom: 0, certificate_days: 0}
canary: {share: 50%%, max: 5, polls: 10}
brown_out: {lengths: [10 polls]}
groups:
  - name: plain
    prefixes: [%[1]s, %[2]s, %[3]s, %[5]s]
    stages: {none: removed}
  - name: md5
    keys: [1]
    stages: {symmetric: removed}
  - name: autokey
    prefixes: [%[4]s]
    stages: {autokey: removed}
`

// TestLongStagedMigration takes real clients through the stages: a canary, a
// brown-out that ends by itself when a client gives up, the same again after
// that client has moved to NTS, refusal and removal. ntpd with MD5 and with
// Autokey go through a canary at the same time, and chronyd with NTS and a
// protected ntpd stand by. Nobody is restarted, and who is protected, or has
// NTS, loses no packet.
func TestLongStagedMigration(t *testing.T) {
	requireLong(t)
	if standsIn(t) {
		t.Skip("a migration is ntsbridge's")
	}
	s := newSite(t)
	hosts := map[string]*Host{}
	for _, name := range []string{"ntpd-none", "ntpd-md5", "ntpd-tc", "chrony-plain", "chrony-key", "chrony-nts", "appliance", "windows"} {
		hosts[name] = s.Host(name)
	}
	s.Names()
	wire := s.host.Record()
	s.Start()
	protected := ntpdClient(hosts["ntpd-none"], serverName, "", "")
	md5 := ntpdKeyClient(hosts["ntpd-md5"], serverName, 1, ntpKeys)
	autokey := ntpdAutokeyClient(hosts["ntpd-tc"], serverName, "", "")
	plain := chronyClient(hosts["chrony-plain"], Chronyd46, serverName, "minpoll 1 maxpoll 1")
	key := chronyKeyClient(hosts["chrony-key"], Chronyd46, serverName, 2)
	moved := chronyNTSClient(hosts["chrony-nts"], Chronyd46, ntsName, s.ca, 30, 128)
	everybody := []*Client{protected, md5, autokey, plain, key, moved}
	appliance := startSimple(t, hosts["appliance"], s.host.IPv4, sntpFirst)
	windows := startSimple(t, hosts["windows"], s.host.IPv4, w32timeFirst)
	var good []Condition
	for _, c := range everybody {
		good = append(good, c.Condition())
	}
	Await(t, limit, append(good, Condition{"appliance", func() error {
		if min(appliance.answered.Load(), windows.answered.Load()) < 10 { // their poll interval is known by then
			return errors.New("not answered yet")
		}
		return nil
	}})...)
	cookies := func() int {
		return len(wire.Packets(func(p Packet) bool { return p.From.Addr() == hosts["ntpd-tc"].IPv4 && len(p.Payload) == 168 }))
	}
	dance := cookies()

	f := newSteering(t, s)
	s.host.Write("fleet.yaml", fmt.Sprintf(stagedPlan, hosts["ntpd-none"].IPv4, hosts["chrony-plain"].IPv4, hosts["appliance"].IPv4,
		hosts["ntpd-tc"].IPv4, hosts["windows"].IPv4))
	file := filepath.Join(s.host.Dir, "fleet.yaml")
	f.do("check", file)
	f.do("diff", file)
	f.do("apply", file, "--reason", "test")
	for range 2 {
		for _, g := range []string{"plain", "md5", "autokey"} {
			f.do("advance", g)
		}
	}

	// A canary, and nobody gives up.
	Await(t, 2*limit, f.passed("plain", "none", "canary"))

	// A brown-out that an appliance does not survive.
	appliance.gives.Store(3)
	f.do("advance", "plain")
	Await(t, 2*limit, Condition{"back-out", func() error {
		p, err := f.place("plain", "none")
		if err != nil {
			return err
		}
		if p.Running != nil || len(p.Hurt) != 1 || p.Hurt[0].Client != hosts["appliance"].IPv4.String() || p.Stage != "canary" {
			return fmt.Errorf("%+v, %+v", p, p.Running)
		}
		return nil
	}})
	if !appliance.gone.Load() {
		t.Error("the appliance has not given up")
	}
	if out, err := f.try("advance", "plain"); err == nil {
		t.Errorf("a group that was backed out advances: %s", out)
	}
	Await(t, limit, plain.Condition())

	// It moves, and the same goes well.
	movedLater := chronyNTSClient(hosts["appliance"], Chronyd43, ntsName, s.ca, 15, 256)
	Await(t, limit, movedLater.Condition())
	f.do("resume", "plain")
	for _, stage := range []string{"brown-out", "refuse"} {
		f.do("advance", "plain")
		Await(t, 2*limit, f.passed("plain", "none", stage))
	}
	if p, err := f.place("plain", "none"); err != nil || p.Refused == 0 {
		t.Errorf("%+v, %v", p, err)
	}
	f.do("advance", "plain")
	p, err := f.place("plain", "none")
	if err != nil || p.Stage != "removed" || p.Refuses == 0 {
		t.Fatalf("%+v, %v", p, err)
	}

	// ntpd comes out of its canary without a hand, and without a new dance.
	Await(t, 2*limit, f.passed("md5", "symmetric", "canary"), f.passed("autokey", "autokey", "canary"), md5.Condition(),
		autokey.Condition(), protected.Condition(), key.Condition(), moved.Condition(), movedLater.Condition())
	if n := cookies(); n != dance {
		t.Errorf("the Autokey client asked for a cookie %d times more", n-dance)
	}
	rows, err := readClients(s.host, f.program, "clients", "--json", "--run-dir", f.run)
	if err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string]bool{"ntpd-none": false, "chrony-key": false, "chrony-nts": false, "ntpd-md5": true,
		"ntpd-tc": true, "chrony-plain": true, "appliance": true, "windows": true} {
		n := 0
		for _, m := range rows[hosts[name].IPv4.String()].Means {
			n += m.Refused["stage"]
		}
		if n > 0 != refused {
			t.Errorf("%s: %d packets refused by a stage", name, n)
		}
	}
	for _, c := range everybody {
		if err := c.Alive(); err != nil {
			t.Errorf("%s: %v", c.Host.Name, err)
		}
	}
	f.do("history")
	f.do("history", "--verify")
}
