package follow

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/follow/statlog"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/bridge/source/refclock"
)

// Source is a source as the discipline knows it. It outlives a reload of the
// configuration that leaves the source as it is. A nil one is not followed.
type Source struct {
	steering    *Steering
	key         string
	name        string // for the log
	id          discipline.SourceID
	users       int
	provisional atomic.Bool // the last sample was
	told        told        // to the files of measurements and to ntpq
	refclock    bool
}

// parked is how long a source that is not used any more stays known: a reload
// takes it up again.
const parked = 30 * time.Second

// Add makes a source known to the discipline, or takes up one that is known
// already. name tells sources with the same address apart. events are those of
// the association, which begins, or begins anew.
func (s *Steering) Add(name string, cfg discipline.SourceConfig, info clock.SourceInfo, events *ntp.PeerEvents) (*Source, error) {
	if s == nil {
		return nil, nil
	}
	key := fmt.Sprintf("%s %+v %+v", name, cfg, info)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.sources[key]; f != nil {
		f.users++
		return f, nil
	}
	id, err := s.driver.AddSource(cfg, info)
	if err != nil {
		return nil, err
	}
	f := &Source{steering: s, key: key, name: info.Name, id: id, users: 1, refclock: info.Refclock != "", told: told{events: events}}
	if info.Address.IsValid() && info.Address.String() != info.Name {
		f.name = info.Name + " " + info.Address.String()
	}
	s.sources[key] = f
	began := ntp.PeerMobilized
	if _, before := events.Last(); before > 0 {
		began = ntp.PeerRestarted
	}
	f.told.event(f.steering.stats.Load(), f.name, began)
	return f, nil
}

// Leave ends the use of a source. now says that it is not to be followed for
// another moment; else a reload may take it up again.
func (f *Source) Leave(now bool) {
	if f == nil {
		return
	}
	s := f.steering
	s.mu.Lock()
	f.users--
	s.mu.Unlock()
	if now {
		f.forget()
		return
	}
	time.AfterFunc(parked, f.forget)
}

func (f *Source) forget() {
	s := f.steering
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.users == 0 && s.sources[f.key] == f {
		delete(s.sources, f.key)
		f.told.write(f.steering.stats.Load(), f.name, ntp.PeerDemobilized)
		s.driver.RemoveSource(f.id)
	}
}

// Expected stands for a source whose address is not known yet. Without it the
// first one to answer would be followed alone while the names of the others are
// looked up, and a source that must agree, or be authentic, would not be missed
// as long as it has no keys. A nil one stands for nothing.
type Expected struct {
	steering *Steering
	id       atomic.Uint32
}

// Expect tells the discipline of a source before anybody is asked.
func (s *Steering) Expect(cfg discipline.SourceConfig, info clock.SourceInfo) (*Expected, error) {
	if s == nil {
		return nil, nil
	}
	id, err := s.driver.AddSource(cfg, info)
	if err != nil {
		return nil, err
	}
	e := &Expected{steering: s}
	e.id.Store(uint32(id))
	return e, nil
}

// Dismiss ends that something stands for a source.
func (e *Expected) Dismiss() {
	if e == nil {
		return
	}
	if id := e.id.Swap(0); id != 0 {
		e.steering.driver.RemoveSource(discipline.SourceID(id))
	}
}

// Sample takes in a measurement. It is provisional if it rests on something
// that no right clock has judged.
func (f *Source) Sample(x source.Sample, provisional bool) {
	if f == nil {
		return
	}
	f.provisional.Store(provisional)
	f.steering.trust()
	pivot, h := f.steering.pivot(), &x.Header
	used := f.use(discipline.Sample{
		Source: f.id, T1: discipline.Instant(x.Raw1), T4: discipline.Instant(x.Raw4),
		T2: x.T2.Time(pivot).UnixNano(), T3: x.T3.Time(pivot).UnixNano(),
		Leap: h.Leap, Stratum: h.Stratum, Loop: x.Loop, Smeared: smearing(h),
		RootDelay: h.RootDelay.Duration().Seconds(), RootDispersion: h.RootDispersion.Duration().Seconds(),
	})
	if f.told.changed(&f.told.interleaved, x.Interleaved) && x.Interleaved {
		f.Event(ntp.PeerInterleaved)
	}
	f.changes()
	f.record(func() *statlog.Measurement { return exchangeRecord(&x, pivot) }, used)
}

