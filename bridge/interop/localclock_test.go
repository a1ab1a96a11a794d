package interop

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestLocalClock feeds a real chronyd and an ntsbridge from one free-running
// clock, refclock SOCK with local, half a second off, beside a server that they
// ask each quarter of an hour. It begins to go another way: both let the system
// clock follow its rate, and neither its time.
func TestLocalClock(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, chrony, ours, probe := n.Host("server"), n.Host("chrony"), n.Host("ours"), n.Host("probe")
	n.Names()
	chronyServer(server, Chronyd46)
	const rate, phase = 200e-6, 0.4
	var sockets []string
	dir, err := os.MkdirTemp("", "ntsbridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.MkdirAll(filepath.Join(chrony.Dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	sockets = append(sockets, filepath.Join(chrony.Dir, "run", "l.sock"), filepath.Join(dir, "l.sock"))
	chrony.Write("chrony.conf", fmt.Sprintf("server %v minpoll 10 iburst\nrefclock SOCK /mnt/run/l.sock refid LOCL poll 0 local\nport 0\n"+
		"bindcmdaddress /mnt/run/chronyd.sock\npidfile /mnt/run/chronyd.pid\ncmdport 0\n", server.IPv4))
	chrony.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
	f := startFollower(ours, followerYAML("", fmt.Sprintf("reference_clocks: [{driver: sock, device: %q, refid: LOCL, poll: 0, local: true}]\n"+
		"sources: [{server: %v, minpoll: 10, maxpoll: 10}]\n", sockets[1], server.IPv4)))
	var turned atomic.Int64 // when it began to go another way, 0: not yet
	every(t, 250*time.Millisecond, func() {
		now, offset := time.Now(), phase
		if at := turned.Load(); at != 0 {
			offset += rate * now.Sub(time.Unix(0, at)).Seconds()
		}
		for _, s := range sockets {
			if c, err := net.Dial("unixgram", s); err == nil {
				c.Write(sockSample(now.Truncate(time.Microsecond), offset))
				c.Close()
			}
		}
	})
	theirs := func() (float64, error) {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := chrony.Output(ctx, chronyc(Chronyd46), "-c", "-h", "/mnt/run/chronyd.sock", "tracking")
		columns := strings.Split(out, ",")
		if err != nil || len(columns) < 8 || columns[1] != server.IPv4.String() {
			return 0, fmt.Errorf("chronyc tracking: %q, %v", out, err)
		}
		return strconv.ParseFloat(columns[7], 64)
	}
	kept := func() (float64, error) {
		var v struct {
			Frequency float64 `json:"frequency_ppm"`
		}
		err := f.ask(&v, "tracking")
		return v.Frequency, err
	}
	w := f.watch(probe)
	Await(t, chaosLimit, f.line("LOCL", "keeps the rate", func(s *sourceLine) bool { return strings.HasPrefix(s.Why, "local") }),
		w.serves(0, 4))
	var before [2]float64
	Await(t, chaosLimit, Condition{"chronyd follows its server", func() (err error) { before[0], err = theirs(); return err }},
		Condition{"ours", func() (err error) { before[1], err = kept(); return err }})
	turned.Store(time.Now().UnixNano())
	for i, now := range []func() (float64, error){theirs, kept} {
		Await(t, chaosLimit, Condition{"the rate is the local clock's", func() error {
			y, err := now()
			if err == nil && math.Abs(y-before[i]+rate*1e6) > 0.1*rate*1e6 {
				err = fmt.Errorf("number %d: the frequency was %v ppm and is %v", i, before[i], y)
			}
			return err
		}})
	}
	w.end(f)
}
