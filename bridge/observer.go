package bridge

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock/observe"
	"ntsbridge/bridge/config"
)

// watcher asks the program that steers the clock what it follows, in mode
// observe. A nil one knows nothing.
type watcher struct {
	observer *observe.Observer
	cancel   context.CancelFunc
	done     chan struct{}
}

// newWatcher asks from now on; nil if nobody is to be asked.
func newWatcher(cfg *config.Config, log hclog.Logger) *watcher {
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
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{observer: observe.New(c), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.observer.Run(ctx)
	}()
	return w
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

// current is what was told last, nil if it is too old.
func (w *watcher) current() *observe.State {
	if w == nil {
		return nil
	}
	return w.observer.Current(time.Now())
}

func (w *watcher) close() {
	if w != nil {
		w.cancel()
		<-w.done
	}
}
