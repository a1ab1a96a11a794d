package interop

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"time"

	"ntsbridge/bridge/ntp"
)

// Served is the time that a server gave to a client, as the client sees it.
type Served struct {
	At       time.Time // of the answer, by the machine's clock
	Header   ntp.Header
	Ahead    time.Duration // by which the server's clock is ahead of the machine's
	Delay    time.Duration // of the exchange: Ahead is uncertain by half of it
	Distance time.Duration // the bound of its error that the server claims
}

// Synchronised reports whether the server calls itself so.
func (s *Served) Synchronised() bool {
	return s.Header.Leap != ntp.LeapUnknown && s.Header.Stratum != 0 && s.Header.Stratum < ntp.StratumUnsynchronised
}

// askTime asks a server for the time.
func askTime(from *Host, to netip.Addr) (*Served, error) {
	sent := time.Now()
	q := request()
	answer, err := ask(from, to, q)
	if err != nil {
		return nil, err
	}
	s := &Served{At: time.Now()}
	if len(answer) < ntp.HeaderLen {
		return nil, fmt.Errorf("answer of %d octets", len(answer))
	}
	s.Header.Decode(answer)
	h := &s.Header
	t1, t4 := ntp.TimestampFromTime(sent), ntp.TimestampFromTime(s.At)
	s.Ahead = h.Receive.Sub(t1)/2 + h.Transmit.Sub(t4)/2
	s.Delay = t4.Sub(t1) - h.Transmit.Sub(h.Receive)
	s.Distance = h.RootDelay.Duration()/2 + h.RootDispersion.Duration()
	return s, nil
}

// witness watches, from another host, a daemon that follows sources and sets
// no clock. All hosts share the machine's clock, which is right: what is served
// as synchronised must say so within its own bound, and what the daemon
// believes of the clock must be that it is right, within the same bound.
type witness struct {
	stop chan struct{}
	done sync.WaitGroup

	mu     sync.Mutex
	wrong  []string
	served []Served
}

// watch begins to watch.
func (f *follower) watch(from *Host) *witness {
	w := &witness{stop: make(chan struct{})}
	w.done.Go(func() {
		w.every(100*time.Millisecond, func() { w.look(from, f.Host.IPv4) })
	})
	w.done.Go(func() {
		w.every(time.Second, func() { w.believe(f) })
	})
	return w
}

func (w *witness) every(interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
			do()
		}
	}
}

// look asks for the time as any client.
func (w *witness) look(from *Host, to netip.Addr) {
	s, err := askTime(from, to)
	if err != nil {
		return // a daemon that stands still does not answer
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.served = append(w.served, *s)
	if s.Synchronised() && s.Ahead.Abs() > s.Distance+s.Delay/2 {
		w.wrong = append(w.wrong, fmt.Sprintf("served time is wrong by %v, root distance %v: %+v", s.Ahead, s.Distance, s.Header))
	}
}

// localClockID is tracking's reference identifier of a clock that follows
// nothing but itself.
const localClockID = "7F7F0101"

// believe asks the daemon what it thinks of the clock. The bound that it serves
// has its own belief in it, since nobody corrects the clock.
func (w *witness) believe(f *follower) {
	var k tracking
	if err := f.ask(&k, "tracking"); err != nil || k.Leap == int(ntp.LeapUnknown) || k.ReferenceID == localClockID {
		return
	}
	if math.Abs(k.SystemOffset) > k.distance() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.wrong = append(w.wrong, fmt.Sprintf("the clock is right, and tracking says it is off by %v s with a root distance of %v s",
			k.SystemOffset, k.distance()))
	}
}

// last returns what was served last.
func (w *witness) last() (s Served, count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.served); n > 0 {
		s = w.served[n-1]
	}
	return s, len(w.served)
}

// all returns all that was served, and that was wrong.
func (w *witness) all() (served []Served, wrong []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.served, w.wrong
}

// serves is the condition that a client is served with this leap indicator and
// stratum, now.
func (w *witness) serves(leap ntp.Leap, stratum uint8) Condition {
	return Condition{fmt.Sprintf("leap %d and stratum %d served", leap, stratum), func() error {
		s, _ := w.last()
		if s.Header.Leap != leap || s.Header.Stratum != stratum || time.Since(s.At) > time.Second {
			return fmt.Errorf("%v ago: %+v", time.Since(s.At).Round(time.Millisecond), s.Header)
		}
		return nil
	}}
}

// end ends the watch and fails the test if anything was wrong.
func (w *witness) end(f *follower) {
	f.Host.t.Helper()
	close(w.stop)
	w.done.Wait()
	var most, worst time.Duration
	for _, s := range w.served {
		if s.Synchronised() {
			most, worst = max(most, s.Distance), max(worst, s.Ahead.Abs())
		}
	}
	f.Host.t.Logf("%s: asked %d times, error at most %v, root distance at most %v", f.Host.Name, len(w.served), worst, most)
	if len(w.served) == 0 {
		f.Host.t.Errorf("%s: nobody answered", f.Host.Name)
	}
	if len(w.wrong) > 0 {
		const shown = 5
		f.Host.t.Errorf("%s: %d times:\n%s", f.Host.Name, len(w.wrong), strings.Join(w.wrong[:min(shown, len(w.wrong))], "\n"))
	}
}