// Reading takes in a measurement of a reference clock. An exchange without
// delay stands for it.
func (f *Source) Reading(s *refclock.Sample, delay time.Duration) {
	if f == nil {
		return
	}
	at := s.Reference()
	used := f.use(discipline.Sample{Source: f.id, T1: discipline.Instant(s.Raw), T4: discipline.Instant(s.Raw), T2: at, T3: at,
		Leap: s.Leap, Stratum: s.Stratum, RootDelay: delay.Seconds(), RootDispersion: s.Dispersion.Seconds()})
	f.faults(false)
	f.changes()
	f.record(func() *statlog.Measurement { return readingRecord(s, delay) }, used)
}

// record writes a measurement, if any are written.
func (f *Source) record(measured func() *statlog.Measurement, used bool) {
	stats := f.steering.stats.Load()
	if stats == nil {
		return
	}
	r, ok := f.Report()
	if !ok {
		return
	}
	now := followedNow{source: r, clock: f.steering.driver.Tracking(), sources: f.steering.selected(), accepted: used}
	now.first = r.State == discipline.Selected && now.clock.Source == f.id
	record(stats, measured(), &now, &f.told)
}

// changes notes whether the source is reached, and which one is followed first
// now.
func (f *Source) changes() {
	if f == nil {
		return
	}
	if r, ok := f.Report(); ok {
		f.told.reaches(f.steering.stats.Load(), f.name, r.Reach != 0)
	}
	f.steering.noteFirst()
}

// noteFirst notes which source the clock follows first.
func (s *Steering) noteFirst() {
	id, led := s.driver.Tracking().Source, false
	s.mu.Lock()
	for _, f := range s.sources {
		first := f.id == id
		if first {
			r, ok := f.Report()
			first = ok && r.State == discipline.Selected
		}
		f.told.leads(s.stats.Load(), f.name, first)
		led = led || first
	}
	lost := s.led && !led
	s.led = led
	s.mu.Unlock()
	if lost && s.noPeer != nil {
		s.noPeer()
	}
}

// faults notes whether a reference clock says nothing, or nothing good.
func (f *Source) faults(is bool) {
	if f.refclock && f.told.changed(&f.told.fault, is) {
		f.Event(ntp.PeerClockEvent)
	}
}

// Event notes an event of the association.
func (f *Source) Event(e ntp.PeerEvent) {
	if f != nil {
		f.told.event(f.steering.stats.Load(), f.name, e)
	}
}

// Events returns the last event and the count, as ntpq shows them.
func (f *Source) Events() (ntp.PeerEvent, uint8) { return f.told.events.Last() }

// use reports whether a measurement was accepted.
func (f *Source) use(x discipline.Sample) bool {
	if verdict := f.steering.driver.Sample(x); verdict != discipline.Accepted {
		f.steering.log.Debug("measurement not used", "source", f.name, "reason", verdict)
		return false
	}
	return true
}

// smearing recognises ntpd's reference identifier of a server that smears a
// leap second at the moment: 254.x.y.z, with the offset in the last three
// octets.
func smearing(h *ntp.Header) bool { return h.ReferenceID>>24 == 254 && h.Stratum > 1 }

// Missed says that a request brought no time. err is what the source said of
// itself at the last.
func (f *Source) Missed(err error) {
	switch {
	case f == nil:
	case errors.Is(err, source.ErrUnsynchronised):
		f.steering.driver.Unsynchronised(f.id)
	default:
		f.steering.driver.Missed(f.id)
	}
	if f != nil {
		f.faults(true)
		f.changes()
	}
}

// Kiss obeys a verified kiss-o'-death.
func (f *Source) Kiss(k *source.KissError) {
	switch {
	case f == nil:
	case k.Code == "RATE": // the association's schedule obeys
		f.Event(ntp.PeerRateKiss)
		f.steering.log.Warn("source asks to be asked less often (kiss code RATE)", "source", f.name)
	default:
		f.Event(ntp.PeerDenied)
		f.steering.driver.Denied(f.id)
	}
}

// Pace returns who chooses the poll interval, nil if it is the association's
// own matter.
func (f *Source) Pace() source.Pacer {
	if f == nil {
		return nil
	}
	return pacer{f}
}

// pacer implements source.Pacer.
type pacer struct{ *Source }

// Poll implements source.Pacer.
func (p pacer) Poll() int8 { return p.steering.driver.Poll(p.id) }

// Asked implements source.Pacer.
func (p pacer) Asked(least int8, next time.Duration) { p.steering.driver.Asked(p.id, least, next) }

// Report returns what the discipline thinks of the source; false: nothing.
func (f *Source) Report() (clock.SourceReport, bool) {
	if f == nil {
		return clock.SourceReport{}, false
	}
	return f.steering.driver.Source(f.id)
}
