package measure

import (
	"slices"
	"time"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// poll stands for the poll intervals of a measurement, log2 s: its servers are
// asked within minutes, and none of them is stale at the end.
const poll = 10

// highestStratum is the highest that the discipline takes: it thinks of the
// host's own, which is one more.
const highestStratum = ntp.StratumUnsynchronised - 2

// Combine selects the servers that agree and weighs what they say, by feeding a
// discipline of its own with all measurements in the order in which they were
// made. now decides the era of timestamps.
func Combine(results []*Result, now time.Time) (Combined, error) {
	config := discipline.DefaultConfig()
	config.Mode = discipline.AuthIgnore // all were asked in the same way
	config.MaxDistance = maxDistance
	d, err := discipline.New(config)
	if err != nil {
		return Combined{}, err
	}
	c := Combined{}
	var samples []taken
	for i, r := range results {
		if r.Err != nil || len(r.Samples) == 0 {
			continue
		}
		c.Measured++
		if err := d.AddSource(discipline.SourceID(i), discipline.SourceConfig{MinPoll: poll, MaxPoll: poll}); err != nil {
			return Combined{}, err
		}
		for j := range r.Samples {
			samples = append(samples, taken{i, &r.Samples[j]})
		}
	}
	if c.Measured == 0 {
		return c, nil
	}
	slices.SortFunc(samples, func(a, b taken) int { return int(a.sample.Raw4 - b.sample.Raw4) })
	for _, s := range samples {
		d.Sample(s.exchange(now))
	}
	last := samples[len(samples)-1].sample
	c.choose(d, results, discipline.Reading{Raw: discipline.Instant(last.Raw4), System: last.T4.Time(now).UnixNano()})
	return c, nil
}

// maxDistance is the largest root distance of a server that is measured, s.
const maxDistance = 16.0

// taken is a sample with the place of its server.
type taken struct {
	server int
	sample *source.Sample
}

func (t taken) exchange(now time.Time) discipline.Sample {
	x, h := t.sample, &t.sample.Header
	return discipline.Sample{
		Source: discipline.SourceID(t.server), T1: discipline.Instant(x.Raw1), T4: discipline.Instant(x.Raw4),
		T2: x.T2.Time(now).UnixNano(), T3: x.T3.Time(now).UnixNano(), Leap: h.Leap, Stratum: min(h.Stratum, highestStratum),
		RootDelay: h.RootDelay.Duration().Seconds(), RootDispersion: h.RootDispersion.Duration().Seconds(),
	}
}

// choose takes over whom the discipline selected.
func (c *Combined) choose(d *discipline.Discipline, results []*Result, at discipline.Reading) {
	tracking := d.Tracking(at)
	if tracking.Held {
		return
	}
	least := 0.0
	for i, r := range results {
		s, known := d.Source(discipline.SourceID(i), at.Raw)
		if !known || s.State != discipline.Selected {
			continue
		}
		r.Agrees = true
		c.Agree++
		if c.Best == nil || s.Distance < least {
			c.Best, least = r, s.Distance
		}
	}
	c.OK = c.Agree > 0
	c.Offset = time.Duration(-tracking.SystemOffset * float64(time.Second))
}
