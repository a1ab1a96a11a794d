package bridge

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fastpath"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/netif"
	"ntsbridge/bridge/server"
)

// fastpathClients is how many clients the kernel notes at most between two
// readings of the inventory, a second apart.
const fastpathClients = 1 << 16

// A reload may change the shape of the rate limiter: the kernel's memory has room
// for another one of the default's size or of what the start had. Of a table
// larger than spareLimiterMost there is no second one.
const (
	spareLimiter     = 65536
	spareLimiterMost = 1 << 20
)

// fastpathOptions are what the program in the kernel is made from.
func fastpathOptions(cfg *config.Config, log hclog.Logger) fastpath.Options {
	o := fastpath.Options{Limiter: limiterConfig(cfg), DSCP: cfg.Server.DSCP, Log: log}
	if cfg.RateLimit.Clients <= spareLimiterMost {
		o.Spare = spareLimiter
	}
	for _, s := range cfg.Server.FastpathInterfaces {
		if name, mode, err := config.FastpathInterface(s); err == nil {
			o.Interfaces = append(o.Interfaces, fastpath.Interface{Name: name, Mode: fastpath.Mode(mode)})
		}
	}
	if i := cfg.Server.Interleaved; i.Enabled {
		o.Departures, o.DepartLen = server.DepartureSlots(i.Entries), server.DepartureLen
	}
	if cfg.Fleet.Enabled {
		o.Clients = min(fastpathClients, cfg.Fleet.Clients)
	}
	return o
}

// openFastpath loads the program and lets the server share its memory, if that
// is asked for and possible.
func (b *Bridge) openFastpath(p *parts, o *server.Options) error {
	if p.cfg.Server.Fastpath == config.FastpathOff {
		return nil
	}
	f, err := fastpath.Open(fastpathOptions(p.cfg, b.log.Named("fastpath")))
	switch {
	case err != nil && p.cfg.Server.Fastpath == config.FastpathRequire:
		return fmt.Errorf("server.fastpath: require: %w", err)
	case err != nil:
		b.log.Warn("server.fastpath: the sockets answer everything", "reason", err)
		b.noted = append(b.noted, fmt.Sprintf("server.fastpath: the sockets answer everything: %v", err))
		return nil
	}
	b.fast = f
	o.Beside, o.Departures = f, f.Departures()
	return p.makeLimiter(f.Limiter())
}

// shareLimiter puts the limiter of a reload where the kernel sees it, if it has
// room.
func (b *Bridge) shareLimiter(p, running *parts) error {
	if b.fast == nil {
		return nil
	}
	if memory := b.fast.SpareLimiter(limiterConfig(p.cfg), running.state.Limiter); memory != nil {
		return p.makeLimiter(memory)
	}
	return nil
}

// attachFastpath goes to the interfaces. The sockets are there.
func (b *Bridge) attachFastpath(cfg *config.Config) error {
	if b.fast == nil {
		return nil
	}
	b.fleet.SetPull(func(see func(*feed.Sighting)) uint64 {
		return b.fast.Clients(func(s *feed.Sighting) {
			if s.Proved() {
				b.server.Proved(s.Address())
			}
			see(s)
		})
	})
	b.fast.ServeFrames(b.server.ServeFrames)
	found := b.fast.Attach()
	if cfg.Server.Fastpath != config.FastpathRequire {
		return nil
	}
	return required(found)
}

// required returns why not all interfaces have the program.
func required(found []fastpath.Status) error {
	if len(found) == 0 {
		return errors.New("server.fastpath: require: no interface has an address that is served; name some in server.fastpath_interfaces")
	}
	var errs []error
	for _, s := range found {
		if !s.Active {
			errs = append(errs, fmt.Errorf("server.fastpath: require: %s: %s", s.Interface, s.Why))
		}
	}
	return errors.Join(errs...)
}

// fastpathStatus is how things stand at each interface.
func (b *Bridge) fastpathStatus() []control.FastpathInterface {
	list := []control.FastpathInterface{}
	if b.fast == nil {
		return list
	}
	for _, s := range b.fast.Status() {
		list = append(list, control.FastpathInterface{Interface: s.Interface, Mode: string(s.Mode), Active: s.Active, Keys: s.Keys,
			Note: s.Why})
	}
	return list
}

// fastpathProblems are what somebody has to look at: what is required and not
// so, and what a reload took away.
func (b *Bridge) fastpathProblems(list []control.FastpathInterface) (problems []string) {
	if b.fast == nil {
		return nil
	}
	if why := b.fast.Wrong(); why != "" {
		problems = append(problems, why)
	}
	if b.parts.Load().cfg.Server.Fastpath != config.FastpathRequire {
		return problems
	}
	for i := range list {
		if !list[i].Active {
			problems = append(problems, "server.fastpath: "+list[i].String())
		}
	}
	return problems
}

// whatFastpathMeans is told by check wherever the kernel is to answer.
const whatFastpathMeans = "netfilter, rp_filter and tcpdump do not see what the kernel answers, and it is outside of FIPS"

// checkFastpath tries what serve would do: it loads the program, goes to the
// interfaces and leaves them, without having answered anything.
func checkFastpath(cfg *config.Config, set *material.Set, report *material.Report) {
	if cfg.Server.Fastpath == config.FastpathOff {
		return
	}
	grade := material.Warning
	if cfg.Server.Fastpath == config.FastpathRequire {
		grade = material.NoStart
	}
	find := func(err error) { report.Findings = append(report.Findings, set.Finding(grade, "server.fastpath", err)) }
	found, err := tryFastpath(cfg)
	if err != nil {
		find(fmt.Errorf("the sockets would answer everything: %w", err))
		return
	}
	if len(found) == 0 {
		find(errors.New("no interface has an address that is served now"))
	}
	active := false
	for _, s := range found {
		if !s.Active {
			find(errors.New(s.String()))
			continue
		}
		active = true
		report.Facts = append(report.Facts, "fast path: "+s.String())
	}
	if active {
		capabilities := strings.Join(fastpath.Capabilities(fastpathOptions(cfg, hclog.NewNullLogger()).Interfaces), ", ")
		report.Facts = append(report.Facts, "fast path: "+whatFastpathMeans,
			"fast path: a start takes "+capabilities+"; they are given up then")
	}
}

func tryFastpath(cfg *config.Config) ([]fastpath.Status, error) {
	addresses, err := netif.Addresses(cfg.Server.Listen)
	if err != nil {
		return nil, err
	}
	f, err := fastpath.Open(fastpathOptions(cfg, hclog.NewNullLogger()))
	if err != nil {
		return nil, err
	}
	f.Listen(addresses)
	found := f.Attach()
	takenByOurs(found, cfg.Control.Socket)
	return found, f.Close()
}

// takenByOurs looks who has the place of XDP at interfaces where it is taken: a
// daemon of this configuration that runs has what serve would have.
func takenByOurs(found []fastpath.Status, socket string) {
	var ours *control.Status
	for i := range found {
		s := &found[i]
		if !s.Taken {
			continue
		}
		if ours == nil {
			var err error
			if ours, err = control.NewClient(socket).Status(); err != nil {
				return
			}
		}
		for _, at := range ours.Fastpath {
			if at.Interface == s.Interface && at.Mode == string(s.Mode) && at.Active {
				s.Active, s.Why = true, "as the daemon that runs has it"
			}
		}
	}
}

var _ server.Beside = (*fastpath.Engine)(nil)
