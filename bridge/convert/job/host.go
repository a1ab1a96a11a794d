package job

import (
	"fmt"
	"slices"
	"strconv"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
)

// Host says what a migration has to know: how the host authenticates, whom it
// asks and serves, and what its clock should run next.
func (c *Job) Host() *report.Host {
	h := &report.Host{Name: c.Opt.Hostname, AsClient: []string{}, AsServer: []string{}, Upstreams: []string{},
		Format: "chrony", Step: "nts"}
	for _, src := range c.Model.Sources {
		if src.Refclock != nil || src.Kind == "broadcast" || src.Dead != "" && !src.Revived {
			continue
		}
		host, port := src.HostPort()
		h.Sources = append(h.Sources, hostSource(src, host, port))
		h.Upstreams = append(h.Upstreams, spell.Printable(host))
		h.AsClient = append(h.AsClient, c.authentication(src))
		if src.Key != 0 {
			h.Keys = append(h.Keys, src.Key)
		}
	}
	for _, list := range []*[]string{&h.AsClient, &h.Upstreams} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	slices.Sort(h.Keys)
	h.Keys = slices.Compact(h.Keys)
	c.served(h)
	c.material(h)
	c.recommend(h)
	return h
}

func hostSource(src *Source, host string, port int) report.HostSource {
	s := report.HostSource{Server: host, Pool: src.Kind == "pool", Auth: "none"}
	if port != config.PortNTP {
		s.Port = port
	}
	switch {
	case src.Nts:
		s.Auth = "nts"
		_, ntsPort := NtsAddress(src.Address)
		s.NTSPort, _ = strconv.Atoi(ntsPort)
	case src.Autokey:
		s.Auth = "autokey"
	case src.Key != 0:
		s.Auth, s.Key = "symmetric", src.Key
	}
	return s
}

// material collects the keys that can be used.
func (c *Job) material(h *report.Host) {
	m := &c.Model
	if m.Keys == nil || m.KeysRejected {
		return
	}
	for _, k := range m.Keys.Keys {
		if m.TrustSet.Contains(k.ID()) && (h.Serves || slices.Contains(h.Keys, k.ID())) {
			h.Material = append(h.Material, k)
		}
	}
}

func (c *Job) authentication(src *Source) string {
	switch {
	case src.Nts:
		return "nts"
	case src.Autokey && src.Ident != "":
		return "autokey (ident)"
	case src.Autokey:
		return "autokey (TC)"
	case src.Key == 0:
		return "plain"
	case c.Model.Keys != nil:
		for _, k := range c.Model.Keys.Keys {
			if k.ID() == src.Key {
				return fmt.Sprintf("key %d (%s)", src.Key, k.Algorithm())
			}
		}
	}
	return fmt.Sprintf("key %d (unknown)", src.Key)
}

// served says whom the host serves, and how.
func (c *Job) served(h *report.Host) {
	for i, rule := range c.Model.Rules {
		if !rule.Service.Serve {
			continue
		}
		if i == 0 {
			h.Serves = true
			h.Networks = append(h.Networks, "0.0.0.0/0", "::/0")
		}
		for _, p := range rule.Prefixes {
			if !p.Addr().IsLoopback() {
				h.Serves = true
				h.Networks = append(h.Networks, p.String())
			}
		}
	}
	if !h.Serves {
		return
	}
	if !slices.ContainsFunc(c.Model.Rules, func(r restrict.Rule) bool { return r.Service.Serve && r.Service.Auth }) ||
		len(c.Model.Rules) > 1 {
		h.AsServer = append(h.AsServer, "plain")
	}
	if c.Model.Keys != nil && !c.Model.KeysRejected {
		for _, k := range c.Model.Keys.Keys {
			if c.Model.TrustSet.Contains(k.ID()) {
				h.AsServer = append(h.AsServer, fmt.Sprintf("key %d (%s)", k.ID(), k.Algorithm()))
			}
		}
	}
	if c.Model.Autokey.Enabled {
		h.AsServer = append(h.AsServer, "autokey")
	}
	if c.Model.Nts {
		h.AsServer = append(h.AsServer, "nts")
	}
}

// recommend says what the host's clock should run next.
func (c *Job) recommend(h *report.Host) {
	h.Reason = "chronyd has NTS and every setting that clients use"
	if c.Dialect == "ntpsec" {
		h.Format, h.Reason = "ntpsec", "it runs ntpsec already, which has NTS"
	}
	for _, src := range c.Model.Sources {
		if src.Refclock != nil && src.Refclock.Driver == NMEADriver {
			h.Format, h.Reason = "ntpsec", "ntpsec reads its NMEA receiver, which chronyd does not"
		}
	}
	if len(h.Keys) > 0 && !slices.Contains(h.AsClient, "nts") {
		h.Step = "key"
		h.Reason += "; it has a key, which the gateway can accept until NTS is there"
	}
	named := slices.ContainsFunc(h.Networks, func(p string) bool { return p != "0.0.0.0/0" && p != "::/0" })
	switch {
	case named:
		h.Reason += "; it lets networks in by name: it goes on serving them, until they ask the gateway"
	case h.Serves:
		h.Reason += "; everybody may ask it: see whether anybody does"
	}
}
