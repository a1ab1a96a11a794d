package bridge

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ntsbridge/bridge/config"
)

// Reload replaces what a configuration asks for by what another one does, all
// or nothing: on an error everything goes on as before.
func (b *Bridge) Reload(cfg *config.Config) (err error) {
	defer func() { b.reloaded(err) }()
	b.changing.Lock()
	defer b.changing.Unlock()
	running := b.parts.Load()
	if err := reloadable(running.cfg, cfg); err != nil {
		return err
	}
	p, set := build(cfg, running, b.log, b.options.date())
	if err := worse(running.set.Findings, set.Findings); err != nil {
		return err
	}
	if err := p.commit(); err != nil {
		return err
	}
	if limiterConfig(cfg) == limiterConfig(running.cfg) {
		p.state.Limiter = running.state.Limiter // a reload forgets nobody's excess
	} else if err := b.shareLimiter(p, running); err != nil {
		return err
	}
	next, err := b.prepare(p, false)
	if err != nil {
		return err
	}
	b.commit(next)
	b.keepCertificate(cfg)
	logFindings(b.log, set.Findings)
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
	fixed = append(fixed, differences("fleet", unlabelled(old.Fleet), unlabelled(next.Fleet))...)
	note("user", old.User == next.User)
	note("sandbox", old.Sandbox == next.Sandbox)
	note("control.socket", old.Control.Socket == next.Control.Socket)
	note("control.read_socket", old.Control.ReadSocket == next.Control.ReadSocket)
	note("chronyc.socket", old.Chronyc.Socket == next.Chronyc.Socket)
	note("chronyc.listen", slices.Equal(old.Chronyc.Listen, next.Chronyc.Listen))
	fixed = append(fixed, differences("metrics", old.Metrics, next.Metrics)...)
	note("nts.enabled", old.NTS.Enabled == next.NTS.Enabled)
	note("nts.listen", !old.NTS.Enabled || slices.Equal(old.NTS.Listen, next.NTS.Listen))
	note("clock.mode", old.Clock.Mode == next.Clock.Mode)
	if old.Clock.Mode == config.ClockDiscipline && next.Clock.Mode == config.ClockDiscipline {
		fixed = append(fixed, differences("clock", steered(old.Clock), steered(next.Clock))...)
	}
	fixed = append(fixed, differences("server", kept(old.Server), kept(next.Server))...)
	if len(fixed) > 0 {
		return fmt.Errorf("a reload cannot change %s: restart the daemon for it; nothing was changed", strings.Join(fixed, ", "))
	}
	return nil
}

// steered is what a clock that is steered keeps: what selection asks of
// sources, the table of leap seconds and how they are smeared may change.
func steered(c config.Clock) config.Clock {
	c.MinSources, c.MaxDistance, c.AuthSelect = 0, 0, ""
	c.Leap = config.Leap{Mode: c.Leap.Mode}
	c.Ask, c.Stratum, c.RefID, c.MinDispersion, c.MaxError = "", 0, 0, 0, 0 // of the other modes
	return c
}

// unlabelled is what the inventory keeps.
func unlabelled(f config.Fleet) config.Fleet {
	f.Labels, f.Plan = nil, ""
	return f
}

// kept is what the server keeps.
func kept(s config.Server) config.Server {
	s.Listen = nil
	return s
}

// differences are the paths of the options in which two structs of the
// configuration differ.
func differences[T any](path string, a, b T) []string {
	return differing(path, reflect.ValueOf(a), reflect.ValueOf(b))
}

func differing(path string, a, b reflect.Value) (paths []string) {
	if a.Kind() != reflect.Struct {
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			paths = append(paths, path)
		}
		return paths
	}
	for i := range a.NumField() {
		name := a.Type().Field(i).Tag.Get("mapstructure")
		paths = append(paths, differing(path+"."+name, a.Field(i), b.Field(i))...)
	}
	return paths
}
