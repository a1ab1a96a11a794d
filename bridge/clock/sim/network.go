package sim

import (
	"math"
	"math/rand/v2"
)

// Shape is a distribution of the random part of a delay, scaled by
// Path.Jitter.
type Shape uint8

// The shapes. All but Bell have their smallest value at 0.
const (
	Exponential Shape = iota // mean 1
	HalfNormal               // mean 1
	Bell                     // normal, standard deviation 1, 4 above the floor
	LogNormal                // sigma 1, mean 1
	Pareto                   // exponent 2.5
	Queue                    // squared AR(1), 0.9 per packet, mean 1: a queue that outlives polls
)

// Path is one direction between client and server.
type Path struct {
	Base   float64 // least delay, s
	Jitter float64 // scale of the random part, s
	Shape  Shape
	Loss   float64 // probability that a packet is lost
	// Extra is more delay at true time t, s; a negative total loses the
	// packet. It may be nil.
	Extra func(t float64, random *rand.Rand) float64
}

// direction is a path with its state.
type direction struct {
	Path
	random *rand.Rand
	queue  float64
}

// delay returns the delay of a packet sent at t, and false if it is lost.
func (d *direction) delay(t float64) (float64, bool) {
	total := d.Base
	if d.Jitter > 0 {
		total += d.Jitter * d.draw()
	}
	if d.Extra != nil {
		total += d.Extra(t, d.random)
	}
	lost := d.Loss > 0 && d.random.Float64() < d.Loss
	return total, total >= 0 && !lost
}

func (d *direction) draw() float64 {
	switch d.Shape {
	case HalfNormal:
		return math.Abs(d.random.NormFloat64()) * math.Sqrt(math.Pi/2)
	case Bell:
		return max(0, 4+d.random.NormFloat64())
	case LogNormal:
		return math.Exp(d.random.NormFloat64() - 0.5)
	case Pareto:
		return 0.6 * (math.Pow(1-d.random.Float64(), -1/2.5) - 1)
	case Queue:
		d.queue = 0.9*d.queue + math.Sqrt(1-0.81)*d.random.NormFloat64()
		return d.queue * d.queue
	}
	return d.random.ExpFloat64()
}

// Server is a time server with its path.
type Server struct {
	Up, Down Path                    // to the server and back
	Offset   func(t float64) float64 // error of its clock at true time t, s; nil: none
	Status   func(t float64) Status  // what it says of itself; nil: stratum 1
	Repeat   float64                 // probability that an answer arrives twice
	Tardy    float64                 // probability that an answer is handed to the client seconds after it was stamped
	Stale    float64                 // probability that it is handed over once more, up to some minutes later
	Kiss     func(t float64) Kiss    // what it answers instead of the time; nil: nothing
	Role     Role                    // what it is to the client
	Poll     int                     // log2 s, of this one alone; 0: as the scenario's
	MaxPoll  int                     // log2 s, the same; 0: Poll
}

// Role is what is configured of a server.
type Role struct {
	RefClock, Local, Authenticated, Prefer, NoSelect, Trust, Require bool
}

// Status is what a server says of itself.
type Status struct {
	Unsynchronised bool
	Stratum        uint8
	RootDelay      float64 // s
	RootDispersion float64 // s
	Leap           int     // seconds to be inserted at the month's end: -1, 0, 1
	Loop           bool    // it follows the client
	Smeared        bool    // it smears a leap second
}

func (s *Server) offset(t float64) float64 {
	if s.Offset == nil {
		return 0
	}
	return s.Offset(t)
}

func (s *Server) status(t float64) Status {
	if s.Status == nil {
		return Status{Stratum: 1}
	}
	return s.Status(t)
}

// symmetric returns a server with equal exponential jitter both ways.
func symmetric(base, jitter float64) Server {
	p := Path{Base: base, Jitter: jitter}
	return Server{Up: p, Down: p}
}
