package source

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// Moment is when something happens, by the clocks of the host.
type Moment = autokey.Moment

// Clock tells an association the time and what the host serves.
type Clock interface {
	// Now reads the wall clock.
	Now() ntp.Timestamp
	// Uptime reads a clock that nobody sets.
	Uptime() time.Duration
	// Pair reads the wall clock beside the free-running base.
	Pair() timebase.Pair
	// State is the clock as it is served: whether it is synchronised, and what
	// packets of symmetric and broadcast associations say.
	State() *ntp.ClockState
}

func momentOf(c Clock) Moment {
	return Moment{Time: c.Now(), Uptime: c.Uptime(), Synchronised: c.State().Synchronised()}
}

// Sample is one measurement.
//
// Its four timestamps are those of one exchange (RFC 5905, section 8), in
// interleaved mode of the one before. Offset and Delay follow from them alone.
// A broadcast has no exchange: T2 and T3 are its transmit
// timestamp, T4 is its arrival, and T1 is T4 less the round trip that an
// earlier exchange found, so that the same formulas give the offset and the
// delay that were measured.
type Sample struct {
	At     ntp.Timestamp // wall clock at reception: T4
	Uptime time.Duration // the same moment by the clock that nobody sets

	// T1 and T4 are when the request was sent and the answer came, by the
	// system clock; T2 and T3 when they came to and left the server, by its
	// clock.
	T1, T2, T3, T4 ntp.Timestamp
	// Raw1 and Raw4 are T1 and T4 on CLOCK_MONOTONIC_RAW, ns, read beside the
	// system clock at those moments: no step of it lies between them.
	Raw1, Raw4 int64

	Local       netip.Addr // that the answer came to; invalid: not known
	TX, RX      StampKind  // who took T1 and T4
	Interleaved bool       // T3 came with the answer to the next request
	Loop        bool       // the server follows this host

	Offset     time.Duration // what to add to the local clock
	Delay      time.Duration // round trip without the server's part, but at least the precision
	Dispersion time.Duration // bound of the error of reading both clocks
	Header     ntp.Header    // of the server's packet
	Kind       ntp.Kind      // how it was authenticated
	Broadcast  bool          // Offset rests on the delay of an earlier exchange
}

// RootDistance returns the bound of the server's error at the sample, as seen
// from the local clock (RFC 5905, section 11.2).
func (s *Sample) RootDistance() time.Duration {
	return (s.Delay+s.Header.RootDelay.Duration())/2 + s.Header.RootDispersion.Duration() + s.Dispersion
}

// drift is the frequency tolerance, s/s (RFC 5905, PHI).
const drift = 15e-6

// maxRootDistance is the largest root distance of a server that is taken for
// synchronised (RFC 5905, MAXDISP).
const maxRootDistance = 16 * time.Second

// Errors of received packets, one for each class that a caller treats
// differently.
var (
	// ErrOrigin says that a packet is no answer to our last one: late,
	// repeated or forged.
	ErrOrigin = errors.New("not an answer to the last request")
	// errPacket says that a packet cannot be an answer.
	errPacket = errors.New("not an NTP answer")
	// ErrNotAuthentic says that a packet does not authenticate.
	ErrNotAuthentic = errors.New("not authentic")
	// ErrCryptoNAK says that the other side refuses our authentication: it
	// does not know the key, or has another one.
	ErrCryptoNAK = errors.New("crypto-NAK: the other side does not know the key, or has another one under its number")
	// ErrUnsynchronised says that the other side has no time.
	ErrUnsynchronised = errors.New("the other side is not synchronised")
	// ErrTimeout says that no answer came.
	ErrTimeout = errors.New("no answer")
	// errBogus says that an authentic answer has timestamps that no exchange
	// can have.
	errBogus = errors.New("timestamps that cannot be true")
	// errDelay says that an answer was under way for too long to be measured.
	errDelay = errors.New("the round trip took too long")
	// errStep says that the system clock was set during an exchange.
	errStep = errors.New("the system clock was set during the exchange")
)

