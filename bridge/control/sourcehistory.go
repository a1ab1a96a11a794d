package control

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// SourceHistory is how the clock and its sources went.
type SourceHistory struct {
	Interval float64      `json:"interval"` // from point to point, s
	Clock    []ClockPoint `json:"clock"`    // the oldest first
	Sources  []SourcePlot `json:"sources"`
}

// ClockPoint is what tracking said at a time.
type ClockPoint struct {
	Time         time.Time `json:"time"`
	Synchronised bool      `json:"synchronised"`
	Offset       float64   `json:"offset"`        // of the clock, estimated, s; positive: fast
	Frequency    float64   `json:"frequency_ppm"` // positive: fast
	Bound        float64   `json:"root_distance"` // s
}

// SourcePlot is how a source went.
type SourcePlot struct {
	Name    string        `json:"name"`
	Address string        `json:"address,omitempty"`
	Points  []SourcePoint `json:"points"`
}

// SourcePoint is what sources and sourcestats said at a time; there is none of a
// time at which nothing was measured yet.
type SourcePoint struct {
	Time      time.Time   `json:"time"`
	State     SourceState `json:"state"`
	Offset    float64     `json:"offset"`        // by how much the clock was ahead of the source, s
	Frequency float64     `json:"frequency_ppm"` // of the clock against the source
	Bound     float64     `json:"root_distance"` // s
}

// What is kept: points of a series, and series. With all points in use every
// second one is dropped, and the interval doubled, until it is the longest one:
// 720 points of 160 s are 32 hours.
const (
	plotPoints  = 720
	plotSources = 64
	plotFirst   = 10 * time.Second
	plotLongest = 160 * time.Second
)

// Recorder keeps how clock and sources go. It is safe for concurrent use.
type Recorder struct {
	mu       sync.Mutex
	interval time.Duration
	last     time.Duration // uptime of the last points
	began    bool
	clock    []ClockPoint
	sources  []SourcePlot
}

// Due tells whether a point is to be taken at an uptime.
func (r *Recorder) Due(uptime time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.began || uptime-r.last >= max(r.interval, plotFirst)
}

// Take takes a point of everything.
func (r *Recorder) Take(uptime time.Duration, s *Snapshot) {
	t := s.Tracking()
	list, stats := s.SourceList(), s.SourceStatsList()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.began, r.interval = uptime, true, max(r.interval, plotFirst)
	at := s.At.UTC().Truncate(time.Second)
	r.clock = append(r.clock, ClockPoint{Time: at, Synchronised: t.Synchronised(), Offset: finite(t.SystemOffset),
		Frequency: finite(t.Frequency), Bound: finite(t.RootDelay/2 + t.RootDispersion)})
	seen := map[string]int{}
	for i := range list {
		name := list[i].Name
		seen[name]++
		if n := seen[name]; n > 1 {
			name = fmt.Sprintf("%s (%d)", name, n)
		}
		if list[i].LastRx < 0 {
			continue
		}
		if p := r.plot(name); p != nil {
			p.Address = list[i].Address
			p.Points = append(p.Points, SourcePoint{Time: at, State: list[i].State, Offset: finite(list[i].Offset),
				Frequency: finite(stats[i].Frequency), Bound: finite(list[i].Error)})
		}
	}
	r.trim()
}

func finite(v float64) float64 {
	if math.IsNaN(v) || math.Abs(v) >= unknown {
		return 0
	}
	return v
}

// plot returns the series of a source; nil: there are too many.
func (r *Recorder) plot(name string) *SourcePlot {
	i := slices.IndexFunc(r.sources, func(p SourcePlot) bool { return p.Name == name })
	if i < 0 {
		if len(r.sources) >= plotSources {
			return nil
		}
		r.sources = append(r.sources, SourcePlot{Name: name})
		i = len(r.sources) - 1
	}
	return &r.sources[i]
}

// trim makes room, and forgets sources that have gone.
func (r *Recorder) trim() {
	if len(r.clock) > plotPoints {
		if r.interval < plotLongest {
			r.interval *= 2
			r.clock = everySecond(r.clock)
			for i := range r.sources {
				r.sources[i].Points = everySecond(r.sources[i].Points)
			}
		} else {
			r.clock = slices.Delete(r.clock, 0, 1)
		}
	}
	oldest := r.clock[0].Time
	for i := range r.sources {
		p := &r.sources[i]
		gone := 0
		for gone < len(p.Points) && p.Points[gone].Time.Before(oldest) {
			gone++
		}
		p.Points = slices.Delete(p.Points, 0, max(gone, len(p.Points)-plotPoints))
	}
	r.sources = slices.DeleteFunc(r.sources, func(p SourcePlot) bool { return len(p.Points) == 0 })
}

// everySecond keeps the newest point, and every second one before it.
func everySecond[T any](list []T) []T {
	n := 0
	for i := (len(list) + 1) % 2; i < len(list); i += 2 {
		list[n] = list[i]
		n++
	}
	return list[:n]
}

// History returns a copy of what is kept.
func (r *Recorder) History() *SourceHistory {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &SourceHistory{Interval: max(r.interval, plotFirst).Seconds(), Clock: append([]ClockPoint{}, r.clock...), Sources: []SourcePlot{}}
	for _, p := range r.sources {
		p.Points = slices.Clone(p.Points)
		h.Sources = append(h.Sources, p)
	}
	return h
}

// Certificate is one that this daemon shows or serves.
type Certificate struct {
	Use       string    `json:"use" oneof:"nts api autokey"`
	File      string    `json:"file"`  // empty: it is made in memory
	Names     []string  `json:"names"` // that it is for
	Issuer    string    `json:"issuer"`
	Key       string    `json:"key"` // kind of it
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	DaysLeft  int       `json:"days_left"` // negative: it is past
	Problems  []string  `json:"problems"`
}
