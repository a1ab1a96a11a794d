package observe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
)

// Config says whom to ask. Leave out what belongs to this program itself.
type Config struct {
	ChronySocket string           // path of chronyd's Unix socket, empty: none
	Chrony       []netip.AddrPort // chronyd's command ports
	NTPD         []netip.AddrPort // ntpd's or ntpsec's ports
	Interval     time.Duration    // between questions, 16 s to 64 s are sensible; 0: 16 s
	Timeout      time.Duration    // for each answer, 0: 1 s
	// OnState is called after each change of what Current returns, from Run: with
	// nil when the last state grew too old.
	OnState func(*State)
	// OnError is called when nobody answers, once until somebody does.
	OnError func(error)
}

// DefaultConfig asks whoever may be on this host, at the usual places.
func DefaultConfig() Config {
	loopback := func(port uint16) []netip.AddrPort {
		return []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port),
			netip.AddrPortFrom(netip.IPv6Loopback(), port)}
	}
	return Config{ChronySocket: "/run/chrony/chronyd.sock", Chrony: loopback(323), NTPD: loopback(123)}
}

// validPolls is for how many intervals a state is believed.
const validPolls = 3

// Observer asks again and again. Its methods are safe for concurrent use.
type Observer struct {
	cfg  Config
	last atomic.Pointer[State]
}

// New returns an observer that asks when Run or Ask is called.
func New(cfg Config) *Observer {
	if cfg.Interval <= 0 {
		cfg.Interval = 16 * time.Second
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Second
	}
	return &Observer{cfg: cfg}
}

// Current returns the last state that a program told, nil if there is none or
// it is older than three intervals.
func (o *Observer) Current(now time.Time) *State {
	s := o.last.Load()
	if s == nil || now.Sub(s.At) > validPolls*o.cfg.Interval+o.cfg.Timeout {
		return nil
	}
	return s
}

// Run asks at once and then every interval until ctx ends.
func (o *Observer) Run(ctx context.Context) {
	ticker := time.NewTicker(o.cfg.Interval)
	defer ticker.Stop()
	known, failed := false, false
	for {
		s, err := o.Ask(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			known, failed = true, false
			o.tell(s)
		case !failed:
			failed = true
			if o.cfg.OnError != nil {
				o.cfg.OnError(err)
			}
		}
		if known && o.Current(time.Now()) == nil {
			known = false
			o.tell(nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (o *Observer) tell(s *State) {
	if o.cfg.OnState != nil {
		o.cfg.OnState(s)
	}
}

// question is one way to ask one program.
type question struct {
	what string
	ask  func(deadline time.Time) (*State, error)
}

func (o *Observer) questions() (all []question) {
	if path := o.cfg.ChronySocket; path != "" {
		all = append(all, question{"chronyd at " + path, func(d time.Time) (*State, error) { return askChronySocket(path, d) }})
	}
	for _, at := range o.cfg.Chrony {
		all = append(all, question{"chronyd at " + at.String(), func(d time.Time) (*State, error) { return askChronyUDP(at, d) }})
	}
	for _, at := range o.cfg.NTPD {
		all = append(all, question{"ntpd at " + at.String(), func(d time.Time) (*State, error) { return askNTPD(at, d) }})
	}
	return all
}

// Ask asks everybody in turn until one says that its clock is synchronised, and
// returns that state, else the first that came. The error tells why nobody
// answered.
func (o *Observer) Ask(ctx context.Context) (*State, error) {
	var first *State
	var problems []error
	for _, q := range o.questions() {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		deadline := time.Now().Add(o.cfg.Timeout)
		if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
			deadline = d
		}
		s, err := q.ask(deadline)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", q.what, err))
			continue
		}
		s.At = time.Now()
		if s.Synchronised() {
			first = s
			break
		}
		if first == nil {
			first = s
		}
	}
	if first == nil {
		return nil, fmt.Errorf("no program tells what it makes of this host's clock; the kernel's state is what is left: "+
			"%w", errors.Join(problems...))
	}
	o.last.Store(first)
	return first, nil
}
