//go:build linux

// Package rig compares the CPU time that two servers spend on an answer: side
// by side in one run, on one core, over a veth pair between two network
// namespaces of its own.
//
// Server and generator have a core each. Without CONFIG_IRQ_TIME_ACCOUNTING
// the kernel charges a soft interrupt to the process it interrupts: the server
// then pays for carrying its answers into the generator's sockets, and the
// generator for carrying the requests into the server's. That is the same for
// both servers, so ratios stand and absolute figures hold for the machine.
package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"ntsbridge/cmd/ntpload/internal/load"
)

// Config is a comparison.
type Config struct {
	A, B           Spec
	Kinds          []Kind
	Rounds         int
	Time, Warmup   time.Duration // of one round of one server and kind
	Sockets        int
	Window         int
	Rate           int // requests per second; 0: closed loop
	ServerCore     int
	GeneratorCore  int
	Nice           int       // of server and generator
	Progress       io.Writer // one line per round
	readyTimeout   time.Duration
	ServerMessages io.Writer // what the servers print
}

// Compare measures A and B in turn, A first in even rounds and B in odd ones,
// each start a fresh process, and returns a row per kind. Kinds that one of
// them does not serve are left out. Rows whose kind failed tell why.
func Compare(ctx context.Context, c Config) (*Table, error) {
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
	for _, s := range []Spec{c.A, c.B} {
		u, err := s.prepare(m, self)
		if err != nil {
			return nil, fmt.Errorf("server %s: %w", s.Text, err)
		}
		defer u.remove()
		r.setups = append(r.setups, u)
	}
	t := &Table{A: c.A.Text, B: c.B.Text}
	for _, k := range c.Kinds {
		if !c.A.serves(k) || !c.B.serves(k) {
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

type runner struct {
	Config
	network *network
	self    string
	setups  []*setup // A, B
}

func (r *runner) kind(ctx context.Context, k Kind) Row {
	row := Row{Kind: k.Name}
	for round := range r.Rounds {
		var pair [2]*load.Result
		for i := range pair {
			which := (i + round) % 2
			res, err := r.once(ctx, r.setups[which], k)
			if err != nil {
				row.Err = fmt.Errorf("%c: %w", 'A'+which, err)
				return row
			}
			pair[which] = res
		}
		row.add(pair[0], pair[1])
		fmt.Fprintf(r.Progress, "%-10s round %d of %d: A %6.0f ns, B %6.0f ns, B/A %.3f\n", k.Name, round+1, r.Rounds,
			pair[0].CPUPerAnswer(), pair[1].CPUPerAnswer(), pair[1].CPUPerAnswer()/pair[0].CPUPerAnswer())
	}
	return row
}

// once starts a server, loads it, and stops it.
func (r *runner) once(ctx context.Context, u *setup, k Kind) (*load.Result, error) {
	words := append(prefix(r.network.server, r.ServerCore, r.Nice), u.command...)
	server := exec.Command(words[0], words[1:]...)
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	server.Stdout, server.Stderr = &said, &said
	server.WaitDelay = time.Second
	if err := server.Start(); err != nil {
		return nil, err
	}
	res, err := r.generate(ctx, server.Process.Pid, u, k)
	stop(server)
	if err != nil {
		err = fmt.Errorf("%w\nthe server said:\n%s", err, tail(said.String()))
	}
	if r.ServerMessages != nil {
		_, _ = r.ServerMessages.Write(said.Bytes())
	}
	return res, err
}

// stop ends a server and the helpers it started.
func stop(server *exec.Cmd) {
	_ = server.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = server.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
	}
	_ = syscall.Kill(-server.Process.Pid, syscall.SIGKILL)
	<-done
}

// tail returns the last lines of a server's messages.
func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-8):], "\n  ")
}

// generate runs the generator in its own namespace and reads its result.
func (r *runner) generate(ctx context.Context, pid int, u *setup, k Kind) (*load.Result, error) {
	words := append(prefix(r.network.client, r.GeneratorCore, r.Nice), r.self, "run", "--format", "json",
		"--server", serverAddr.String()+":123", "--from", clients.String(), "--pid", fmt.Sprint(pid),
		"--sockets", fmt.Sprint(r.Sockets), "--window", fmt.Sprint(r.Window), "--rate", fmt.Sprint(r.Rate),
		"--time", r.Time.String(), "--warmup", r.Warmup.String(), "--ready", "5s")
	words = append(words, k.flags(u.dir)...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, errors.Join(err, errors.New(strings.TrimSpace(said.String())))
	}
	res := &load.Result{}
	return res, json.Unmarshal(out.Bytes(), res)
}
