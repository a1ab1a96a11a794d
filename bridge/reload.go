package bridge

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"ntsbridge/bridge/config"
)

// Reload replaces keys, rules, certificates and authenticators by those of
// cfg, all or nothing: on an error everything goes on as before.
func (b *Bridge) Reload(cfg *config.Config) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := reloadable(b.parts.cfg, cfg); err != nil {
		return err
	}
	next, err := build(cfg, b.parts, b.log, time.Now())
	if err != nil {
		return err
	}
	if limiterConfig(cfg) == limiterConfig(b.parts.cfg) {
		next.state.Limiter = b.parts.state.Limiter // a reload forgets nobody's excess
	}
	if err := b.updateSignatures(next.autokey); err != nil {
		return err
	}
	if b.ke != nil {
		if err := b.ke.Apply(next.ke); err != nil {
			return err
		}
	}
	addresses, err := b.server.Listen(cfg.Server.Listen)
	if err != nil {
		if b.ke != nil {
			err = errors.Join(err, b.ke.Apply(b.parts.ke))
		}
		return err
	}
	b.addresses = addresses
	old := b.parts.cfg
	b.parts = next
	b.leaps.Store(next.leaps)
	b.show(next)
	b.served.Policy = b.policy()
	if old.Clock.Ask != cfg.Clock.Ask || !slices.Equal(old.Server.Listen, cfg.Server.Listen) {
		b.watcher.close()
		b.watcher = newWatcher(cfg, b.log.Named("observe"))
	}
	next.local.Events = &b.events
	if err := b.steer(); err != nil {
		b.log.Error("sources are not followed", "error", err)
	}
	b.server.SetState(next.state)
	b.server.SetClock(b.look())
	b.pollers.Load().stop()
	b.pollers.Store(b.associate(next))
	return nil
}

// reloadable reports what cannot change while the daemon runs.
func reloadable(old, next *config.Config) error {
	var fixed []string
	note := func(option string, same bool) {
		if !same {
			fixed = append(fixed, option)
		}
	}
	note("state_dir", old.StateDir == next.StateDir)
	note("run_dir", old.RunDir == next.RunDir)
	note("control.socket", old.Control.Socket == next.Control.Socket)
	note("nts.enabled", old.NTS.Enabled == next.NTS.Enabled)
	note("nts.listen", !old.NTS.Enabled || slices.Equal(old.NTS.Listen, next.NTS.Listen))
	note("clock (but stratum, refid and errors of modes observe and local)",
		old.Clock.Mode == next.Clock.Mode && (next.Clock.Mode != config.ClockDiscipline || old.Clock == next.Clock))
	note("server.workers, batch, dscp, timestamping or interleaved", serverOptions(old) == serverOptions(next))
	if len(fixed) > 0 {
		return fmt.Errorf("a reload cannot change %v: restart the daemon for it; nothing was changed", fixed)
	}
	return nil
}
