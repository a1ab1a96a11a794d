package sim

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Streams of random numbers: independent of each other, so that two clients
// under one seed meet as equal a world as can be.
const (
	streamWander = 1
	streamPolls  = 2
	streamStamps = 3
	streamRepeat = 4
	streamTardy  = 5
	streamUp     = 100
	streamDown   = 200
)

func stream(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose*7919+13)) }

// patience is how long a client waits for an answer, as a daemon's socket
// layer would.
const patience = 2 * second

// flight is an answer under way, or the knowledge that none will come.
type flight struct {
	at       int64
	lost     bool
	stamped  bool // T4 is taken: only the handing over is late
	kiss     Kiss
	exchange Exchange
}

// world is a run.
type world struct {
	scenario *Scenario
	client   Client
	clock    *clock
	up, down []direction
	polls    *rand.Rand
	stamps   *rand.Rand
	repeats  *rand.Rand
	tardy    *rand.Rand
	next     []int64 // when each source is asked next
	flights  []flight
	second   int64 // start of the next second
	events   []Event
	stalled  int64 // the daemon does not run before
	record   Record
}

// Run lets the client live through the scenario.
func Run(s *Scenario, client Client, seed uint64) *Record {
	w := &world{
		scenario: s, client: client, events: s.Events,
		clock: newClock(s.Oscillator, s.Offset, stream(seed, streamWander)),
		polls: stream(seed, streamPolls), stamps: stream(seed, streamStamps), repeats: stream(seed, streamRepeat),
		tardy:  stream(seed, streamTardy),
		second: second,
	}
	w.record.Error = make([]float64, 0, s.Length+1)
	w.record.Rate = make([]float64, 0, s.Length+1)
	for i, server := range s.Servers {
		w.up = append(w.up, direction{Path: server.Up, random: stream(seed, streamUp+uint64(i))})
		w.down = append(w.down, direction{Path: server.Down, random: stream(seed, streamDown+uint64(i))})
		w.next = append(w.next, int64((0.2+0.5*w.polls.Float64())*1e9))
	}
	for i, absent := range s.Absent {
		if absent {
			w.next[i] = math.MaxInt64
		}
	}
	w.measure()
	for end := int64(s.Length) * second; w.step(end); {
	}
	return &w.record
}

// step does what happens next, and returns false at the end.
func (w *world) step(end int64) bool {
	at, source, landing := w.second, -1, -1
	for i, t := range w.next {
		if t < at {
			at, source = t, i
		}
	}
	for i := range w.flights {
		if t := w.flights[i].at; t < at {
			at, source, landing = t, -1, i
		}
	}
	if at > end {
		return false
	}
	w.clock.advance(at)
	switch {
	case landing >= 0:
		w.land(landing)
	case source >= 0:
		w.send(source)
	default:
		w.tick()
	}
	return true
}

// tick is the start of a second.
func (w *world) tick() {
	w.clock.newSecond()
	w.second += second
	w.happen()
	w.measure()
	if w.clock.now < w.stalled {
		return
	}
	w.obey(w.client.Tick(w.reading()))
}

func (w *world) obey(c Command) {
	if math.IsNaN(c.Rate) || math.Abs(c.Rate) > 0.1 {
		w.record.Refused++
		return
	}
	w.clock.rate = c.Rate
	if c.Step != 0 {
		w.clock.system += float64(c.Step) / 1e9
		w.record.Steps = append(w.record.Steps, Step{At: w.clock.now / second, By: float64(c.Step) / 1e9})
	}
}

// happen lets the events of this second happen.
func (w *world) happen() {
	for len(w.events) > 0 && int64(w.events[0].At)*second <= w.clock.now {
		e := w.events[0]
		w.events = w.events[1:]
		switch e.Kind {
		case SetClock:
			w.clock.system += e.Value
		case SetRate:
			w.clock.rate = e.Value
		case StallDaemon:
			w.stalled = w.clock.now + int64(e.Duration)*second
			for i := range w.next {
				w.next[i] = max(w.next[i], w.stalled+1)
			}
		case Suspend:
			w.suspend(e)
			w.client.Suspended(w.clock.readRaw(), float64(e.Duration))
		case Pause:
			w.pause(e)
		case Join:
			w.client.(Adaptable).Join(e.Server)
			w.next[e.Server] = w.clock.now + second/3
		case Leave:
			w.client.(Adaptable).Leave(e.Server)
			w.next[e.Server] = math.MaxInt64
			w.flights = slices.DeleteFunc(w.flights, func(f flight) bool { return f.exchange.Source == e.Server })
		}
	}
}

// suspend lets true time pass while the machine sleeps: what was under way is
// lost, nothing is measured.
func (w *world) suspend(e Event) {
	for range e.Duration {
		w.clock.advance(w.clock.now + second)
		w.clock.newSecond()
		w.clock.raw--
		w.record.Error = append(w.record.Error, math.NaN())
		w.record.Rate = append(w.record.Rate, math.NaN())
	}
	w.clock.system += e.Value
	w.second = w.clock.now + second
	for i := range w.flights {
		w.flights[i].lost = !w.flights[i].stamped
	}
	for i := range w.next {
		w.next[i] = max(w.next[i], w.clock.now+second/2)
	}
}

