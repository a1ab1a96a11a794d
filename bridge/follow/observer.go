package follow

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock/observe"
	"ntsbridge/bridge/config"
)

// observer asks the program that steers the clock what it follows, in mode
// observe. A nil one knows nothing.
type observer struct {
	asks   *observe.Observer
	cancel context.CancelFunc
	done   chan struct{}
}

// newObserver returns one that asks nobody yet; nil if nobody is to be asked.
func newObserver(cfg *config.Config, log hclog.Logger) *observer {
	if cfg.Clock.Mode != config.ClockObserve || cfg.Clock.Ask == "none" {
		return nil
	}
	c := observe.DefaultConfig()
	if cfg.Clock.Ask == "ntpd" {
		c.ChronySocket, c.Chrony = "", nil
	}
	if cfg.Clock.Ask == "chronyd" || ownsNTPPort(cfg) {
		c.NTPD = nil
	}
	if c.ChronySocket == "" && len(c.Chrony) == 0 && len(c.NTPD) == 0 {
		return nil
	}
	told := ""
	c.OnState = func(s *observe.State) {
		if s == nil {
			told = ""
			log.Warn("no program tells of the clock any more: clock.stratum and clock.refid are served")
		} else if s.Program != told {
			told = s.Program
			log.Info("the clock's stratum and reference are those that its program tells", "program", s.Program, "stratum", s.Stratum)
		}
	}
	c.OnError = func(err error) { log.Debug("no program tells of the clock", "reason", err) }
	return &observer{asks: observe.New(c)}
}

// Start asks from now on.
func (o *observer) Start() {
	if o == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel, o.done = cancel, make(chan struct{})
	go func() {
		defer close(o.done)
		o.asks.Run(ctx)
	}()
}

// Current is what was told last, nil if it is too old.
func (o *observer) Current(now time.Time) *observe.State {
	if o == nil {
		return nil
	}
	return o.asks.Current(now)
}

// Close ends the asking.
func (o *observer) Close() {
	if o != nil && o.cancel != nil {
		o.cancel()
		<-o.done
	}
}

// sameObserver reports whether two configurations ask the same programs.
func sameObserver(a, b *config.Config) bool {
	return a.Clock.Mode == b.Clock.Mode && a.Clock.Ask == b.Clock.Ask && slices.Equal(a.Server.Listen, b.Server.Listen)
}

// ownsNTPPort reports whether who asks port 123 of this host gets us.
func ownsNTPPort(cfg *config.Config) bool {
	for _, a := range cfg.Server.Listen {
		if a.Port() == config.PortNTP && (a.Addr().IsUnspecified() || a.Addr().IsLoopback()) {
			return true
		}
	}
	return false
}