// KissError is a kiss-o'-death packet (RFC 5905, section 7.4).
type KissError struct {
	Code string // four letters
	Poll int8   // log2 seconds, of the packet
}

// Error implements error.
func (e *KissError) Error() string { return fmt.Sprintf("kiss-o'-death %s", e.Code) }

// kissOf returns the kiss code of a header with stratum 0; obey says that it is
// one that tells the client what to do (the others say why there is no time).
func kissOf(h *ntp.Header) (code string, obey bool) {
	b := []byte{byte(h.ReferenceID >> 24), byte(h.ReferenceID >> 16), byte(h.ReferenceID >> 8), byte(h.ReferenceID)}
	for _, c := range b {
		if c < 'A' || c > 'Z' {
			return "", false
		}
	}
	switch code = string(b); code {
	case "RATE", "DENY", "RSTR":
		return code, true
	}
	return code, false
}

// usable reports whether a header has time to be believed.
func usable(h *ntp.Header) error {
	if h.Stratum == 0 {
		switch code, obey := kissOf(h); {
		case obey:
			return &KissError{code, h.Poll}
		case code != "":
			return fmt.Errorf("%w (%s)", ErrUnsynchronised, code)
		}
	}
	switch {
	case h.Leap == ntp.LeapUnknown, h.Stratum == 0, h.Stratum >= ntp.StratumUnsynchronised:
		return ErrUnsynchronised
	case h.RootDelay.Duration()/2+h.RootDispersion.Duration() >= maxRootDistance:
		return fmt.Errorf("%w: its root distance is %v", ErrUnsynchronised, h.RootDelay.Duration()/2+h.RootDispersion.Duration())
	case h.Transmit == 0, h.Receive == 0 && h.Mode != ntp.ModeBroadcast:
		return fmt.Errorf("%w: a timestamp is missing", errPacket)
	}
	return nil
}

// exchanged are the four timestamps of an exchange.
type exchanged struct {
	t1, t4 stamp
	t2, t3 ntp.Timestamp
}

// offset returns what to add to the local clock.
func (e *exchanged) offset() time.Duration {
	return e.t2.Sub(e.t1.timestamp())/2 + e.t3.Sub(e.t4.timestamp())/2
}

// turnaround returns how long the server took.
func (e *exchanged) turnaround() time.Duration { return e.t3.Sub(e.t2) }

// delay returns the round trip without the server's part, which errors of the
// clocks can make negative.
func (e *exchanged) delay() time.Duration {
	return e.t4.timestamp().Sub(e.t1.timestamp()) - e.turnaround()
}

// check returns an error if the timestamps cannot be those of one exchange:
// beyond the clocks' precisions (log2 seconds) and rates nothing is before
// what caused it.
func (e *exchanged) check(local, remote int8) error {
	fuzz := power2(local) + power2(remote)
	turn := e.turnaround()
	switch {
	case turn < -fuzz:
		return fmt.Errorf("%w: the answer left %v before the request came", errBogus, -turn)
	case e.delay() < -fuzz-time.Duration(slewLimit*float64(max(turn, 0))):
		return fmt.Errorf("%w: the delay is %v", errBogus, e.delay())
	}
	return nil
}

// measure makes a sample of an exchange. precision is that of the local
// clock, log2 seconds.
func measure(e *exchanged, h *ntp.Header, precision int8) Sample {
	resolution := power2(precision)
	t1, t4 := e.t1.timestamp(), e.t4.timestamp()
	return Sample{
		At: t4, T1: t1, T2: e.t2, T3: e.t3, T4: t4, Raw1: e.t1.raw, Raw4: e.t4.raw, TX: e.t1.kind, RX: e.t4.kind,
		Offset:     e.offset(),
		Delay:      max(e.delay(), resolution),
		Dispersion: resolution + power2(h.Precision) + time.Duration(drift*float64(max(t4.Sub(t1), 0))),
		Header:     *h,
	}
}

// power2 returns 2^n seconds for n of -30 to 0, which it is cut to.
func power2(n int8) time.Duration {
	return time.Duration(math.Ldexp(float64(time.Second), int(min(max(n, -30), 0))))
}
