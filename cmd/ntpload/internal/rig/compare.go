//go:build linux

// Package rig compares the CPU time that two servers spend on an answer: side
// by side in one run, on one core, over a veth pair between two network
// namespaces of its own.
//
// Server and generator have a core each. Without CONFIG_IRQ_TIME_ACCOUNTING
// the kernel charges a soft interrupt to the process it interrupts: the server
// then pays for carrying its answers into the generator's sockets, and the
// generator for carrying the requests into the server's. That is the same for
// both servers, so ratios stand and absolute figures hold for the machine. Who
// answers in the kernel does so on the generator's core, and in its time: of
// such a server only what both processes used together means something.
package rig

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"ntsbridge/cmd/ntpload/internal/load"
)

// Config is a comparison.
type Config struct {
	A, B          Spec
	Kinds         []Kind
	Rounds        int
	Slices        int           // of a round: how often the servers take turns
	Time, Warmup  time.Duration // of one slice of one server
	Sockets       int
	Window        int
	Rate          int // requests per second; 0: closed loop
	ServerCore    int
	GeneratorCore int
	First         bool      // servers and generator go before other processes (SCHED_FIFO)
	Progress      io.Writer // one line per round
}

// Compare measures A and B, and returns a row per kind. Each round starts both
// servers afresh, each in its own namespace, and loads them in turn, slice by
// slice, so that what disturbs the machine disturbs both. Kinds that one of
// them does not serve are left out. Rows whose kind failed tell why.
func Compare(ctx context.Context, c Config) (*Table, error) {
	r, done, err := newRunner(ctx, c)
	if err != nil {
		return nil, err
	}
	defer done()
	return r.table(ctx)
}

type runner struct {
	Config
	network *network
	self    string
	setups  [2]*setup // A, B
}

// newRunner makes network and setups; done removes them.
func newRunner(ctx context.Context, c Config) (r *runner, done func(), err error) {
	var undo []func()
	done = func() {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	if err := tools(); err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	m, err := newMaterial()
	if err != nil {
		return nil, nil, err
	}
	n, err := newNetwork(ctx, os.Getpid())
	if err != nil {
		return nil, nil, err
	}
	undo = append(undo, n.close)
	r = &runner{Config: c, network: n, self: self}
	for i, s := range []Spec{c.A, c.B} {
		if r.setups[i], err = s.prepare(m, n.links[i], self); err != nil {
			return nil, nil, fmt.Errorf("server %s: %w", s.Text, err)
		}
		undo = append(undo, r.setups[i].remove)
		if strings.HasPrefix(s.options["fastpath"], "xdp") {
			pass, err := passAll(n.generator, fmt.Sprintf("nb%d", i))
			if err != nil {
				return nil, nil, err
			}
			undo = append(undo, pass)
		}
	}
	return r, done, nil
}

func (r *runner) table(ctx context.Context) (*Table, error) {
	t := &Table{A: r.A.Text, B: r.B.Text}
	for _, k := range r.Kinds {
		if !r.A.serves(k) || !r.B.serves(k) {
			continue
		}
		row := r.kind(ctx, k)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func (r *runner) kind(ctx context.Context, k Kind) Row {
	row := Row{Kind: k.Name}
	for round := range r.Rounds {
		pair, err := r.round(ctx, k)
		if err != nil {
			row.Err = err
			return row
		}
		row.add(&pair[0], &pair[1])
		a, b := pair[0].CPUPerAnswer(), pair[1].CPUPerAnswer()
		fmt.Fprintf(r.Progress, "%-10s round %d of %d: A %6.0f ns, B %6.0f ns, B/A %.3f\n", k.Name, round+1, r.Rounds, a, b, b/a)
	}
	return row
}

// round starts both servers, loads them in turn, and stops them.
func (r *runner) round(ctx context.Context, k Kind) (sum [2]load.Result, err error) {
	var sides [2]*side
	for i, u := range r.setups {
		if sides[i], err = r.start(ctx, u, k); err != nil {
			return sum, fmt.Errorf("%c: %w", 'A'+i, err)
		}
		defer sides[i].stop()
	}
	for turn := range 2 * r.Slices {
		i := (turn + turn/2) % 2 // A B B A A B ...
		res, err := sides[i].slice()
		if err != nil {
			return sum, fmt.Errorf("%c: %w", 'A'+i, err)
		}
		sum[i].Merge(res)
	}
	return sum, nil
}
