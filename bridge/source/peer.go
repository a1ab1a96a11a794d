package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// PeerConfig is a symmetric association (RFC 5905, section 3).
type PeerConfig struct {
	// Peer is the other side. Required.
	Peer netip.AddrPort
	// Local is the address that packets leave from. Default: the kernel's
	// choice; Autokey needs it.
	Local netip.Addr
	// Mode is ModeSymmetricActive (default) or ModeSymmetricPassive. A passive
	// association ends when the other side cannot be reached any more.
	Mode ntp.Mode
	// Version is the NTP version, 1 to 4. Default: 4.
	Version uint8
	// Auth protects the packets. Required: an unauthenticated peer could set
	// the time of this host.
	Auth Authenticator
	Polling
	Clock Clock // required
	Port  Port  // required
	// Pace, Self and the callbacks are as in ClientConfig; OnMissed is told of
	// each packet sent that none came back for until the next.
	Pace     Pacer
	Self     func(refid uint32) bool
	OnSample func(Sample)
	OnError  func(error)
	OnMissed func()
}

// offlineLook is how often a silent association looks whether it may send
// again.
const offlineLook = 2 * time.Second

// replyDelay is how long a symmetric peer waits before it answers a request of
// Autokey, as ntpd does.
const replyDelay = 2 * time.Second

// queueLen is how many packets an association keeps while it works.
const queueLen = 8

// Peer is a symmetric association.
type Peer struct {
	cfg   PeerConfig
	queue chan queued

	offline atomic.Bool

	origin  ntp.Timestamp // transmit timestamp of the other side's last packet
	arrived ntp.Timestamp // when it came
	sent    [2]ownPacket  // our last packets
	heard   bool          // there was time since the last one
	due     time.Time

	mu       sync.Mutex
	schedule *schedule.Schedule
	recent   Recent
	err      error
	counts   Counts
}

// ownPacket is a packet that was sent.
type ownPacket struct {
	transmit ntp.Timestamp // of its header; 0: none, or answered
	at       stamp
	pair     timebase.Pair
}

// queued is a packet on its way to an association.
type queued struct {
	data []byte
	dest netip.Addr
	at   stamp
	pair timebase.Pair // read when it was queued
}

// enqueue queues a packet. The base is read here, next to the arrival.
func enqueue(queue chan<- queued, clock Clock, p Packet) {
	pair := clock.Pair()
	q := queued{append([]byte(nil), p.Data...), p.Destination, stampOf(pair, p.Received, p.Kind), pair}
	select {
	case queue <- q:
	default: // busy, or flooded: a lost packet
	}
}

// NewPeer makes a symmetric association. Its packets come by Deliver, which a
// Hub calls.
func NewPeer(cfg PeerConfig) (*Peer, error) {
	if cfg.Mode == 0 {
		cfg.Mode = ntp.ModeSymmetricActive
	}
	if cfg.Version == 0 {
		cfg.Version = 4
	}
	switch {
	case !cfg.Peer.IsValid() || cfg.Peer.Port() == 0:
		return nil, errors.New("source: no peer address")
	case cfg.Clock == nil || cfg.Port == nil:
		return nil, errors.New("source: no clock or no port")
	case cfg.Auth == nil:
		return nil, errors.New("source: a symmetric association needs authentication")
	case cfg.Mode != ntp.ModeSymmetricActive && cfg.Mode != ntp.ModeSymmetricPassive:
		return nil, fmt.Errorf("source: mode %d is not symmetric", cfg.Mode)
	case cfg.Version > 4:
		return nil, fmt.Errorf("source: version %d", cfg.Version)
	}
	plan, err := schedule.New(cfg.Polling)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	return &Peer{cfg: cfg, queue: make(chan queued, queueLen), schedule: plan}, nil
}

// Deliver hands a packet from the peer's address to the association.
func (p *Peer) Deliver(packet Packet) { enqueue(p.queue, p.cfg.Clock, packet) }

