package follow

import (
	"math"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/follow/statlog"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/bridge/source/refclock"
	"ntsbridge/bridge/statedir"
)

// This file tells the files of measurements what was measured.

func openStatistics(c *config.Statistics, log hclog.Logger) (*statlog.Log, error) {
	return statlog.Open(statlog.Config{Dir: c.Dir, Files: c.Files, Rotate: c.Rotate, Link: c.Link, Banner: c.Banner,
		OnError: func(err error) {
			log.Error("measurements are not written; what comes meanwhile is lost", "error", err, "remedy", statedir.Remedy(err))
		}})
}

// stampLetters are chronyd's for who took a timestamp.
var stampLetters = map[source.StampKind]byte{source.StampDaemon: 'D', source.StampKernel: 'K'}

func stampLetter(k source.StampKind) byte {
	if c, ok := stampLetters[k]; ok {
		return c
	}
	return 'H'
}

func exchangeRecord(x *source.Sample, pivot time.Time) *statlog.Measurement {
	return &statlog.Measurement{
		At: x.T4.Time(pivot), Local: x.Local, Header: x.Header, T: [4]ntp.Timestamp{x.T1, x.T2, x.T3, x.T4},
		Offset: x.Offset.Seconds(), Delay: x.Delay.Seconds(), Spread: x.Dispersion.Seconds(), Loop: x.Loop, Interleaved: x.Interleaved,
		Authenticated: x.Kind != ntp.KindNone, TX: stampLetter(x.TX), RX: stampLetter(x.RX),
	}
}

func readingRecord(s *refclock.Sample, delay time.Duration) *statlog.Measurement {
	at := time.Unix(0, s.System)
	told := ntp.TimestampFromTime(time.Unix(0, s.Reference()))
	ours := ntp.TimestampFromTime(at)
	return &statlog.Measurement{
		At: at, Header: ntp.Header{Leap: s.Leap, Stratum: s.Stratum}, T: [4]ntp.Timestamp{ours, told, told, ours},
		Offset: s.Offset.Seconds(), Delay: delay.Seconds(), Spread: s.Dispersion.Seconds(), TX: 'D', RX: 'D',
	}
}

// selections are ntpd's codes for how a source is selected.
var selections = map[discipline.SelectState]byte{discipline.Falseticker: 1, discipline.Excluded: 2, discipline.Selected: 4}

// followedNow is what is known of a source and of the clock after a measurement.
type followedNow struct {
	source   clock.SourceReport
	clock    clock.TrackingReport
	first    bool // the source is the one that the clock follows first
	sources  int  // that are followed
	accepted bool // the measurement was
}

// record writes a measurement and, where the clock follows it, the update.
func record(stats *statlog.Log, m *statlog.Measurement, now *followedNow, events *told) {
	r, t := &now.source, &now.clock
	m.Name, m.Address, m.Accepted, m.Poll = r.Info.Name, r.Info.Address, now.accepted, int8(r.Poll)
	if r.Info.Refclock != "" {
		m.Name = r.Info.Refclock
	}
	m.Source = statlog.Source{Samples: r.Samples, Deviation: r.Deviation, Estimate: r.Offset, Frequency: t.Residual, Skew: r.Skew,
		Jitter: r.Jitter, Selected: selections[r.State], Reach: r.Reach != 0, Event: events.lastEvent()}
	if now.first {
		m.Source.Selected = 6
	}
	stats.Measure(m)
	if now.accepted && t.Synchronised {
		u := update(m.At, t)
		u.Sources = now.sources
		stats.Update(u)
	}
}

// update is what there is to say of the clock.
func update(at time.Time, t *clock.TrackingReport) *statlog.Update {
	u := &statlog.Update{At: at, Name: t.Selected.Name, Address: t.Selected.Address, Leap: t.Status.Leap, Stratum: t.Stratum,
		Frequency: t.Frequency, Skew: t.Skew, Offset: t.SystemOffset, Deviation: t.Deviation,
		Remaining: -t.SystemOffset, RootDelay: t.RootDelay, RootDispersion: t.RootDispersion,
		Bound: math.Abs(t.SystemOffset) + t.Distance(), Jitter: t.RMSOffset, Poll: t.Poll}
	if t.Selected.Refclock != "" {
		u.Name = t.Selected.Refclock
	}
	return u
}

// Codes of ntpd's events of the system, and the word of its status that stands
// for a clock that is, or is not, synchronised by NTP.
const (
	systemSynchronised = 5
	systemNoPeer       = 8
	systemStep         = 12
	statusNTP          = 0x0600
	statusAlarm        = 0xc000
)

// systemEvent tells protostats of an event of the system.
func systemEvent(stats *statlog.Log, code uint16, text string) {
	status := statusAlarm | 0x10 | code
	if code == systemSynchronised {
		status = statusNTP | 0x10 | code
	}
	stats.Event(time.Now(), "0.0.0.0", status, code, text)
}

// told is what was told of a source: to protostats and to ntpq.
type told struct {
	events *ntp.PeerEvents // of the association, which may outlive the source

	mu                    sync.Mutex
	reached, first, fault bool
	interleaved           bool
}

// lastEvent is the low octet of ntpd's status word.
func (t *told) lastEvent() uint8 {
	e, count := t.events.Last()
	return count<<4 | uint8(e)
}

// changed sets what is known of a source and reports whether it was otherwise.
func (t *told) changed(what *bool, is bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := *what
	*what = is
	return was != is
}

// reaches tells when a source is reached, or not any more.
func (t *told) reaches(stats *statlog.Log, name string, reached bool) {
	if !t.changed(&t.reached, reached) {
		return
	}
	if reached {
		t.event(stats, name, ntp.PeerReachable)
	} else {
		t.event(stats, name, ntp.PeerUnreachable)
	}
}

// leads tells when a source becomes the one that is followed first.
func (t *told) leads(stats *statlog.Log, name string, first bool) {
	if t.changed(&t.first, first) && first {
		t.event(stats, name, ntp.PeerSystemPeer)
	}
}

// event records an event and tells protostats of it.
func (t *told) event(stats *statlog.Log, name string, e ntp.PeerEvent) {
	t.events.Record(e)
	t.write(stats, name, e)
}

// write tells protostats alone.
func (t *told) write(stats *statlog.Log, name string, e ntp.PeerEvent) {
	if stats == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	status := uint16(0x8000) | uint16(t.lastEvent())
	if t.reached {
		status |= 0x1000
	}
	if t.first {
		status |= 0x0600
	}
	stats.Event(time.Now(), name, status, uint16(e)|0x80, e.String())
}
