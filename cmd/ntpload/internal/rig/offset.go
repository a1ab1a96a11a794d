//go:build linux

package rig

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
	"ntsbridge/cmd/ntpload/internal/load"
)

// Offset measures how far from the truth a client of two servers finds its
// clock, one request a millisecond at either. All have one clock, so what it
// finds is its error. It takes the kernel's timestamps of what it sends and
// receives, as chronyd does.
func Offset(ctx context.Context, c Config, requests int) (*OffsetTable, error) {
	r, done, err := newRunner(ctx, c)
	if err != nil {
		return nil, err
	}
	defer done()
	t := &OffsetTable{A: c.A.Text, B: c.B.Text}
	for round := range c.Rounds {
		found, err := r.offsets(ctx, requests)
		if err != nil {
			return nil, err
		}
		for i := range found {
			t.sides[i] = append(t.sides[i], Summarise(found[i]).Median)
		}
		fmt.Fprintf(c.Progress, "round %d of %d: A %+.1f us, B %+.1f us\n", round+1, c.Rounds, t.sides[0][round], t.sides[1][round])
	}
	return t, nil
}

// offsets starts both servers and asks them in turn. What it returns is in us.
func (r *runner) offsets(ctx context.Context, requests int) (found [2][]float64, err error) {
	for i, u := range r.setups {
		s := &side{}
		s.server = child(ctx, append(prefix(u.namespace, r.ServerCore, r.First), u.command...), &s.serverSaid)
		s.server.Stdout = &s.serverSaid
		if err := s.server.Start(); err != nil {
			return found, fmt.Errorf("%c: %w", 'A'+i, err)
		}
		defer s.stop()
	}
	err = inNamespace(r.network.generator, r.GeneratorCore, r.First, func() error {
		var clients [2]*stamper
		for i, u := range r.setups {
			c, err := newStamper(netip.AddrPortFrom(u.addr, 123), clientAddress(i))
			if err != nil {
				return err
			}
			defer c.close()
			clients[i] = c
			for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
				if _, err = c.ask(); err == nil {
					break
				}
				if time.Since(begin) > 15*time.Second || ctx.Err() != nil {
					return fmt.Errorf("%c does not serve: %w", 'A'+i, err)
				}
			}
		}
		for range requests {
			for i, c := range clients {
				time.Sleep(500 * time.Microsecond)
				if off, err := c.ask(); err == nil {
					found[i] = append(found[i], float64(off)/1000)
				}
			}
		}
		for i := range found {
			if len(found[i]) < requests*9/10 {
				return fmt.Errorf("%c answered %d of %d", 'A'+i, len(found[i]), requests)
			}
		}
		return nil
	})
	return found, err
}

func clientAddress(i int) netip.Addr {
	a := clients.Addr().As4()
	a[3] = byte(i + 1)
	return netip.AddrFrom4(a)
}

// stamper is a client with timestamps of the kernel.
type stamper struct {
	fd      int
	out, in *mmsg.Batch
	number  uint64
}

const stamperFlags = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE |
	unix.SOF_TIMESTAMPING_OPT_TSONLY

func newStamper(server netip.AddrPort, from netip.Addr) (*stamper, error) {
	fd, err := load.Dial(server, from)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stamperFlags); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("setsockopt SO_TIMESTAMPING", err)
	}
	shape := mmsg.Shape{Slots: 1, Size: 512, Control: 256}
	return &stamper{fd: fd, out: mmsg.New(shape), in: mmsg.New(shape)}, nil
}

func (c *stamper) close() { unix.Close(c.fd) }

// ask returns by how much the server's clock is ahead.
func (c *stamper) ask() (time.Duration, error) {
	for _, flags := range []uintptr{0, unix.MSG_ERRQUEUE} { // what is late
		for n := 1; n > 0; {
			n, _ = c.in.Recv(c.fd, 1, flags)
		}
	}
	c.number++
	q := ntp.Header{Version: 4, Mode: ntp.ModeClient, Poll: 6, Transmit: ntp.Timestamp(c.number<<32 | 1)}
	q.Encode(c.out.Buffer(0))
	c.out.SetLen(0, ntp.HeaderLen)
	c.out.SetControl(0, 0)
	if n, errno := c.out.Send(c.fd, 0, 1); n != 1 {
		return 0, fmt.Errorf("send: %w", errno)
	}
	for end := time.Now().Add(100 * time.Millisecond); ; {
		if n, _ := c.in.Recv(c.fd, 1, 0); n == 1 {
			break
		}
		if time.Now().After(end) {
			return 0, errors.New("no answer")
		}
		c.in.Poll(c.fd, 10*time.Millisecond)
	}
	var a ntp.Header
	if len(c.in.Packet(0)) < ntp.HeaderLen {
		return 0, errors.New("a short answer")
	}
	a.Decode(c.in.Packet(0))
	received := stampIn(c.in.Control(0))
	if a.Origin != q.Transmit || a.Mode != ntp.ModeServer {
		return 0, errors.New("not the answer")
	}
	sent := ntp.Timestamp(0)
	if n, _ := c.in.Recv(c.fd, 1, unix.MSG_ERRQUEUE); n == 1 {
		sent = stampIn(c.in.Control(0))
	}
	if sent == 0 || received == 0 {
		return 0, errors.New("no timestamp")
	}
	return a.Receive.Sub(sent)/2 + a.Transmit.Sub(received)/2, nil
}

// stampIn returns the timestamp of the kernel among control messages; 0: none.
func stampIn(b []byte) ntp.Timestamp {
	for m, rest, ok := mmsg.Next(b); ok; m, rest, ok = mmsg.Next(rest) {
		if m.Level == unix.SOL_SOCKET && m.Kind == unix.SCM_TIMESTAMPING && len(m.Data) >= 16 {
			sec, ns := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			if sec != 0 {
				return ntp.TimestampFromUnix(int64(sec), int64(ns))
			}
		}
	}
	return 0
}

// OffsetTable is the result of Offset: medians of rounds, us.
type OffsetTable struct {
	A, B  string
	sides [2][]float64
}

// WriteText writes the table for a terminal.
func (t *OffsetTable) WriteText(w io.Writer) error {
	cells := []string{"none"}
	for _, v := range t.sides {
		s := Summarise(v)
		cells = append(cells, fmt.Sprintf("%+.1f (%+.1f..%+.1f)", s.Median, s.Min, s.Max))
	}
	return writeText(w, []string{"kind", "A offset us", "B offset us"}, [][]string{cells}, t.A, t.B, "rounds")
}
