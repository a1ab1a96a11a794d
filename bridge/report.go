package bridge

import (
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
)

// reports are the answers of the control socket.
func (b *Bridge) reports() control.Sources {
	return control.Sources{ServerStats: b.ServerStats, Status: b.status,
		NTS:           b.ntsReport,
		Tracking:      func() *control.Tracking { return b.snapshot().Tracking() },
		Sources:       func() []control.Source { return b.snapshot().SourceList() },
		SourceStats:   func() []control.SourceStats { return b.snapshot().SourceStatsList() },
		AuthData:      func() []control.AuthData { return b.snapshot().AuthDataList() },
		SelectData:    func() []control.SelectData { return b.snapshot().SelectDataList() },
		MakeStep:      func() error { return b.clock.Steering().MakeStep() },
		Reload:        b.options.Reload,
		Metrics:       b.metrics.handler,
		SourceHistory: b.recorder.History, Certificates: b.certificates, Events: b.told, Requests: b.requests,
		Do:        b.do,
		Inventory: b.inventoryAnswers(),
		Fleet:     b.migrationAnswers(),
		Site:      b.siteAnswers(),
	}
}

// ntsReport tells about NTS; nil if it is off.
func (b *Bridge) ntsReport() *control.NTS {
	ring := b.parts.Load().state.NTS
	if b.ke == nil || ring == nil {
		return nil
	}
	now := time.Now()
	status, counters := b.ke.Status(now), b.ke.Counters()
	n := control.NewNTS(now, &status, &counters, control.NTSCookieKeys{Epochs: ring.Ring().Epochs(), Next: ring.Ring().Expires()})
	n.ACME = b.showACME()
	return n
}

// queries are what ntpq asks. Of the configuration they depend on what a reload
// cannot change.
func (b *Bridge) queries(cfg *config.Config) (*control.Queries, error) {
	l := &control.LocalSource{Version: Version(), ClockSource: control.SourceOther, Events: &b.events, Leap: b.leapShown,
		Autokey: b.autokeyShown,
		Tracking: func() *control.Tracking {
			if !b.clock.Steers() {
				return nil
			}
			return b.snapshot().Tracking()
		},
		List:    func(ntp.Timestamp) []control.Association { return b.snapshot().Associations() },
		Figures: b.figures, Keys: b.authority, Listening: b.listening, Rules: b.restrictions,
	}
	switch cfg.Clock.Mode {
	case config.ClockLocal:
		l.ClockSource, l.ReferenceClock = control.SourceLocal, true
	case config.ClockDiscipline:
		l.ClockSource = control.SourceUnspecified // what the system peer is, or nothing
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		l.Processor = unix.ByteSliceToString(u.Machine[:])
		l.OS = unix.ByteSliceToString(u.Sysname[:]) + "/" + unix.ByteSliceToString(u.Release[:])
	}
	return control.NewQueries(l)
}
