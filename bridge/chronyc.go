package bridge

import (
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
)

// answerChronyc lets chronyc ask. Without it all else works.
func (b *Bridge) answerChronyc(cfg *config.Config) {
	path := cfg.Chronyc.Socket
	if path == config.ChronycOff {
		path = ""
	}
	answers := &control.Chrony{
		Reports: func() *control.ChronyReports { return b.snapshot().Chrony(b.ServerStats()) },
		Do:      func(c *control.Command) error { _, err := b.do(c); return err },
		Serves:  b.serves, MayAsk: b.mayAsk,
	}
	if cfg.Fleet.Enabled {
		answers.Clients = b.chronyClients
	}
	var err error
	if b.chronyc, err = control.ListenChrony(path, cfg.Chronyc.Listen, answers, b.log.Named("control")); err != nil {
		b.log.Error("chronyc cannot ask this daemon everywhere", "error", err)
		b.noted = append(b.noted, fmt.Sprintf("chronyc cannot ask: %v", err))
	}
}

// serves reports whether an address gets the time by any means.
func (b *Bridge) serves(a netip.Addr) bool {
	rule := b.parts.Load().state.Access.Lookup(netip.AddrPortFrom(a, 0))
	for kind := range ntp.Kind(ntp.KindCount) {
		if action, _ := rule.Judge(kind, 4); action == ntp.Answer {
			return true
		}
	}
	return false
}

// mayAsk reports whether an address may ask over the network what chronyc asks.
func (b *Bridge) mayAsk(a netip.Addr) bool {
	for _, p := range b.parts.Load().cfg.Chronyc.Allow {
		if p.Contains(a.WithZone("")) {
			return true
		}
	}
	return false
}

// chronyClients are the clients as chronyc shows them.
func (b *Bridge) chronyClients() []control.ChronyClient {
	recent := b.fleet.Recent(mruClients)
	list := make([]control.ChronyClient, len(recent))
	for i, r := range recent {
		list[i] = control.ChronyClient{Addr: r.Addr.Addr(), Hits: r.Count, Drops: r.Dropped, KEHits: r.Handshakes, KEDrops: r.Failures,
			Last: r.Last.Time(time.Now()), LastKE: r.LastKE, Interval: r.Interval}
	}
	return list
}
