package source

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/ntp"
)

// BroadcastServerConfig is a broadcast or multicast server (RFC 5905, section
// 3).
type BroadcastServerConfig struct {
	// Destination is the broadcast or multicast address, with port.
	Destination netip.AddrPort
	// Local is the address that packets leave from. Default: the kernel's
	// choice; Autokey needs it.
	Local netip.Addr
	// Version is the NTP version, 1 to 4. Default: 4.
	Version uint8
	// Auth protects the packets. Required: clients that believe anybody's
	// broadcasts should not be helped.
	Auth Authenticator
	// Poll is the interval, log2 seconds. Default: 6.
	Poll  int8
	Clock Clock // required
	Port  Port  // required
	// OnError is told what goes wrong. May be nil.
	OnError func(error)
}

// BroadcastServer sends the time to a network. While the clock is not
// synchronised it is silent.
type BroadcastServer struct{ cfg BroadcastServerConfig }

// NewBroadcastServer makes a broadcast server.
func NewBroadcastServer(cfg BroadcastServerConfig) (*BroadcastServer, error) {
	if cfg.Version == 0 {
		cfg.Version = 4
	}
	if cfg.Poll == 0 {
		cfg.Poll = schedule.DefaultMinPoll
	}
	switch {
	case !cfg.Destination.IsValid() || cfg.Destination.Port() == 0:
		return nil, errors.New("source: no broadcast address")
	case cfg.Clock == nil || cfg.Port == nil || cfg.Auth == nil:
		return nil, errors.New("source: broadcasts need a clock, a port and authentication")
	case cfg.Poll < 0 || cfg.Poll > schedule.MaxPoll || cfg.Version > 4:
		return nil, fmt.Errorf("source: poll exponent %d or version %d out of range", cfg.Poll, cfg.Version)
	}
	return &BroadcastServer{cfg}, nil
}

