package interop

import (
	"bufio"
	"fmt"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/needs"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
)

// steppedServer serves the machine's time, and from a moment on with a clock of
// its own that is ahead of it: the machine's is never touched.
type steppedServer struct {
	*server.Server
	smoother *clock.Smoother // nil: what is served is stepped, too
	ahead    atomic.Int64    // ns, of its clock
}

// publish sets what is served now.
func (s *steppedServer) publish() {
	p := timebase.Read()
	now := ntp.TimestampFromTime(time.Unix(0, p.System))
	state := &ntp.ClockState{Stratum: 2, Precision: -25, ReferenceID: 1, Reference: now, RootDelay: time.Millisecond,
		RootDispersion: time.Millisecond, Drift: 15e-6, Updated: now}
	ahead := s.ahead.Load()
	state.Smear.Offset = time.Duration(ahead)
	if s.smoother != nil {
		c := clock.Clocks{Raw: p.Raw, System: p.System + ahead}
		if !s.smoother.Begun() {
			s.smoother.Begin(c)
		}
		offset, growth := s.smoother.Update(c, 0)
		state.Smear.Offset += time.Duration(offset * 1e9)
		state.Smear.Rate += growth
	}
	s.SetClock(state)
}

// offsetAt is an offset that chronyd measured.
type offsetAt struct{ at, offset float64 } // s

// measurements reads chronyd's measurements.log by the servers' addresses.
func measurements(t *testing.T, name string) map[string][]offsetAt {
	t.Helper()
	found := map[string][]offsetAt{}
	f, err := os.Open(name)
	if err != nil {
		return found
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 12 || !strings.HasPrefix(fields[2], "127.") {
			continue
		}
		at, err1 := time.Parse("2006-01-02 15:04:05", fields[0]+" "+fields[1])
		offset, err2 := strconv.ParseFloat(fields[11], 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("line %q: %v, %v", lines.Text(), err1, err2)
		}
		found[fields[2]] = append(found[fields[2]], offsetAt{float64(at.Unix()), math.Abs(offset)})
	}
	return found
}

// TestSmoothTime steps the clock of two servers that a real chronyd measures each
// second: of the one it sees the step, of the one that smooths never more than
// the configured rate, until all of it is there.
func TestSmoothTime(t *testing.T) {
	needs.Root(t, "run chronyd as its own")
	root := needs.Peer(t, string(Bookworm))
	const step, rate, wander = 6 * time.Millisecond, 1000e-6, 1000e-6
	const smooth, plain = "127.0.0.21", "127.0.0.22"
	dir := t.TempDir()
	var conf strings.Builder
	fmt.Fprintf(&conf, "logdir %s\nlog measurements\npidfile %s/pid\nbindcmdaddress /\ncmdport 0\nport 0\n", dir, dir)
	servers := map[string]*steppedServer{}
	for _, address := range []string{smooth, plain} {
		s := &steppedServer{}
		var err error
		if s.Server, err = server.New(server.Options{Workers: 1, Socket: server.SocketOptions{KernelTimestamps: true}},
			everybody(t), &ntp.ClockState{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		listening, err := s.Prepare([]netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(address), 0)})
		if err != nil {
			t.Fatal(err)
		}
		listening.Commit()
		servers[address] = s
		fmt.Fprintf(&conf, "server %s port %d minpoll 0 maxpoll 0 noselect\n", address, s.Addresses()[0].Port())
	}
	servers[smooth].smoother = &clock.Smoother{MaxRate: rate, MaxWander: wander}
	every(t, 50*time.Millisecond, func() {
		for _, s := range servers {
			s.publish()
		}
	})
	file := filepath.Join(dir, "chrony.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	stderr := new(needs.Log)
	cmd := exec.Command("setpriv", "--bounding-set=-sys_time", "--inh-caps=-all", root+"/usr/sbin/chronyd",
		"-x", "-d", "-u", "root", "-f", file)
	cmd.Env = []string{"LD_LIBRARY_PATH=" + root + "/usr/lib/x86_64-linux-gnu:" + root + "/lib/x86_64-linux-gnu"}
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	seen := func(address string) []offsetAt {
		return measurements(t, filepath.Join(dir, "measurements.log"))[address]
	}
	Await(t, time.Minute, Condition{"chronyd measures", func() error {
		if n, m := len(seen(smooth)), len(seen(plain)); n < 3 || m < 3 {
			return fmt.Errorf("%d and %d measurements\n%s", n, m, stderr)
		}
		return nil
	}})
	stepped := float64(time.Now().Unix())
	for _, s := range servers {
		s.ahead.Store(int64(step))
	}
	Await(t, time.Minute, Condition{"all of it has come", func() error {
		list := seen(smooth)
		if last := list[len(list)-1]; math.Abs(last.offset-step.Seconds()) > 3e-4 {
			return fmt.Errorf("%+v", last)
		}
		return nil
	}})
	jump, fastest, between := 0.0, 0.0, 0
	for i, list := 1, seen(plain); i < len(list); i++ {
		jump = max(jump, list[i].offset-list[i-1].offset)
	}
	list := seen(smooth)
	for i := 1; i < len(list); i++ {
		// Lines are dated by whole seconds.
		fastest = max(fastest, (list[i].offset-list[i-1].offset)/(list[i].at-list[i-1].at+1))
		if list[i].offset > 5e-4 && list[i].offset < step.Seconds()-5e-4 {
			between++
		}
	}
	took := list[len(list)-1].at - stepped
	t.Logf("%v seen at once without smoothing; with it at most %.0f ppm, %d measurements between, after %v s", jump, fastest*1e6, between, took)
	if jump < 0.8*step.Seconds() {
		t.Errorf("without smoothing chronyd saw %v at once, want %v", jump, step)
	}
	if fastest > rate+3e-4 || between < 3 || took < step.Seconds()/rate-1 {
		t.Errorf("chronyd saw it change by %v s/s after %v s; %v allowed", fastest, took, rate)
	}
}

// everybody is a server's state in which all are answered.
func everybody(t *testing.T) *server.State {
	t.Helper()
	table, err := access.NewTable([]access.Rule{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: access.Allow,
		Kinds: access.AllKinds, MinVersion: 1}})
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := access.NewLimiter(access.LimiterConfig{Clients: 1024, Seed: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	return &server.State{Access: table, Limiter: limiter}
}
