//go:build linux

package rig

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"ntsbridge/cmd/ntpload/internal/load"
)

// Limits of waiting for a server.
const (
	readyTime = "10s"           // until it serves
	stopTime  = 3 * time.Second // until it is killed
)

// side is a running server and the generator that loads it.
type side struct {
	server, generator      *exec.Cmd
	steps                  io.WriteCloser
	results                *bufio.Reader
	serverSaid, loaderSaid bytes.Buffer
}

// start starts a server and its generator, each on its core.
func (r *runner) start(ctx context.Context, u *setup, k Kind) (*side, error) {
	s := &side{}
	words := append(prefix(u.namespace, r.ServerCore, r.First), u.command...)
	s.server = child(ctx, words, &s.serverSaid)
	s.server.Stdout = &s.serverSaid
	if err := s.server.Start(); err != nil {
		return nil, err
	}
	words = append(prefix(r.network.generator, r.GeneratorCore, r.First), r.self, "run", "--steps", "--format", "json",
		"--server", u.addr.String()+":123", "--from", clients.String(), "--pid", fmt.Sprint(s.server.Process.Pid),
		"--sockets", fmt.Sprint(r.Sockets), "--window", fmt.Sprint(r.Window), "--rate", fmt.Sprint(r.Rate),
		"--time", r.Time.String(), "--warmup", r.Warmup.String(), "--ready", readyTime)
	words = append(words, k.flags(u.dir, u.addr.String())...)
	s.generator = child(ctx, words, &s.loaderSaid)
	if err := s.startGenerator(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// child returns a command that ends with this process and does not get the
// terminal's signals.
func child(ctx context.Context, words []string, said io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = said
	cmd.WaitDelay = time.Second
	return cmd
}

func (s *side) startGenerator() error {
	out, err := s.generator.StdoutPipe()
	if err != nil {
		return err
	}
	s.results = bufio.NewReader(out)
	if s.steps, err = s.generator.StdinPipe(); err != nil {
		return err
	}
	return s.generator.Start()
}

// slice loads the server once.
func (s *side) slice() (*load.Result, error) {
	res := &load.Result{}
	_, err := io.WriteString(s.steps, "\n")
	line, readErr := s.results.ReadBytes('\n')
	if err != nil || readErr != nil {
		_ = s.generator.Wait()
		return nil, fmt.Errorf("%s\nthe server said:\n%s", strings.TrimSpace(s.loaderSaid.String()), s.lastWords())
	}
	return res, json.Unmarshal(line, res)
}

// lastWords stops the server and returns the last lines of its messages.
func (s *side) lastWords() string {
	s.stop()
	lines := strings.Split(strings.TrimSpace(s.serverSaid.String()), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-8):], "\n  ")
}

// stop ends generator and server, and the helpers that the server started.
// Stopping again does nothing.
func (s *side) stop() {
	if s.steps != nil {
		_ = s.steps.Close()
		if s.generator.ProcessState == nil {
			_ = s.generator.Wait()
		}
		s.steps = nil
	}
	if s.server == nil {
		return
	}
	pid := s.server.Process.Pid
	_ = s.server.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(stopTime, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	_ = s.server.Wait()
	kill.Stop()
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	s.server = nil
}
