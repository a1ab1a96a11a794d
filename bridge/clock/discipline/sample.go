package discipline

import (
	"math"

	"ntsbridge/bridge/ntp"
)

// Instant is a reading of the free-running base, ns since any beginning.
type Instant int64

// since returns the seconds from u to t.
func (t Instant) since(u Instant) float64 { return float64(t-u) / 1e9 }

// Sample is an exchange with a source, of a packet that was matched to its
// request and verified. For a reference clock T1 equals T4 and T2 equals T3.
type Sample struct {
	Source         SourceID
	T1, T4         Instant // sending and arrival
	T2, T3         int64   // arrival and sending at the source, Unix time, ns
	Leap           ntp.Leap
	Stratum        uint8
	RootDelay      float64 // s
	RootDispersion float64 // s
	Loop           bool    // its reference identifier is ours
	Smeared        bool    // its time is smeared around leap seconds
}

// Verdict is what became of a sample.
type Verdict uint8

// The verdicts.
const (
	Accepted        Verdict = iota
	UnknownSource           // nobody added it, or it told us to go away
	Disordered              // timestamps that no exchange can have, or an old one
	NegativeDelay           // beyond what the clocks' precision allows
	NotSynchronised         // leap 3, stratum 0 but of a reference clock, or so high that we could not serve it
	TooDistant              // root delay and dispersion above the limit
	Looped                  // the source follows us
	AcrossLeap              // around a leap second
)

var verdictNames = [...]string{"accepted", "unknown source", "disordered timestamps", "negative delay", "not synchronised",
	"too distant", "looped", "across a leap second"}

// String returns the verdict in words.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "verdict?"
}

// maxTurnaround bounds the time that a request spends at a server, and
// maxExchange an exchange, s: later answers have no value.
const (
	maxTurnaround = 10.0
	maxExchange   = 16.0
	// maxTime bounds Unix time, ns: the years 1843 to 2096. Differences of
	// such times are no overflow.
	maxTime = int64(4e18)
)

// examine checks what needs no history but the last sample of the source.
// frequency is what the oscillator's can be at most, s/s.
func (s *Sample) examine(last Instant, c *Config, noise, frequency float64) Verdict {
	round, turn := s.T4.since(s.T1), float64(s.T3-s.T2)/1e9
	distance := s.RootDelay/2 + s.RootDispersion
	switch {
	case s.T2 < -maxTime || s.T3 > maxTime || s.T1 <= last || s.T4 < s.T1 || s.T3 < s.T2 || round > maxExchange || turn > maxTurnaround:
		return Disordered
	case round-turn < -(8*noise + frequency*round):
		return NegativeDelay
	case s.Leap == ntp.LeapUnknown || s.Stratum == 0 && s.T1 != s.T4 || s.Stratum >= ntp.StratumUnsynchronised-1:
		return NotSynchronised
	case s.Loop:
		return Looped
	case math.IsNaN(distance) || s.RootDelay < 0 || s.RootDispersion < 0 || distance+max(round-turn, 0)/2 > c.MaxDistance:
		return TooDistant
	}
	return Accepted
}