// pause lets true time pass while both clocks stand still, and nobody tells.
func (w *world) pause(e Event) {
	raw, system := w.clock.raw, w.clock.system
	e.Value = 0
	w.suspend(e)
	w.clock.raw, w.clock.system = raw-float64(e.Duration), system-float64(e.Duration)
}

func (w *world) reading() Reading {
	return Reading{Raw: w.clock.readRaw(), System: w.clock.readSystem(), Rate: w.clock.rate}
}

// measure takes the metrics' samples.
func (w *world) measure() {
	w.record.Error = append(w.record.Error, w.clock.system)
	w.record.Rate = append(w.record.Rate, w.clock.systemRate())
	if c, tells := w.client.(Deviator); tells && w.clock.now/second%8 == 0 {
		w.record.Deviation = append(w.record.Deviation, c.Deviation(w.reading()))
	}
	bound, synchronised := w.client.Distance(w.reading())
	w.record.Synchronised = synchronised
	if !synchronised {
		w.record.Unsynchronised++
		return
	}
	w.record.Bound = bound
	if w.scenario.Lost != nil && w.scenario.Lost(float64(w.clock.now)/1e9) {
		return
	}
	if excess := math.Abs(w.clock.system) / bound; !(excess <= w.record.Excess) {
		w.record.Excess, w.record.ExcessAt = excess, int(w.clock.now/second)
	}
}

// send sends a request and settles its fate. Delays are those of the moment
// of sending, the answer leaves as the request arrives.
func (w *world) send(source int) {
	w.record.Packets++
	random := w.polls.Float64()
	server := &w.scenario.Servers[source]
	t := float64(w.clock.now) / 1e9
	up, ok1 := w.up[source].delay(t)
	down, ok2 := w.down[source].delay(t)
	f := flight{at: w.clock.now + patience, lost: true, exchange: Exchange{Source: source, T1: w.stamp()}}
	if total := int64(math.Round((up + down) * 1e9)); ok1 && ok2 && total < patience {
		arrival := w.clock.now + int64(math.Round(up*1e9))
		o := server.offset(float64(arrival) / 1e9)
		f.exchange.T2 = unixEpoch + arrival + int64(math.Round(o*1e9))
		f.exchange.T3, f.exchange.Status = f.exchange.T2, server.status(t)
		f.at, f.lost = w.clock.now+total, false
		if server.Kiss != nil {
			f.kiss = server.Kiss(t)
		}
	}
	w.flights = append(w.flights, f)
	w.next[source] = w.clock.now + max(second/10, int64(w.client.Interval(source, random)*1e9))
}

// land delivers an answer, or the end of patience.
func (w *world) land(i int) {
	f := w.flights[i]
	source := f.exchange.Source
	server := &w.scenario.Servers[source]
	if repeat := server.Repeat; !f.lost && !f.stamped && repeat > 0 && w.repeats.Float64() < repeat {
		w.flights[i].at += int64(w.repeats.Float64() * 1e8)
	} else {
		w.flights = append(w.flights[:i], w.flights[i+1:]...)
	}
	switch {
	case f.lost:
		w.client.Missed(source, w.clock.readRaw())
		return
	case f.kiss != NoKiss:
		w.client.(Adaptable).Kissed(source, f.kiss, w.clock.readRaw())
		if w.next[source] < math.MaxInt64 {
			w.next[source] = w.clock.now + max(second/10, int64(w.client.Interval(source, 0.5)*1e9))
		}
		return
	case !f.stamped:
		f.exchange.T4 = w.stamp()
	}
	if w.delayed(f, server) {
		return
	}
	w.client.Exchange(f.exchange)
}

// delayed keeps an answer that is handed over later, or once more.
func (w *world) delayed(f flight, server *Server) bool {
	late := !f.stamped && server.Tardy > 0 && w.tardy.Float64() < server.Tardy
	again := server.Stale > 0 && w.tardy.Float64() < server.Stale
	f.stamped = true
	if late {
		f.at = w.clock.now + int64(10e9*w.tardy.Float64())
		w.flights = append(w.flights, f)
		return true
	}
	if again {
		f.at = w.clock.now + int64(300e9*w.tardy.Float64())
		w.flights = append(w.flights, f)
	}
	return false
}

// stamp is the free-running base as the client's timestamps show it.
func (w *world) stamp() int64 {
	t := w.clock.readRaw()
	if w.scenario.StampNoise > 0 {
		t += int64(math.Round(w.scenario.StampNoise * 1e9 * w.stamps.NormFloat64()))
	}
	if g := w.scenario.Granularity; g > 1 {
		t -= t % g
	}
	return t
}
