package source

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"ntsbridge/bridge/clock/nic"
	"ntsbridge/bridge/clock/schedule"
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
	// Pace chooses the poll exponent within the limits of Polling. Default: the
	// least one while the server answers.
	Pace Pacer
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
	// Serves reports whether this process answers on an address of this host:
	// then the server is ourselves. May be nil.
	Serves func(netip.AddrPort) bool

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

// Polling says how often an association polls. Its zero value is each second.
type Polling = schedule.Config

// Pacer chooses how often an association polls, and hears what became of it.
type Pacer interface {
	// Poll returns the poll exponent that suits, log2 seconds. It is asked when
	// what the last request brought is known.
	Poll() int8
	// Asked is told when the next request comes, and the least exponent that
	// the server allows.
	Asked(least int8, next time.Duration)
}

// addressed is an authenticator that must know the addresses.
type addressed interface {
	SetAddresses(local, remote netip.Addr) error
}

// restartable is an authenticator that can begin anew.
type restartable interface{ Restart() }

// Client polls a server.
type Client struct {
	cfg      ClientConfig
	socket   *socket // nil: none
	keep     bool    // the socket lasts for longer than a request
	itself   bool    // the server is this process
	hardware map[string]*nic.Clock
	hardErr  string // why there are no hardware timestamps, as told
	buf      []byte

	request  *request // the last one
	answered *request // the one before it, if it can be referred to
	old      [2]ntp.Timestamp
	due      time.Time // of the next poll
	hurry    chan struct{}
	offline  atomic.Bool
	delays   delayTest

	mu       sync.Mutex
	schedule *schedule.Schedule
	local    netip.Addr // of the socket
	recent   Recent
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
	Local  netip.Addr // this side, invalid: not known
	Kind   ntp.Kind
	Poll   int8  // log2 seconds
	Reach  uint8 // shift register: bit 0 is the last poll
	Last   *Sample
	Recent Recent // Last and those before it
	Err    error  // what went wrong since the last sample
	Counts
}

// Recent are the last samples, newest first, as the clock filter of RFC 5905
// keeps them; nil: not so many yet.
type Recent [8]*Sample

func (r *Recent) add(s *Sample) {
	copy(r[1:], r[:])
	r[0] = s
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
	if err := cfg.checkTests(); err != nil {
		return nil, err
	}
	plan, err := schedule.New(cfg.Polling)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	cfg.Server = netip.AddrPortFrom(cfg.Server.Addr().Unmap(), cfg.Server.Port())
	c := &Client{hurry: make(chan struct{}, 1), schedule: plan, cfg: cfg, buf: make([]byte, maxPacket),
		hardware: make(map[string]*nic.Clock)}
	c.delays.limits = cfg.delayLimits()
	_, c.keep = cfg.Auth.(addressed)
	if c.keep && cfg.Interleaved {
		return nil, errors.New("source: Autokey knows no interleaved mode")
	}
	return c, nil
}

// checkTests checks the options of the tests of samples and fills in their
// defaults.
func (cfg *ClientConfig) checkTests() error {
	if cfg.MaxDelay == 0 {
		cfg.MaxDelay = defaultMaxDelay
	}
	limits := cfg.delayLimits()
	switch {
	case cfg.MinStratum >= ntp.StratumUnsynchronised:
		return fmt.Errorf("source: least stratum %d, must be below %d", cfg.MinStratum, ntp.StratumUnsynchronised)
	case cfg.Presend < 0 || cfg.Presend > schedule.MaxPoll+1:
		return fmt.Errorf("source: presend from poll exponent %d, must be 1 to %d, or 0 for never", cfg.Presend, schedule.MaxPoll)
	}
	return limits.check()
}

func (cfg *ClientConfig) delayLimits() delayLimits {
	return delayLimits{cfg.MaxDelay, cfg.MaxDelayRatio, cfg.MaxDelayDevRatio}
}

// Hurry makes the next request go out at once, or 2 s after the last one: the
// clock, or the time since the last answer, is in doubt. Safe for concurrent
// use.
func (c *Client) Hurry() {
	select {
	case c.hurry <- struct{}{}:
	default: // it is in a hurry already
	}
}

// SetOnline lets the client ask, which it does from the beginning, or makes it
// silent (chronyc's online and offline). Safe for concurrent use.
func (c *Client) SetOnline(online bool) {
	if c.offline.Swap(!online) == online && online {
		c.Hurry()
	}
}

// Burst asks up to most times 2 s apart, until there are good samples
// (chronyc's burst). It fails while the server wants to be asked less often.
// Safe for concurrent use.
func (c *Client) Burst(good, most int) error {
	c.mu.Lock()
	ok := c.schedule.Burst(most, good)
	c.mu.Unlock()
	if !ok {
		return errors.New("the server has asked to be asked less often (kiss code RATE)")
	}
	c.Hurry()
	return nil
}

// Status returns the association for display.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Status{Server: c.cfg.Server, Local: c.local, Kind: c.cfg.Auth.Kind(), Poll: c.schedule.Poll(), Reach: c.schedule.Reach(),
		Last: c.recent[0], Recent: c.recent, Err: c.err, Counts: c.counts}
}
