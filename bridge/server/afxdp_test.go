package server

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fastpath"
	"ntsbridge/bridge/server/mmsg"
)

// path is a way to the handler that is measured.
type path struct {
	name  string
	start func() (stop func(), err error)
}

// BenchmarkNTSByAFXDP compares what an answer with NTS costs by way of a UDP
// socket, and by AF_XDP in copy mode. Both are served in turn on one core, with
// the thread that receives; another core asks, which the kernel does itself. Of
// an exchange both sides are counted, by a client that has always 16 requests
// outstanding.
//
//	go test -run '^$' -bench NTSByAFXDP -benchtime 9x ./bridge/server   (root)
func BenchmarkNTSByAFXDP(b *testing.B) {
	requireBPF(b)
	r := newRig(b)
	state, payload := r.handler.state, r.requests["AEAD_AES_SIV_CMAC_256"]
	for _, load := range []struct {
		name        string
		rate, burst int
	}{{"20k-single", 20_000, 1}, {"60k-bursts", 60_000, 16}, {"flood", 0, 1}} {
		b.Run(load.name, func(b *testing.B) {
			l := newBenchLink(b)
			pids, err := l.receivers()
			if err != nil {
				b.Fatal(err)
			}
			a, err := l.newAsker(payload)
			if err != nil {
				b.Fatal(err)
			}
			defer a.close()
			paths := []path{{"socket", func() (func(), error) { return l.serveSocket(state) }},
				{"afxdp", func() (func(), error) { return l.serveFrames(state) }}}
			inTurn(b, paths, func() (float64, float64, error) {
				return a.measure(load.rate, load.burst, 400*time.Millisecond, pids)
			})
		})
	}
	b.Run("exchange", func(b *testing.B) {
		l := newBenchLink(b)
		paths := []path{{"socket", func() (func(), error) { return l.serveSocket(state) }},
			{"afxdp", func() (func(), error) { return l.serveFrames(state) }}}
		inTurn(b, paths, func() (float64, float64, error) { return l.exchange(payload, 16, 400*time.Millisecond) })
	})
}

// inTurn measures each way b.N times and reports medians.
func inTurn(b *testing.B, paths []path, measure func() (cost, rate float64, err error)) {
	b.Helper()
	var costs, rates [2][]float64
	var ratios []float64
	for range b.N {
		for i, p := range paths {
			stop, err := p.start()
			if err == nil {
				err = firstAll(benchServerCore)
			}
			if err != nil {
				b.Fatal(err)
			}
			cost, rate, err := measure()
			stop()
			if err != nil {
				b.Fatalf("%s: %v", p.name, err)
			}
			costs[i], rates[i] = append(costs[i], cost), append(rates[i], rate)
		}
		ratios = append(ratios, costs[1][len(costs[1])-1]/costs[0][len(costs[0])-1])
	}
	median := func(v []float64) float64 { v = slices.Sorted(slices.Values(v)); return v[len(v)/2] }
	for i, p := range paths {
		b.ReportMetric(median(costs[i]), p.name+"-ns/answer")
		b.ReportMetric(median(rates[i]), p.name+"-answers/s")
	}
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(slices.Min(ratios), "least-ratio")
	b.ReportMetric(slices.Max(ratios), "largest-ratio")
	b.ReportMetric(0, "ns/op")
}

// measure returns the CPU time of the server's core for an answer, ns, and how
// many there were in a second.
func (a *asker) measure(rate, burst int, d time.Duration, pids []int) (cost, per float64, err error) {
	if err := a.pace(rate, burst); err != nil {
		return 0, 0, err
	}
	for begin := time.Now(); a.answers() == 0; { // until addresses are known
		if err := a.send(rate, time.Millisecond); err != nil {
			return 0, 0, err
		}
		if time.Since(begin) > 10*time.Second {
			return 0, 0, fmt.Errorf("no answer")
		}
	}
	used := func() (sum time.Duration) {
		for _, pid := range append(slices.Clone(pids), os.Getpid()) {
			var ts unix.Timespec
			_ = unix.ClockGettime(int32(^pid<<3|2), &ts)
			sum += time.Duration(ts.Nano())
		}
		return sum - a.used
	}
	before, cpu, begin := a.answers(), used(), time.Now()
	if err := a.send(rate, d); err != nil {
		return 0, 0, err
	}
	wall := time.Since(begin)
	time.Sleep(5 * time.Millisecond)
	n := float64(a.answers() - before)
	return float64(used()-cpu) / n, n / wall.Seconds(), nil
}

