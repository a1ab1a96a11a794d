package source

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"ntsbridge/bridge/ntp"
)

// ClientConfig is an association with a server.
type ClientConfig struct {
	// Server is the address to poll. Required.
	Server netip.AddrPort
	// Local is the address to send from. Default: the kernel's choice.
	Local netip.Addr
	// Version is the NTP version of requests, 1 to 4. Default: 4.
	Version uint8
	// Auth protects the packets. Default: None.
	Auth Authenticator
	// Polling says how often.
	Polling
	// Clock is the host's. Required.
	Clock Clock
	// Pace, if not nil, is asked after each request that is neither a step of a
	// handshake nor an extra one (Presend, Burst), and says how long it is
	// until the next. It replaces the intervals and the IBurst of Polling, of
	// which MinPoll only bounds what Pace may ask for: never less than 2 s, or
	// than the interval of a negative MinPoll.
	Pace func() time.Duration
	// Presend is the least poll exponent, log2 seconds, from which a request
	// goes out 2 s before each poll only to warm the caches of switches, routers
	// and neighbours; its answer is not measured. 0: never.
	Presend int8
	// Interleaved asks for answers in interleaved mode (RFC 9769, chrony's
	// xleave), in which a server tells when an answer really left. Servers that
	// do not know it answer as ever. Not with Autokey.
	Interleaved bool

	// MaxDelay is the longest round trip of a sample. Default: 3 s.
	MaxDelay time.Duration
	// MaxDelayRatio bounds the round trip by a multiple of the shortest one of
	// the last samples; at least 1, 0: no bound.
	MaxDelayRatio float64
	// MaxDelayDevRatio bounds half of what the round trip is longer than the
	// shortest one by a multiple of the deviation of the last offsets; a sample
	// that shows a larger jump of the offset than that passes. 0: no bound;
	// chrony has 10.
	MaxDelayDevRatio float64
	// MinStratum is what a lower stratum of the server is raised to in samples.
	MinStratum uint8
	// Self reports whether a reference identifier is one of this host, so that
	// a server that follows us is seen. May be nil.
	Self func(refid uint32) bool

	// Interface is the network interface to send by. Default: any.
	Interface string
	// HardwareTimestamps asks for timestamps of the network interface; where it
	// has none OnError is told once and those of the kernel are used.
	HardwareTimestamps bool

	// OnSample gets each measurement, OnError what went wrong with a poll,
	// OnMissed is told that a request brought no time: no authentic answer, or
	// one of a server that is not synchronised. OnKiss gets verified
	// kiss-o'-death packets; after DENY and RSTR Run returns.
	// All are called by Run's goroutine and may be nil.
	OnSample func(Sample)
	OnError  func(error)
	OnMissed func()
	OnKiss   func(*KissError)
	// OnPacket is called after each packet that was handled, good or not; it
	// is there for those who watch the authenticator's state. May be nil.
	OnPacket func(Judgement)
}

// addressed is an authenticator that must know the addresses.
type addressed interface {
	SetAddresses(local, remote netip.Addr) error
}

// restartable is an authenticator that can begin anew.
type restartable interface{ Restart() }

// Client polls a server.
type Client struct {
	cfg  ClientConfig
	conn *net.UDPConn

	nonce ntp.Timestamp // transmit timestamp sent
	t1    ntp.Timestamp // when it was sent
	open  bool          // no good answer to it yet
	sent  time.Time

	mu       sync.Mutex
	schedule schedule
	last     *Sample
	err      error
	counts   Counts
}

// Counts is what an association counted.
type Counts struct {
	Sent     uint64
	Received uint64 // from the other side's address
	Good     uint64 // samples
	Refused  uint64 // dropped: not authentic, not an answer, malformed

	Missed      uint64 // requests that brought no time
	Duplicates  uint64 // of the refused: answers that came again or too late
	Kisses      uint64 // verified kiss-o'-death packets
	Rejected    uint64 // answers whose measurement was not used: delay, step, sanity
	Interleaved uint64 // answers in interleaved mode
	// Samples with kernel and with hardware timestamps on both sides.
	Kernel, Hardware uint64
}

// Status is an association for display.
type Status struct {
	Server netip.AddrPort
	Kind   ntp.Kind
	Poll   int8  // log2 seconds
	Reach  uint8 // shift register: bit 0 is the last poll
	Last   *Sample
	Err    error // what went wrong since the last sample
	Counts
}

// NewClient makes a client.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Version == 0 {
		cfg.Version = 4
	}
	if cfg.Auth == nil {
		cfg.Auth = None{}
	}
	switch {
	case !cfg.Server.IsValid() || cfg.Server.Port() == 0:
		return nil, errors.New("source: no server address")
	case cfg.Clock == nil:
		return nil, errors.New("source: no clock")
	case cfg.Version > 4:
		return nil, fmt.Errorf("source: version %d", cfg.Version)
	}
	if err := cfg.Polling.check(); err != nil {
		return nil, err
	}
	cfg.Server = netip.AddrPortFrom(cfg.Server.Addr().Unmap(), cfg.Server.Port())
	c := &Client{cfg: cfg}
	c.schedule = schedule{Polling: cfg.Polling, poll: cfg.MinPoll}
	return c, nil
}

// Status returns the association for display.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Status{c.cfg.Server, c.cfg.Auth.Kind(), c.schedule.poll, c.schedule.reach, c.last, c.err, c.counts}
}

