package clock

import (
	"math"

	"ntsbridge/bridge/clock/discipline"
)

// confirmTime is how long sources that answer may take to confirm the clock
// after the start, a step or a gap before the fallback counts them as gone, ns.
const confirmTime = int64(60e9)

// fallback decides whether to serve the fallback stratum.
func (d *Driver) fallback(c Clocks, t *discipline.Tracking, synced bool) {
	f, l := &d.config.Fallback, &d.local
	if f.Stratum == 0 {
		return
	}
	distance := seconds(t.Distance())
	if synced && distance <= f.Activate {
		l.activated = true
	}
	if synced && distance <= f.Distance {
		l.lostAt, l.active = c.Raw, false
	} else {
		wait := f.Wait
		if !d.once {
			wait = f.WaitStart
		}
		l.active = (f.Activate == 0 || l.activated) && c.Raw-l.lostAt >= int64(wait) && !d.doubtful(c, t)
	}
	d.adopt(synced)
}

// doubtful tells whether there is reason to believe that the clock is wrong:
// then even the fallback must not serve it.
func (d *Driver) doubtful(c Clocks, t *discipline.Tracking) bool {
	if d.behind && !d.once || d.refusal.active || math.Abs(t.SystemOffset) > d.config.Discipline.Panic {
		return true
	}
	answers := func(s *driven, st *discipline.SourceStatus) bool { return !s.orphan && st.Reach != 0 }
	return d.waiting && c.Raw-d.waitFrom < confirmTime && d.any(answers)
}

// orphaned notes whether a source has no real time, by a sample's stratum, and
// keeps it from being followed. One of a greater stratum follows an orphan.
func (d *Driver) orphaned(id discipline.SourceID, s *driven, stratum uint8) {
	f := &d.config.Fallback
	s.orphan = f.Orphan && f.Stratum != 0 && stratum >= f.Stratum
	s.stratum, s.misses = stratum, 0
	s.parent = s.parent && stratum == f.Stratum
	if barred := s.orphan && !s.parent; barred != s.barred {
		d.bar(id, s, barred)
	}
}

// adopt lets an orphan be followed while there is no other source.
func (d *Driver) adopt(synced bool) {
	if !d.config.Fallback.Orphan {
		return
	}
	others := d.any(func(s *driven, st *discipline.SourceStatus) bool { return !s.orphan && st.State > discipline.Excluded })
	alone := d.local.active || synced // else wait
	var parent *driven
	if !others && alone {
		parent = d.eldest()
	}
	for id, s := range d.sources {
		if s.orphan && s.parent != (s == parent) {
			s.parent = s == parent
			d.bar(id, s, !s.parent)
		}
	}
}

// silentOrphan is after how many requests without an answer another orphan is
// to be followed.
const silentOrphan = 8

// eldest is the orphan that all have to follow: that of the least reference
// identifier. nil: we are it.
func (d *Driver) eldest() (parent *driven) {
	least := d.config.Fallback.ReferenceID
	for _, s := range d.sources {
		if !s.orphan || s.stratum != d.config.Fallback.Stratum || s.misses >= silentOrphan {
			continue
		}
		if r := s.info.ReferenceID(); r < least {
			parent, least = s, r
		}
	}
	return parent
}

// bar makes a source measured only, or lets it vote again. Its history is lost.
func (d *Driver) bar(id discipline.SourceID, s *driven, barred bool) {
	c := s.config
	c.NoSelect = c.NoSelect || barred
	d.d.RemoveSource(id)
	if err := d.d.AddSource(id, c); err != nil {
		d.log.Error("source lost", "source", s.info.Name, "error", err)
	}
	s.barred = barred
}
