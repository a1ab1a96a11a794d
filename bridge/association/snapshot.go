package association

import (
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/bridge/source/refclock"
)

// Snapshot returns all associations as they are now: those of the configuration
// in its order, reference clocks, passive ones. Of a pool those members are
// shown that have an address; of one without any the first, which says why.
func (s *Set) Snapshot() []control.SourceSnapshot {
	s.mu.Lock()
	groups, clocks := s.groups, s.clocks
	passive := append([]*association(nil), s.passive...)
	s.mu.Unlock()
	var list []control.SourceSnapshot
	for _, g := range groups {
		shown := len(list)
		for _, a := range g.members {
			if g.spec.Config.Mode != config.ModePool || a.runner.Load() != nil {
				list = append(list, a.snapshot())
			}
		}
		if len(list) == shown && len(g.members) > 0 {
			list = append(list, g.members[0].snapshot())
		}
	}
	for _, r := range clocks {
		list = append(list, r.snapshot())
	}
	for _, a := range passive {
		list = append(list, a.snapshot())
	}
	return list
}

// Uptime is on the clock of the times in a Snapshot.
func (s *Set) Uptime() time.Duration { return s.clock.Uptime() }

func (a *association) snapshot() control.SourceSnapshot {
	cfg := &a.spec.Config
	v := control.SourceSnapshot{ID: a.id, Name: cfg.Server, HostMode: a.mode, Pool: cfg.Mode == config.ModePool,
		Ephemeral: a.ephemeral, Offline: a.offline.Load(), MinPoll: cfg.MinPoll, TTL: a.spec.TTL,
		Auth: cfg.Auth, Ident: cfg.Ident, Autokey: a.autokey.Load(),
		Options: control.Options{NoSelect: cfg.NoSelect, Prefer: cfg.Prefer, Trust: cfg.Trust, Require: cfg.Require},
		Follow:  followed(a.followed.Load())}
	v.Event, v.Events = events(a.followed.Load(), &a.events)
	if cfg.Auth == ntp.KindSymmetric {
		v.KeyID = uint32(cfg.Key)
		if k := a.spec.Key; k != nil {
			v.Algorithm, v.KeyBits = k.Algorithm(), k.Bits()
		}
	}
	if local := a.local.Load(); local != nil {
		v.Local = *local
	}
	if r := a.runner.Load(); r != nil {
		status := (*r).Status()
		v.Status = &status
	}
	if n := a.nts.Load(); n != nil {
		status := n.Status()
		v.NTS = &status
	}
	if err := a.lost.Load(); err != nil {
		v.Why = source.Diagnose(*err).Text
	}
	return v
}

func (r *referenceClock) snapshot() control.SourceSnapshot {
	v := control.SourceSnapshot{ID: r.id, HostMode: ntp.ModeClient, Name: r.cfg.RefID.String(), MinPoll: r.cfg.Poll,
		Options: control.Options{NoSelect: r.cfg.NoSelect, Prefer: r.cfg.Prefer, Trust: r.cfg.Trust, Require: r.cfg.Require},
		Follow:  followed(r.followed.Load()), Clock: &control.ClockSnapshot{}}
	v.Event, v.Events = events(r.followed.Load(), &r.events)
	if err := r.err.Load(); err != nil {
		v.Why = (*err).Error()
	} else if _, known := r.shared.env.Leaps.TAI(time.Now().UnixNano()); r.cfg.TAI && !known {
		v.Why = refclock.TAIUnknown
	}
	if r.clock != nil {
		v.Clock = &control.ClockSnapshot{Status: r.clock.Status(), ReferenceID: r.clock.ReferenceID(), Delay: r.clock.Delay()}
		v.Name = v.Clock.RefID
	}
	return v
}

// followed is a source as the discipline sees it, nil: it does not know it.
func followed(f *follow.Source) *control.FollowedByClock {
	r, ok := f.Report()
	if !ok {
		return nil
	}
	return &control.FollowedByClock{SourceReport: r}
}

// events returns the last event of an association and their count. What is
// followed over a reload has its own.
func events(f *follow.Source, own *ntp.PeerEvents) (ntp.PeerEvent, uint8) {
	if f != nil {
		return f.Events()
	}
	return own.Last()
}