// Run polls until ctx is done, or the server refuses us for good (kiss codes
// DENY and RSTR).
func (c *Client) Run(ctx context.Context) error {
	defer func() {
		if c.conn != nil {
			c.conn.Close()
		}
	}()
	for ctx.Err() == nil {
		if err := c.poll(ctx); err != nil {
			if ctx.Err() != nil {
				break
			}
			c.failed(err)
		}
		if err := c.listen(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (c *Client) failed(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	if c.cfg.OnError != nil {
		c.cfg.OnError(err)
	}
}

// connect makes sure that there is a socket, a new one while the server is not
// reached: addresses of this host may have changed.
func (c *Client) connect(ctx context.Context) error {
	lost := c.schedule.unreach > 0 && c.schedule.unreach%unreachable == 0
	if c.conn != nil && !lost {
		return nil
	}
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
		if r, ok := c.cfg.Auth.(restartable); ok && c.schedule.unreach%(2*unreachable) == 0 {
			r.Restart()
		}
	}
	conn, err := dial(ctx, c.cfg.Local, c.cfg.Server)
	if err != nil {
		return explain(err)
	}
	c.conn = conn
	if a, ok := c.cfg.Auth.(addressed); ok {
		local := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
		return a.SetAddresses(local.Unmap().WithZone(""), c.cfg.Server.Addr().WithZone(""))
	}
	return nil
}

// poll sends one request. Whatever happens, the poll counts as sent.
func (c *Client) poll(ctx context.Context) error {
	err := c.connect(ctx)
	c.open = false
	if err == nil {
		err = c.request()
	}
	c.sent = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schedule.sent()
	if err == nil {
		c.counts.Sent++
	}
	return err
}

func (c *Client) request() error {
	c.mu.Lock()
	poll, interval := c.schedule.poll, c.schedule.interval()
	c.mu.Unlock()
	if err := c.cfg.Auth.Prepare(momentOf(c.cfg.Clock), interval); err != nil {
		return err
	}
	// The transmit timestamp of a request is only ever returned: a random one
	// tells nothing and cannot be guessed.
	var nonce [8]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	c.nonce = ntp.Timestamp(binary.BigEndian.Uint64(nonce[:]) | 1)
	h := ntp.Header{Version: c.cfg.Version, Mode: ntp.ModeClient, Poll: max(poll, 0), Transmit: c.nonce}
	if !c.cfg.Clock.State().Synchronised() {
		h.Leap = ntp.LeapUnknown
	}
	var p [maxPacket]byte
	h.Encode(p[:])
	n, err := c.cfg.Auth.Seal(p[:])
	if err != nil {
		return err
	}
	c.t1 = c.cfg.Clock.Now()
	if _, err := c.conn.Write(p[:n]); err != nil {
		return explain(err)
	}
	c.open = true
	return nil
}

// listen handles what comes until the next poll is due.
func (c *Client) listen(ctx context.Context) error {
	if c.conn == nil {
		return sleep(ctx, c.schedule.wait())
	}
	defer context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, maxPacket)
	for ctx.Err() == nil {
		c.mu.Lock()
		due := c.sent.Add(c.schedule.wait())
		c.mu.Unlock()
		r, err := read(c.conn, c.cfg.Clock, buf, due)
		switch {
		case errors.Is(err, ErrTimeout):
			if c.open {
				c.failed(ErrTimeout)
			}
			return nil
		case err != nil:
			c.failed(err)
			c.open = false
			if !due.After(time.Now()) {
				return nil
			}
			continue
		}
		if fatal := c.receive(r); fatal != nil {
			return fatal
		}
	}
	return ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// receive handles one packet. An error is one that ends the association.
func (c *Client) receive(r received) error {
	sample, j := c.judge(r)
	if c.cfg.OnPacket != nil {
		defer c.cfg.OnPacket(j)
	}
	c.mu.Lock()
	c.counts.Received++
	if j.Again {
		c.schedule.again = true
	}
	var kiss *KissError
	switch {
	case errors.As(j.Err, &kiss) && kiss.Code == "RATE":
		c.schedule.rate(kiss.Poll)
		c.schedule.answered()
	case j.Err == nil, errors.Is(j.Err, ErrUnsynchronised):
		c.schedule.answered()
	default:
		c.counts.Refused++
	}
	if sample != nil {
		c.schedule.reached()
		c.counts.Good++
		c.last, c.err = sample, nil
	}
	c.mu.Unlock()
	if j.Err != nil {
		c.failed(j.Err)
	}
	if sample != nil && c.cfg.OnSample != nil {
		c.cfg.OnSample(*sample)
	}
	if kiss != nil && (kiss.Code == "DENY" || kiss.Code == "RSTR") {
		return kiss
	}
	return nil
}

// judge checks one packet: form, origin, authentication, header.
func (c *Client) judge(r received) (*Sample, Judgement) {
	if len(r.data) < ntp.HeaderLen {
		return nil, Judgement{Err: ErrPacket}
	}
	var h ntp.Header
	h.Decode(r.data)
	switch {
	case h.Mode != ntp.ModeServer:
		return nil, Judgement{Err: ErrPacket}
	case !c.open || h.Origin != c.nonce:
		return nil, Judgement{Err: ErrOrigin}
	}
	j := c.cfg.Auth.Open(momentOf(c.cfg.Clock), r.data)
	if j.Err != nil {
		return nil, j
	}
	c.open = false
	if !j.Usable {
		return nil, j
	}
	if err := usable(&h); err != nil {
		j.Err = err
		return nil, j
	}
	s := measure(&h, c.t1, r.at, c.cfg.Clock.State().Precision)
	s.Uptime, s.Kind = c.cfg.Clock.Uptime(), c.cfg.Auth.Kind()
	return &s, j
}
