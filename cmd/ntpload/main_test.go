//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"

	"ntsbridge/cmd/ntpload/internal/echo"
	"ntsbridge/cmd/ntpload/internal/load"
)

// TestRunAgainstEcho loads the echo responder in each of its ways.
func TestRunAgainstEcho(t *testing.T) {
	for _, wait := range []string{echo.WaitPoller, echo.WaitNetpoll, echo.WaitPpoll, echo.WaitRecv, echo.WaitBounded, echo.WaitPlain} {
		t.Run(wait, func(t *testing.T) {
			address := freeAddress(t)
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan int, 1)
			go func() {
				done <- execute(ctx, []string{"echo", "--listen", address, "--wait", wait, "--timestamps", "--packet-info"})
			}()
			var out bytes.Buffer
			root := newRoot()
			root.SetOut(&out)
			root.SetArgs([]string{"run", "--server", address, "--ready", "5s", "--time", "20ms", "--warmup", "5ms", "--sockets", "4",
				"--format", "json"})
			if err := root.Execute(); err != nil {
				t.Error(err)
			}
			var r load.Result
			if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Answers == 0 {
				t.Errorf("%v, %s", err, out.Bytes())
			}
			stop()
			if code := <-done; code != 0 {
				t.Errorf("echo ended with status %d", code)
			}
		})
	}
}

// freeAddress returns a loopback address whose port was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().String()
}

func TestExitStatus(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--help"}, 0},
		{[]string{"run"}, 2},
		{[]string{"run", "--nonsense"}, 2},
		{[]string{"compare", "surplus"}, 2},
		{[]string{"run", "--server", "nowhere"}, 2},
		{[]string{"run", "--server", "127.0.0.1:123", "--auth", "autokey"}, 2},
		{[]string{"run", "--server", "127.0.0.1:123", "--auth", "key", "--keys", empty}, 1},
		{[]string{"compare", "--a", "ntpd"}, 2},
		{[]string{"ke"}, 2},
		{[]string{"ke", "127.0.0.1:4460"}, 2},
		{[]string{"ke", "127.0.0.1:4460,pid=1", "--ca", empty}, 2},
		{[]string{"ke", "--a", "chronyd", "--b", "ntsbridge", "--group", "x448"}, 2},
		{[]string{"ke", "--a", "chronyd", "--b", "ntsbridge", "--count", "0"}, 2},
		{[]string{"echo", "--listen", "192.0.2.1:123"}, 1},
	} {
		if got := execute(context.Background(), c.args); got != c.want {
			t.Errorf("%v: status %d, want %d", c.args, got, c.want)
		}
	}
}