// Run sends until ctx is done.
func (b *BroadcastServer) Run(ctx context.Context) error {
	interval := schedule.Interval(b.cfg.Poll)
	timer := time.NewTicker(interval)
	defer timer.Stop()
	for {
		if err := b.send(interval); err != nil && b.cfg.OnError != nil {
			b.cfg.OnError(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// send sends one packet, if there is time to be sent.
func (b *BroadcastServer) send(interval time.Duration) error {
	if !b.cfg.Clock.State().Synchronised() {
		return nil
	}
	if err := b.cfg.Auth.Prepare(momentOf(b.cfg.Clock), interval); err != nil {
		return err
	}
	h := ntp.Header{Version: b.cfg.Version, Mode: ntp.ModeBroadcast, Poll: b.cfg.Poll}
	now := b.cfg.Clock.Now()
	b.cfg.Clock.State().Fill(&h, now)
	h.Transmit = now
	var p [maxPacket]byte
	h.Encode(p[:])
	n, err := b.cfg.Auth.Seal(p[:])
	if err != nil {
		return err
	}
	return explain(b.cfg.Port.Send(p[:n], b.cfg.Local, b.cfg.Destination))
}

// BroadcastAuth judges broadcasts, and the packets of the exchange with the
// server that measures the delay.
type BroadcastAuth interface {
	Authenticator
	// OpenBroadcast judges a packet to a broadcast or multicast address.
	OpenBroadcast(m Moment, p []byte, destination netip.Addr) Judgement
	// Exchange reports whether packets are to be exchanged with the server
	// for the sake of authentication; ready, whether that is possible yet.
	Exchange(m Moment) (wanted, ready bool)
}

// SymmetricBroadcast is a symmetric key for broadcasts.
type SymmetricBroadcast struct{ *Symmetric }

// OpenBroadcast implements BroadcastAuth.
func (s SymmetricBroadcast) OpenBroadcast(m Moment, p []byte, _ netip.Addr) Judgement {
	return s.Open(m, p)
}

// Exchange implements BroadcastAuth.
func (SymmetricBroadcast) Exchange(Moment) (wanted, ready bool) { return false, true }

// AutokeyBroadcastClient follows a broadcast server with Autokey.
type AutokeyBroadcastClient struct {
	Autokey
	Client *autokey.BroadcastClient
}

// NewAutokeyBroadcastClient makes an authenticator of an association.
func NewAutokeyBroadcastClient(c *autokey.BroadcastClient) *AutokeyBroadcastClient {
	return &AutokeyBroadcastClient{Autokey{&c.Client}, c}
}

// OpenBroadcast implements BroadcastAuth.
func (a *AutokeyBroadcastClient) OpenBroadcast(m Moment, p []byte, destination netip.Addr) Judgement {
	return judgement(a.Client.ReceiveBroadcast(m, p, destination))
}

// Exchange implements BroadcastAuth.
func (a *AutokeyBroadcastClient) Exchange(m Moment) (wanted, ready bool) {
	return a.Client.Polling(m), a.Client.State().Status != 0
}

// SetAddresses does nothing: the association is made for the addresses that
// the broadcast came with.
func (*AutokeyBroadcastClient) SetAddresses(_, _ netip.Addr) error { return nil }

// BroadcastClientConfig is an association with a broadcast server.
type BroadcastClientConfig struct {
	// Server is where the broadcasts come from and where packets are
	// exchanged to measure the delay. Required.
	Server netip.AddrPort
	// Local is the address to exchange packets from. Default: the kernel's
	// choice.
	Local netip.Addr
	// Auth is required.
	Auth BroadcastAuth
	// NoExchange listens only and takes Delay for the delay one way, as
	// ntpd's novolley and broadcastdelay. Impossible with Autokey.
	NoExchange bool
	Delay      time.Duration
	// Interval is the time between the packets of the exchange. Default: 2 s.
	Interval time.Duration
	Clock    Clock // required
	// Self and the callbacks are as in ClientConfig; OnMissed is told of each
	// broadcast that does not come when it is due.
	Self     func(refid uint32) bool
	OnSample func(Sample)
	OnError  func(error)
	OnMissed func()
}

// exchangeSamples is how many packets of an exchange measure the delay.
const exchangeSamples = 4

// BroadcastClient follows a broadcast server.
type BroadcastClient struct {
	cfg   BroadcastClientConfig
	queue chan queued

	measured bool
	delay    time.Duration // one way
	exact    *Sample       // of the last exchange; the next broadcast is compared with it
	latest   ntp.Timestamp // transmit timestamp of the last broadcast
	heard    time.Duration // uptime of it
	poll     int8

	mu     sync.Mutex
	recent Recent
	err    error
	reach  uint8
	counts Counts
}

// NewBroadcastClient makes a broadcast client. Its packets come by Deliver.
func NewBroadcastClient(cfg BroadcastClientConfig) (*BroadcastClient, error) {
	switch {
	case !cfg.Server.IsValid() || cfg.Server.Port() == 0:
		return nil, errors.New("source: no server address")
	case cfg.Clock == nil || cfg.Auth == nil:
		return nil, errors.New("source: a broadcast client needs a clock and authentication")
	case cfg.NoExchange && cfg.Auth.Kind() == ntp.KindAutokey:
		return nil, errors.New("source: Autokey needs the exchange with the broadcast server")
	}
	if cfg.Interval == 0 {
		cfg.Interval = schedule.DefaultBurstInterval
	}
	b := &BroadcastClient{cfg: cfg, queue: make(chan queued, queueLen), poll: schedule.DefaultMinPoll}
	b.measured, b.delay = cfg.NoExchange, cfg.Delay
	return b, nil
}

// Deliver hands a packet from the server's address to the association.
func (b *BroadcastClient) Deliver(p Packet) { enqueue(b.queue, b.cfg.Clock, p) }

// Status returns the association for display.
func (b *BroadcastClient) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Status{Server: b.cfg.Server, Kind: b.cfg.Auth.Kind(), Poll: b.poll, Reach: b.reach, Last: b.recent[0], Recent: b.recent,
		Err: b.err, Counts: b.counts}
}

// Run listens until ctx is done, or the server was not heard for a long time.
func (b *BroadcastClient) Run(ctx context.Context) error {
	b.heard = b.cfg.Clock.Uptime()
	missed := 0
	due := time.Now().Add(b.patience())
	for missed < schedule.Unreachable {
		silence := time.NewTimer(time.Until(due))
		select {
		case <-ctx.Done():
			silence.Stop()
			return ctx.Err()
		case <-silence.C:
			missed++
			b.missed()
			due = time.Now().Add(schedule.Interval(b.poll))
			continue
		case q := <-b.queue:
			silence.Stop()
			if b.receive(q) {
				missed, due = 0, time.Now().Add(b.patience())
			}
		}
		wanted, ready := b.cfg.Auth.Exchange(momentOf(b.cfg.Clock))
		if ready && (wanted || !b.measured) && len(b.queue) == 0 {
			b.exchange(ctx)
		}
	}
	return errGone
}

// patience is how long after a broadcast the next one counts as missed.
func (b *BroadcastClient) patience() time.Duration {
	interval := schedule.Interval(b.poll)
	return interval + interval/2
}

// missed notes a broadcast that did not come.
func (b *BroadcastClient) missed() {
	b.mu.Lock()
	b.reach <<= 1
	b.counts.Missed++
	b.mu.Unlock()
	if b.cfg.OnMissed != nil {
		b.cfg.OnMissed()
	}
}

func (b *BroadcastClient) failed(err error) {
	b.mu.Lock()
	b.err = err
	b.mu.Unlock()
	if b.cfg.OnError != nil {
		b.cfg.OnError(err)
	}
}

// exchange polls the server until the delay is known and the authenticator is
// content, for at most a minute; another broadcast begins it anew.
func (b *BroadcastClient) exchange(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var best *Sample
	samples := 0
	c, err := NewClient(ClientConfig{
		Server: b.cfg.Server, Local: b.cfg.Local, Auth: b.cfg.Auth, Clock: b.cfg.Clock, Self: b.cfg.Self,
		Polling: Polling{MinPoll: schedule.DefaultMinPoll, MaxPoll: schedule.DefaultMinPoll, IBurst: true, BurstLen: 64,
			BurstInterval: b.cfg.Interval},
		OnSample: func(s Sample) {
			if samples++; best == nil || s.Delay < best.Delay {
				best = &s
			}
			b.report(&s)
		},
		OnError: b.failed,
		OnPacket: func(Judgement) {
			wanted, ready := b.cfg.Auth.Exchange(momentOf(b.cfg.Clock))
			if !ready || !wanted && (b.measured || samples >= exchangeSamples) {
				cancel()
			}
		},
	})
	if err != nil {
		b.failed(err)
		return
	}
	if err := c.Run(ctx); err != nil && ctx.Err() == nil {
		b.failed(err)
	}
	if best != nil {
		b.measured, b.delay, b.exact = true, best.Delay/2, best
	}
}

// report hands on a sample.
func (b *BroadcastClient) report(s *Sample) {
	b.mu.Lock()
	b.err = nil
	b.recent.add(s)
	b.counts.Good++
	b.mu.Unlock()
	if b.cfg.OnSample != nil {
		b.cfg.OnSample(*s)
	}
}

// receive handles one packet and reports whether it was a good broadcast.
func (b *BroadcastClient) receive(q queued) bool {
	s, err := b.judge(q)
	b.mu.Lock()
	b.counts.Received++
	if err != nil {
		b.counts.Refused++ // and not one of the broadcasts that are awaited
	} else if b.reach <<= 1; s != nil {
		b.reach |= 1
	}
	b.mu.Unlock()
	if err != nil {
		b.failed(err)
	}
	if s != nil {
		b.report(s)
	}
	return err == nil
}

// judge checks one broadcast: authentication, then that it is newer than the
// last one and not earlier than the interval in it allows, since whoever
// records a broadcast can send it again (CVE-2015-7973).
func (b *BroadcastClient) judge(q queued) (*Sample, error) {
	var h ntp.Header
	if len(q.data) < ntp.HeaderLen {
		return nil, errPacket
	}
	if h.Decode(q.data); h.Mode != ntp.ModeBroadcast {
		return nil, errPacket
	}
	j := b.cfg.Auth.OpenBroadcast(momentOf(b.cfg.Clock), q.data, q.dest)
	if j.Err != nil {
		return nil, j.Err
	}
	now := b.cfg.Clock.Uptime()
	interval := schedule.Interval(min(max(h.Poll, 0), schedule.MaxPoll))
	lost := b.latest != 0 && now-b.heard > 4*schedule.Interval(b.poll) // not by a packet that may be a recorded one
	if b.latest != 0 && !lost && h.Transmit.Sub(b.latest) < interval/2 {
		return nil, fmt.Errorf("%w: broadcast before its time: repeated, or sent twice", ErrOrigin)
	}
	if b.cfg.Auth.Kind() != ntp.KindAutokey || j.Usable {
		b.latest, b.heard, b.poll = h.Transmit, now, min(max(h.Poll, 0), schedule.MaxPoll)
	}
	if !j.Usable || !b.measured {
		return nil, nil
	}
	if err := usable(&h); err != nil {
		return nil, err
	}
	b.calibrate(&h, q.at.timestamp(), 2*interval)
	times := exchanged{t1: q.at.earlier(2 * b.delay), t2: h.Transmit, t3: h.Transmit, t4: q.at}
	s := measure(&times, &h, b.cfg.Clock.State().Precision)
	s.Delay, s.Broadcast = 2*b.delay, true
	s.Uptime, s.Kind = now, b.cfg.Auth.Kind()
	s.Loop = looped(&h, b.cfg.Local, b.cfg.Self)
	return &s, nil
}

// calibrate compares the first broadcast after an exchange with what the
// exchange found: the difference is the delay of broadcasts, which need not be
// half of a round trip (ntpd does the same).
func (b *BroadcastClient) calibrate(h *ntp.Header, received ntp.Timestamp, limit time.Duration) {
	e := b.exact
	b.exact = nil
	if e == nil || b.cfg.Clock.Uptime()-e.Uptime > limit {
		return
	}
	b.delay = min(max(0, e.Offset-h.Transmit.Sub(received)), e.Delay)
}
