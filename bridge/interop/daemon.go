package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Daemon is a running program of a host. Its output goes to a file, whose end
// is shown when the test fails.
type Daemon struct {
	Host *Host
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
	err  error         // of Wait, after done
}

// Start starts a daemon that stays in the foreground; name is for messages
// and the log. It is stopped at the end of the test at the latest.
func (h *Host) Start(name string, p Program, args ...string) *Daemon {
	h.t.Helper()
	return h.StartOn(nil, name, p, args...)
}

// StartOn is Start with a terminal, if there is one, in place of the log.
func (h *Host) StartOn(terminal *os.File, name string, p Program, args ...string) *Daemon {
	h.t.Helper()
	d := &Daemon{Host: h, name: name, log: filepath.Join(h.Dir, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer out.Close()
	d.cmd = h.command(context.Background(), p, args)
	d.cmd.Stdout, d.cmd.Stderr = out, out
	if terminal != nil {
		d.cmd.Stdin, d.cmd.Stdout = terminal, terminal
	}
	if err := h.start(d.cmd); err != nil {
		h.t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.done)
	}()
	h.t.Cleanup(func() {
		if serves(p, args) {
			d.reloads()
			d.Stop()
			d.checkConfined()
		}
		d.Stop()
		if h.t.Failed() {
			h.t.Logf("end of the log of %s on host %s:\n%s", name, h.Name, d.Tail(60))
		}
	})
	return d
}

// Stop ends the daemon by SIGTERM, by SIGKILL after ten seconds, and returns
// when it is gone.
func (d *Daemon) Stop() {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(10 * time.Second):
		d.cmd.Process.Kill()
		<-d.done
	}
}

// Signal sends a signal.
func (d *Daemon) Signal(s os.Signal) error { return d.cmd.Process.Signal(s) }

// Alive returns a permanent error if the daemon is gone.
func (d *Daemon) Alive() error {
	select {
	case <-d.done:
		return permanent{fmt.Errorf("%s on host %s ended: %v", d.name, d.Host.Name, d.err)}
	default:
		return nil
	}
}

// Log returns all that the daemon printed.
func (d *Daemon) Log() string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Tail returns the last lines of the log.
func (d *Daemon) Tail(lines int) string {
	all := strings.Split(strings.TrimRight(d.Log(), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// permanent marks an error that waiting does not mend.
type permanent struct{ error }

// Condition is something to wait for: Check returns nil when it holds.
type Condition struct {
	Name  string
	Check func() error
}

// Await waits until all conditions hold at the same time or one after the
// other, and fails the test with each one that did not in time.
func Await(t testing.TB, limit time.Duration, conditions ...Condition) {
	t.Helper()
	begin := time.Now()
	type result struct {
		name string
		err  error
		took time.Duration
	}
	results := make(chan result)
	for _, c := range conditions {
		go func() {
			err := waitFor(limit, c.Check)
			results <- result{c.Name, err, time.Since(begin)}
		}()
	}
	var failed bool
	for range conditions {
		if r := <-results; r.err != nil {
			failed = true
			t.Errorf("%s: not after %v: %v", r.name, r.took.Round(time.Second), r.err)
		} else {
			t.Logf("%s: after %v", r.name, r.took.Round(100*time.Millisecond))
		}
	}
	if failed {
		t.FailNow()
	}
}

// waitFor repeats check until it returns nil, a permanent error, or the limit
// is over; it returns the last error.
func waitFor(limit time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for {
		err := check()
		if err == nil || errors.As(err, &permanent{}) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}
