//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/cmd/ntpload/internal/load"
)

// Saturate measures how many plain answers a server gives on one core that is
// flooded with requests: answers per second, and the CPU time of the core for
// each, of the thread that receives (NAPI) and the server together. Frames come
// from the kernel itself, faster than any server takes them.
func Saturate(ctx context.Context, c Config) (*FloodTable, error) {
	if err := tools(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	m, err := newMaterial()
	if err != nil {
		return nil, err
	}
	n, err := newNetwork(ctx, os.Getpid())
	if err != nil {
		return nil, err
	}
	defer n.close()
	r := &runner{Config: c, network: n, self: self}
	for i, s := range []Spec{c.A, c.B} {
		if r.setups[i], err = s.prepare(m, n.links[i], self); err != nil {
			return nil, fmt.Errorf("server %s: %w", s.Text, err)
		}
		defer r.setups[i].remove()
	}
	t := &FloodTable{A: c.A.Text, B: c.B.Text}
	for round := range c.Rounds {
		for i, u := range r.setups {
			result, err := r.saturate(ctx, u, fmt.Sprintf("nb%d", i))
			if err != nil {
				return nil, fmt.Errorf("%c: %w", 'A'+i, err)
			}
			t.sides[i] = append(t.sides[i], result)
		}
		a, b := t.sides[0][round], t.sides[1][round]
		fmt.Fprintf(c.Progress, "round %d of %d: A %.0f answers/s, B %.0f answers/s, B/A %.2f\n", round+1, c.Rounds, a.rate, b.rate, b.rate/a.rate)
	}
	return t, nil
}

// flooded is what a server did in one round.
type flooded struct {
	rate float64 // answers per second
	cpu  float64 // nanoseconds per answer
}

// floodRates are those of requests that are tried, per second: sockets answer
// fewer in a flood than below it. The last one is as fast as it goes.
var floodRates = []int{60_000, 90_000, 130_000, 200_000, 400_000, 700_000, 900_000, 1_100_000, 1_300_000, 0}

// saturate starts a server, floods it at each rate, and stops it.
func (r *runner) saturate(ctx context.Context, u *setup, device string) (result flooded, err error) {
	// The server ends with the thread that starts it, which must not become one
	// that ends in a namespace.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &side{}
	s.server = child(ctx, append(prefix(u.namespace, r.ServerCore, r.First), u.command...), &s.serverSaid)
	s.server.Stdout = &s.serverSaid
	napi, err := r.receive(ctx, u)
	if err != nil {
		return result, err
	}
	if err := s.server.Start(); err != nil {
		return result, err
	}
	defer s.stop()
	mac, err := macOf(u.namespace)
	if err != nil {
		return result, err
	}
	err = inNamespace(r.network.generator, r.GeneratorCore, r.First, func() error {
		f, err := newFlood(device, mac, u.addr)
		if f != nil {
			defer f.close()
		}
		if err != nil {
			return err
		}
		if err := f.awaitAnswers(ctx); err != nil {
			return fmt.Errorf("%w; the server said:\n%s", err, s.lastWords())
		}
		for _, rate := range floodRates {
			at, err := f.measure(rate, r.Time, append(napi, s.server.Process.Pid))
			if err != nil {
				return err
			}
			fmt.Fprintf(r.Progress, "  %s: %7d requests/s: %7.0f answers/s, %5.0f ns each\n", u.namespace, rate, at.rate, at.cpu)
			if at.rate > result.rate {
				result = at
			}
		}
		return nil
	})
	return result, err
}

// awaitAnswers floods until the server answers.
func (f *flood) awaitAnswers(ctx context.Context) error {
	for begin := time.Now(); time.Since(begin) < 15*time.Second && ctx.Err() == nil; {
		if err := f.send(time.Millisecond); err != nil {
			return err
		}
		if n, err := f.answers(); err != nil || n > 0 {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("no answer to a flood within 15 s")
}

func (f *flood) measure(rate int, d time.Duration, pids []int) (result flooded, err error) {
	if err := f.pace(rate); err != nil {
		return result, err
	}
	if err := f.send(d / 4); err != nil { // what is not steady yet
		return result, err
	}
	used, err := ranFor(pids)
	if err != nil {
		return result, err
	}
	before, err := f.answers()
	if err != nil {
		return result, err
	}
	begin := time.Now()
	if err := f.send(d); err != nil {
		return result, err
	}
	wall := time.Since(begin)
	after, err := f.answers()
	if err != nil {
		return result, err
	}
	now, err := ranFor(pids)
	if err != nil {
		return result, err
	}
	n := float64(after - before)
	return flooded{n / wall.Seconds(), float64(now-used) / n}, nil
}

// ranFor returns how long processes ran so far.
func ranFor(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		used, err := load.ReadCPU(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// receive makes the server's device receive in a thread of its own, on the
// server's core, and returns it.
func (r *runner) receive(ctx context.Context, u *setup) ([]int, error) {
	inside := func(script string) error {
		out, err := exec.CommandContext(ctx, "ip", "netns", "exec", u.namespace, "sh", "-c", script).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", script, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	if err := inNamespace(u.namespace, -1, false, func() error { return offload("nb0", unix.ETHTOOL_SGRO, 1) }); err != nil {
		return nil, err
	}
	if err := inside("echo 1 >/sys/class/net/nb0/threaded"); err != nil {
		return nil, err
	}
	var pids []int
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(text), "napi/nb0-") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		pids = append(pids, pid)
		var set unix.CPUSet
		set.Set(r.ServerCore)
		_ = unix.SchedSetaffinity(pid, &set)
		if r.First {
			_ = beforeOthers(pid)
		}
	}
	if len(pids) == 0 {
		return nil, errors.New("the kernel made no thread for the server's device (napi/nb0-N)")
	}
	return pids, nil
}

func macOf(namespace string) (mac net.HardwareAddr, err error) {
	err = inNamespace(namespace, -1, false, func() error {
		i, err := net.InterfaceByName("nb0")
		if err == nil {
			mac = i.HardwareAddr
		}
		return err
	})
	return mac, err
}

// offload switches a feature of a device by the older interface of ethtool(8).
func offload(name string, command, value uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	wanted := struct{ command, value uint32 }{command, value}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&wanted)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("ethtool %s: %w", name, errno)
	}
	return nil
}

// FloodTable is the result of Saturate.
type FloodTable struct {
	A, B  string
	sides [2][]flooded
}

// WriteText writes the table for a terminal.
func (t *FloodTable) WriteText(w io.Writer) error {
	return writeText(w, floodColumns, [][]string{t.cells()}, t.A, t.B, "rounds")
}

// WriteMarkdown writes the table for a document.
func (t *FloodTable) WriteMarkdown(w io.Writer) error {
	return writeMarkdown(w, floodColumns, [][]string{t.cells()}, t.A, t.B, "rounds")
}

var floodColumns = []string{"kind", "A answers/s", "B answers/s", "B/A", "A ns/answer", "B ns/answer"}

func (t *FloodTable) cells() []string {
	var rates, costs [2][]float64
	var ratios []float64
	for round := range t.sides[1] {
		for i := range t.sides {
			rates[i] = append(rates[i], t.sides[i][round].rate)
			costs[i] = append(costs[i], t.sides[i][round].cpu)
		}
		ratios = append(ratios, rates[1][round]/rates[0][round])
	}
	whole := func(v []float64) string {
		s := Summarise(v)
		return fmt.Sprintf("%.0f (%.0f..%.0f)", s.Median, s.Min, s.Max)
	}
	ratio := Summarise(ratios)
	return []string{"none", whole(rates[0]), whole(rates[1]), fmt.Sprintf("%.2f (%.2f..%.2f)", ratio.Median, ratio.Min, ratio.Max),
		whole(costs[0]), whole(costs[1])}
}
