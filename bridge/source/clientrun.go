package source

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	mathrand "math/rand/v2"
	"time"

	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

const (
	// patience is for how much longer than MaxDelay an answer is waited for:
	// the server's own part is no delay.
	patience = time.Second
	// maxSocketErrors is how many errors of its socket a request stands.
	maxSocketErrors = 8
)

// request is one request and what became of it.
type request struct {
	presend bool
	nonce   ntp.Timestamp // transmit timestamp sent
	echo    ntp.Timestamp // receive timestamp sent; 0: basic mode
	departure
	sent   time.Time
	random float64 // of the interval after it

	open    bool // no authentic answer yet
	told    bool // an error of the socket was told
	missed  bool // it was told that it brought no time
	settled bool // when the next one is due is known
	paced   bool // Pace was asked
	outcome outcome

	// Of the answer.
	times  exchanged
	end    timebase.Pair
	uptime time.Duration
	used   bool // there was a sample of these times
}

// outcome is what a request brought.
type outcome uint8

const (
	nothing outcome = iota // no answer, or one without time
	reply                  // an answer, though no sample: a kiss, a handshake's step, a delay too long
	sampled
)

// Run polls until ctx is done, or the server refuses us for good (kiss codes
// DENY and RSTR).
func (c *Client) Run(ctx context.Context) error {
	defer keepStamping()()
	defer c.close()
	c.due = time.Now()
	for ctx.Err() == nil {
		if c.presends() {
			if err := c.rest(ctx, c.due.Add(-schedule.Spacing)); err != nil {
				return err
			}
			if err := c.exchange(ctx, true); err != nil {
				return err
			}
		}
		if err := c.rest(ctx, c.due); err != nil {
			return err
		}
		if err := c.exchange(ctx, false); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// close closes what is open.
func (c *Client) close() {
	c.hangUp()
	for _, h := range c.hardware {
		if h != nil {
			h.Close()
		}
	}
}

// hangUp closes the socket.
func (c *Client) hangUp() {
	if c.socket != nil {
		c.socket.conn.Close()
		c.socket = nil
	}
}

func (c *Client) failed(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	if c.cfg.OnError != nil {
		c.cfg.OnError(err)
	}
}

// presends reports whether an extra request goes before the next poll.
func (c *Client) presends() bool {
	r := c.request
	if c.cfg.Presend == 0 || r == nil || c.keep || c.schedule.Busy() {
		return false
	}
	return c.due.Sub(r.sent) >= 2*schedule.Spacing && c.schedule.Poll() >= c.cfg.Presend
}

// exchange sends one request and handles what comes. An error ends the
// association.
func (c *Client) exchange(ctx context.Context, presend bool) error {
	r := &request{presend: presend, random: mathrand.Float64()}
	c.mu.Lock()
	if !presend {
		c.schedule.Sent()
	}
	c.mu.Unlock()
	c.answered, c.request = c.request, r
	if a := c.answered; a != nil {
		c.old = [2]ntp.Timestamp{a.nonce, a.echo}
		if !c.cfg.Interleaved || presend || a.open || a.times.t2 == 0 {
			c.answered = nil
		}
	}
	err := c.connect(ctx)
	if err == nil {
		err = c.send(r)
	}
	r.sent = time.Now()
	if err == nil {
		c.mu.Lock()
		c.counts.Sent++
		c.mu.Unlock()
	} else if ctx.Err() == nil {
		c.failed(err)
		r.told = true
		c.hangUp()
	}
	if c.cfg.Pace == nil {
		c.settle()
	}
	if err := c.listen(ctx); err != nil {
		return err
	}
	if r.outcome == nothing && ctx.Err() == nil {
		if r.open && !r.told && !presend {
			c.failed(ErrTimeout)
		}
		c.missed(r)
	}
	if !r.settled {
		c.settle()
	}
	if !c.keep {
		c.hangUp()
	}
	return nil
}

// missed notes, once, that a request brought no time.
func (c *Client) missed(r *request) {
	if r.presend || r.missed {
		return
	}
	r.missed = true
	c.mu.Lock()
	c.counts.Missed++
	c.mu.Unlock()
	if c.cfg.OnMissed != nil {
		c.cfg.OnMissed()
	}
}

// settle decides when the next poll is due. It asks Pace, at most once for a
// request.
func (c *Client) settle() {
	r := c.request
	if r.presend {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if pace := c.cfg.Pace; pace != nil && !r.paced && !c.schedule.Busy() {
		r.paced = true
		c.mu.Unlock()
		poll := pace.Poll()
		c.mu.Lock()
		c.schedule.Want(poll)
	}
	wait, _ := c.schedule.Wait(r.random)
	r.settled = true
	c.due = r.sent.Add(wait)
	if pace, least := c.cfg.Pace, c.schedule.Least(); pace != nil {
		c.mu.Unlock()
		pace.Asked(least, wait)
		c.mu.Lock()
	}
}

// connect makes sure that there is a socket. Each request has one of its own,
// with another port, which makes answers hard to forge and follows changes of
// this host's addresses. Autokey signs addresses and keeps its socket while
// the server is reached.
func (c *Client) connect(ctx context.Context) error {
	unreach := c.schedule.Unreach() - 1 // this request is counted already
	if lost := unreach > 0 && unreach%schedule.Unreachable == 0; lost {
		c.hangUp()
		if r, ok := c.cfg.Auth.(restartable); ok && unreach%(2*schedule.Unreachable) == 0 {
			r.Restart()
		}
	}
	if c.socket != nil {
		return nil
	}
	s, err := dial(ctx, endpoint{c.cfg.Server, c.cfg.Local, c.cfg.Interface}, c.cfg.Clock)
	if err != nil {
		return explain(err)
	}
	c.socket = s
	c.mu.Lock()
	c.local = s.local
	c.mu.Unlock()
	to := c.cfg.Server.Addr()
	c.itself = (s.local == to.WithZone("") || to.IsLoopback()) && c.cfg.Serves != nil && c.cfg.Serves(c.cfg.Server)
	if c.cfg.HardwareTimestamps {
		if err := s.useHardware(c.cfg.Interface, c.hardware); err != nil && err.Error() != c.hardErr {
			c.hardErr = err.Error()
			c.failed(err)
		}
	}
	if a, ok := c.cfg.Auth.(addressed); ok {
		return a.SetAddresses(s.local, c.cfg.Server.Addr().WithZone(""))
	}
	return nil
}

// send sends a request.
func (c *Client) send(r *request) error {
	c.mu.Lock()
	poll, interval := c.schedule.Poll(), c.schedule.Interval()
	c.mu.Unlock()
	if err := c.cfg.Auth.Prepare(momentOf(c.cfg.Clock), interval); err != nil {
		return err
	}
	h := ntp.Header{Version: c.cfg.Version, Mode: ntp.ModeClient, Poll: max(poll, 0)}
	if !c.cfg.Clock.State().Synchronised() {
		h.Leap = ntp.LeapUnknown
	}
	r.nonce = nonce()
	if c.answered != nil {
		h.Origin = c.answered.times.t2
		for r.echo = nonce(); r.echo == r.nonce; {
			r.echo = nonce()
		}
	}
	h.Receive, h.Transmit = r.echo, r.nonce
	var p [maxPacket]byte
	h.Encode(p[:])
	n, err := c.cfg.Auth.Seal(p[:])
	if err != nil {
		return err
	}
	if r.departure, err = c.socket.send(p[:n]); err != nil {
		return err
	}
	c.socket.transmitted(&r.departure, 0) // usually there at once
	r.open = true
	return nil
}

// nonce returns a timestamp for a request. The server only returns it: a random
// one tells nothing and cannot be guessed.
func nonce() ntp.Timestamp {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return ntp.Timestamp(binary.BigEndian.Uint64(b[:]) | 1)
}

// listen handles what comes until the next poll is due or no answer can come
// any more.
func (c *Client) listen(ctx context.Context) error {
	if c.socket == nil {
		return nil
	}
	conn := c.socket.conn
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	errs := 0
	for ctx.Err() == nil && errs < maxSocketErrors {
		p, err := c.socket.receive(ctx, c.buf, c.deadline())
		switch {
		case errors.Is(err, ErrTimeout):
			if c.request.settled || c.request.presend {
				return nil
			}
			c.settle()
		case err != nil:
			errs++
			if !c.request.told {
				c.failed(err)
			}
			c.request.told = true
		default:
			if fatal := c.receive(p); fatal != nil {
				return fatal
			}
		}
	}
	return nil
}

// deadline returns until when packets are awaited for the request.
func (c *Client) deadline() time.Time {
	r := c.request
	end := r.sent.Add(c.cfg.MaxDelay + patience)
	next := c.due
	if !r.settled && !r.presend {
		next = r.sent.Add(c.schedule.Shortest())
	}
	if next.Before(end) {
		return next
	}
	return end
}

// rest waits for the next request, or until somebody is in a hurry.
func (c *Client) rest(ctx context.Context, until time.Time) error {
	for {
		timer := time.NewTimer(time.Until(until))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
			if !c.offline.Load() {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-c.hurry:
			}
			continue // online again, or only in a hurry
		case <-c.hurry:
			timer.Stop()
			if c.request == nil {
				continue
			}
			if soon := c.request.sent.Add(schedule.Spacing); soon.Before(until) {
				until = soon
				c.due = soon // no presend on the way
			}
		}
	}
}