// exchange asks by a socket of its own, always window requests at once, and
// returns the CPU time of both sides for an answer.
func (l *benchLink) exchange(payload []byte, window int, d time.Duration) (cost, per float64, err error) {
	err = within(l.asker, func() error {
		if err := first(0, benchAskerCore); err != nil {
			return err
		}
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.near, 123)))
		if err != nil {
			return err
		}
		f, err := c.File()
		c.Close()
		if err != nil {
			return err
		}
		defer f.Close()
		fd := int(f.Fd())
		if err := unix.SetNonblock(fd, false); err != nil {
			return err
		}
		timeout := unix.Timeval{Sec: 1}
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
		out := mmsg.New(mmsg.Shape{Slots: window, Size: maxPacket})
		in := mmsg.New(mmsg.Shape{Slots: window, Size: maxPacket})
		for i := range window {
			copy(out.Buffer(i), payload)
			out.SetLen(i, len(payload))
		}
		round := func() error {
			if n, e := out.SendWait(fd, 0, window); e != 0 || n != window {
				return fmt.Errorf("sent %d: %w", n, e)
			}
			for got := 0; got < window; {
				n, e := in.RecvWait(fd, window-got)
				if e != 0 && e != unix.EINTR {
					return fmt.Errorf("%d of %d answers: %w", got, window, e)
				}
				got += n
			}
			return nil
		}
		for range 100 {
			if err := round(); err != nil {
				return err
			}
		}
		var cpu, now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &cpu)
		begin, n := time.Now(), 0
		for ; time.Since(begin) < d; n += window {
			if err := round(); err != nil {
				return err
			}
		}
		wall := time.Since(begin)
		_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &now)
		cost, per = float64(now.Nano()-cpu.Nano())/float64(n), float64(n)/wall.Seconds()
		return nil
	})
	return cost, per, err
}

// serveSocket starts a server with one worker.
func (l *benchLink) serveSocket(state *State) (stop func(), err error) {
	s, err := New(Options{Workers: 1, Interleaved: 1 << 16, Socket: SocketOptions{DSCP: 46, KernelTimestamps: true}}, state, goodClock())
	if err != nil {
		return nil, err
	}
	return func() { s.Close() }, within(l.server, func() error {
		_, err := s.Listen([]netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), 123)})
		return err
	})
}

// serveFrames starts a server behind the fast path, which gives it what is with
// NTS by AF_XDP.
func (l *benchLink) serveFrames(state *State) (stop func(), err error) {
	s, err := New(Options{Workers: 1, Interleaved: 1 << 16, Socket: SocketOptions{DSCP: 46, KernelTimestamps: true}}, state, goodClock())
	if err != nil {
		return nil, err
	}
	e, err := fastpath.Open(fastpath.Options{Interfaces: []fastpath.Interface{{Name: "near", Mode: fastpath.XDPNTS}},
		Limiter: access.LimiterConfig{Clients: 64, Seed: [16]byte{1}}, DSCP: 46, Log: hclog.NewNullLogger()})
	if err != nil {
		return nil, err
	}
	stop = func() {
		e.Close()
		s.Close()
	}
	return stop, within(l.server, func() error {
		bound, err := s.Listen([]netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), 123)})
		if err != nil {
			return err
		}
		e.Govern(state.Access, state.Limiter, nil)
		e.Listen(bound)
		e.SetClock(goodClock())
		e.ServeFrames(s.ServeFrames)
		for _, at := range e.Attach() {
			if !at.Active {
				return fmt.Errorf("%v", at)
			}
		}
		return nil
	})
}