// Status returns the association for display.
func (p *Peer) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Status{Server: p.cfg.Peer, Kind: p.cfg.Auth.Kind(), Poll: p.schedule.Poll(), Reach: p.schedule.Reach(),
		Last: p.recent[0], Recent: p.recent, Err: p.err, Counts: p.counts}
}

// SetOnline lets the association send, which it does from the beginning, or
// makes it silent. Safe for concurrent use.
func (p *Peer) SetOnline(online bool) { p.offline.Store(!online) }

// errGone says that a passive association ended.
var errGone = errors.New("source: the peer is gone")

// Run polls until ctx is done, or, in passive mode, until the other side is
// gone.
func (p *Peer) Run(ctx context.Context) error {
	if p.cfg.Mode == ntp.ModeSymmetricPassive {
		p.due = time.Now().Add(p.schedule.Interval()) // the first packet is there already
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(max(0, time.Until(p.due)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case q := <-p.queue:
			p.receive(q)
		case <-timer.C:
			if p.cfg.Mode == ntp.ModeSymmetricPassive && p.schedule.Unreach() > schedule.Unreachable {
				return errGone
			}
			if r, ok := p.cfg.Auth.(restartable); ok && p.schedule.Unreach() > 0 && p.schedule.Unreach()%(2*schedule.Unreachable) == 0 {
				r.Restart()
			}
			if p.offline.Load() {
				p.due = time.Now().Add(min(p.schedule.Interval(), offlineLook))
				continue
			}
			if err := p.poll(); err != nil {
				p.failed(err)
			}
		}
	}
}

func (p *Peer) failed(err error) {
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	if p.cfg.OnError != nil {
		p.cfg.OnError(err)
	}
}

// poll sends one packet.
func (p *Peer) poll() error {
	begun := p.schedule.Begun()
	err := p.send()
	p.mu.Lock()
	p.schedule.Sent()
	busy := p.schedule.Busy()
	if err == nil {
		p.counts.Sent++
	} else {
		err = explain(err)
	}
	missed := begun && !p.heard
	if p.heard = false; missed {
		p.counts.Missed++
	}
	p.mu.Unlock()
	if missed && p.cfg.OnMissed != nil {
		p.cfg.OnMissed()
	}
	wait := p.pace(busy)
	p.due = time.Now().Add(wait)
	return err
}

// pace returns the time until the next poll.
func (p *Peer) pace(busy bool) time.Duration {
	pace := p.cfg.Pace
	if pace != nil && !busy {
		poll := pace.Poll()
		p.mu.Lock()
		p.schedule.Want(poll)
		p.mu.Unlock()
	}
	p.mu.Lock()
	wait, _ := p.schedule.Wait(rand.Float64())
	shortest, least := p.schedule.Shortest(), p.schedule.Least()
	p.mu.Unlock()
	// Two peers that poll at the same moment would go on so.
	wait = max(wait-rand.N(wait/8+1), min(shortest, wait))
	if pace != nil {
		pace.Asked(least, wait)
	}
	return wait
}

func (p *Peer) send() error {
	p.mu.Lock()
	poll, interval := p.schedule.Poll(), p.schedule.Interval()
	p.mu.Unlock()
	if err := p.cfg.Auth.Prepare(momentOf(p.cfg.Clock), interval); err != nil {
		return err
	}
	h := ntp.Header{Version: p.cfg.Version, Mode: p.cfg.Mode, Poll: max(poll, 0), Origin: p.origin, Receive: p.arrived}
	pair := p.cfg.Clock.Pair()
	now := p.cfg.Clock.Now()
	p.cfg.Clock.State().Fill(&h, now)
	h.Transmit = now
	var packet [maxPacket]byte
	h.Encode(packet[:])
	n, err := p.cfg.Auth.Seal(packet[:])
	if err != nil {
		return err
	}
	p.sent = [2]ownPacket{{now, stampOf(pair, now, StampDaemon), pair}, p.sent[0]}
	return p.cfg.Port.Send(packet[:n], p.cfg.Local, p.cfg.Peer)
}

// receive handles one packet.
func (p *Peer) receive(q queued) {
	sample, j := p.judge(q)
	p.mu.Lock()
	p.counts.Received++
	switch {
	case j.Err == nil, errors.Is(j.Err, ErrUnsynchronised):
		p.schedule.Answered()
	case errors.Is(j.Err, errStep), errors.Is(j.Err, errBogus):
		p.counts.Rejected++
		p.schedule.Answered()
		p.heard = p.heard || errors.Is(j.Err, errStep)
	default:
		p.counts.Refused++
	}
	if sample != nil {
		p.schedule.Reached()
		p.schedule.Sampled(sample.Delay)
		p.heard = true
		p.counts.Good++
		p.err = nil
		p.recent.add(sample)
	}
	p.mu.Unlock()
	if j.Answer {
		if soon := time.Now().Add(min(replyDelay, p.schedule.BurstInterval())); soon.Before(p.due) {
			p.due = soon
		}
	}
	if j.Err != nil {
		p.failed(j.Err)
	}
	if sample != nil && p.cfg.OnSample != nil {
		p.cfg.OnSample(*sample)
	}
}

// judge checks one packet: form, authentication, then what RFC 5905 (section 8)
// calls duplicate and bogus. Only authentic packets change the state.
func (p *Peer) judge(q queued) (*Sample, Judgement) {
	var h ntp.Header
	if len(q.data) < ntp.HeaderLen {
		return nil, Judgement{Err: errPacket}
	}
	h.Decode(q.data)
	if h.Mode != ntp.ModeSymmetricActive && h.Mode != ntp.ModeSymmetricPassive {
		return nil, Judgement{Err: errPacket}
	}
	j := p.cfg.Auth.Open(momentOf(p.cfg.Clock), q.data)
	if j.Err != nil {
		return nil, j
	}
	// A repeated packet must not put wrong timestamps into our next one. A
	// peer whose clock was set back is believed when it was lost.
	if p.origin != 0 && h.Transmit.Sub(p.origin) <= 0 && p.schedule.Unreach() <= schedule.Unreachable {
		return nil, Judgement{Err: ErrOrigin, Answer: j.Answer}
	}
	p.origin, p.arrived = h.Transmit, q.at.timestamp()
	if !j.Usable {
		return nil, j
	}
	// Packets of both sides cross on the way, so that one may answer our last
	// but one. Any other one tells nothing: it does not know ours yet, or
	// answers one that was answered.
	i := slices.IndexFunc(p.sent[:], func(o ownPacket) bool { return o.transmit == h.Origin })
	if h.Origin == 0 || i < 0 {
		return nil, j
	}
	own := p.sent[i]
	clear(p.sent[i:]) // one answer for each of ours, and none for older ones
	if j.Err = usable(&h); j.Err != nil {
		return nil, j
	}
	s, err := p.sample(&h, &own, &q)
	j.Err = err
	return s, j
}

// sample makes a sample of the answer to one of our packets.
func (p *Peer) sample(h *ntp.Header, own *ownPacket, q *queued) (*Sample, error) {
	local := p.cfg.Clock.State().Precision
	times := exchanged{t1: own.at, t2: h.Receive, t3: h.Transmit, t4: q.at}
	if err := unstepped(own.pair, q.pair); err != nil {
		return nil, err
	}
	if err := times.check(local, h.Precision); err != nil {
		return nil, err
	}
	s := measure(&times, h, local)
	s.Uptime, s.Kind, s.Local = p.cfg.Clock.Uptime(), p.cfg.Auth.Kind(), p.cfg.Local
	s.Loop = looped(h, p.cfg.Local, p.cfg.Self)
	return &s, nil
}
