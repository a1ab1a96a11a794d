package convert

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// Gateway is the server of a fleet: what its hosts need of it.
type Gateway struct {
	// Output is a configuration of ntsbridge; nil if the hosts need nothing.
	Output []byte
	// Keys is the content of the file with symmetric keys; nil if there is none.
	Keys []byte
	// Notes are what has to be done by hand.
	Notes []string
}

// GatewayOptions are about the gateway's files.
type GatewayOptions struct {
	KeyFile         string // the name that the configuration gives the keys file
	NTSCert, NTSKey string // as in Options
}

// mostSources is how many upstreams a gateway is given: those that most hosts
// have, of which a majority can be had.
const mostSources = 8

// fleet collects what the hosts of a fleet need.
type fleet struct {
	names    map[string]bool           // of the hosts themselves
	sources  map[report.HostSource]int // how many hosts ask it
	keys     map[uint32]*symkey.Key    // by number
	clash    map[uint32][]string       // inputs whose key of a number is another one
	first    map[uint32]string         // the input that a key was seen in first
	networks map[netip.Prefix]bool
	autokey  int
	unknown  map[uint32]bool // keys whose secret was in no file
}

// NewGateway works out the server that the hosts of a fleet can be pointed at:
// it follows the upstreams that they have and are no hosts of the fleet, accepts
// the keys that their sources and clients have, and serves the networks that
// they served.
func NewGateway(results []report.FileOutcome, opt GatewayOptions) *Gateway {
	f := &fleet{names: make(map[string]bool), sources: make(map[report.HostSource]int), keys: make(map[uint32]*symkey.Key),
		clash: make(map[uint32][]string), first: make(map[uint32]string), networks: make(map[netip.Prefix]bool),
		unknown: make(map[uint32]bool)}
	hosts := 0
	for _, r := range results {
		if r.Host != nil {
			f.add(r)
			hosts++
		}
	}
	g := &Gateway{}
	if hosts == 0 {
		return g
	}
	f.write(g, opt, hosts)
	return g
}

func (f *fleet) add(r report.FileOutcome) {
	h := r.Host
	if h.Name != "" {
		f.names[strings.ToLower(h.Name)] = true
	}
	for _, s := range h.Sources {
		s.Server = strings.ToLower(s.Server)
		f.sources[s]++
		if s.Auth == "autokey" {
			f.autokey++
		}
		if s.Key != 0 && !slices.ContainsFunc(h.Material, func(k *symkey.Key) bool { return k.ID() == s.Key }) {
			f.unknown[s.Key] = true
		}
	}
	for _, k := range h.Material {
		switch known := f.keys[k.ID()]; {
		case known == nil:
			f.keys[k.ID()], f.first[k.ID()] = k, r.Input
		case !known.Equal(k):
			f.clash[k.ID()] = append(f.clash[k.ID()], r.Input)
		}
	}
	for _, text := range h.Networks {
		if p, err := netip.ParsePrefix(text); err == nil {
			f.networks[p.Masked()] = true
		}
	}
}

// write makes the configuration.
func (f *fleet) write(g *Gateway, opt GatewayOptions, hosts int) {
	d := draft.New()
	c := d.Config
	f.keysOf(g, d, opt)
	f.sourcesOf(g, d)
	f.accessOf(g, d)
	if f.autokey > 0 {
		g.Notes = append(g.Notes, fmt.Sprintf("%d sources are asked with Autokey: move those hosts to NTS or to a key, or let the gateway "+
			"serve Autokey with a host key of its own (autokey.keysdir)", f.autokey))
	}
	draft.Set(d, &c.NTS.Enabled, true)
	if opt.NTSCert != "" {
		to := draft.Add(d, &c.NTS.Certificates, config.Certificate{})
		draft.Set(d, &to.Cert, opt.NTSCert)
		draft.Set(d, &to.Key, opt.NTSKey)
		draft.Set(d, &c.NTS.Generate, false)
	} else {
		draft.Set(d, &c.NTS.Generate, true).Remark("A self-signed certificate, made on first start: clients need it as --ca.")
	}
	d.Finish()
	var out bytes.Buffer
	fmt.Fprintf(&out, "# ntsbridge, the gateway for %d hosts.\n", hosts)
	for _, note := range g.Notes {
		fmt.Fprintf(&out, "# %s.\n", spell.Printable(note))
	}
	text, err := d.YAML(func(*syntax.Statement) []string { return nil })
	if err == nil {
		_, err = config.Parse("gateway.yaml", "/", text)
	}
	if err != nil {
		g.Notes = append(g.Notes, fmt.Sprintf("there is no configuration of the gateway: %v; this is a mistake of ntsbridge", err))
		g.Keys = nil
		return
	}
	out.Write(text)
	g.Output = out.Bytes()
}

// keysOf writes the keys of which all hosts have the same.
func (f *fleet) keysOf(g *Gateway, d *draft.Draft, opt GatewayOptions) {
	section := &d.Config.Keys
	var trusted []access.KeyRange
	var content []byte
	for _, id := range slices.Sorted(maps.Keys(f.keys)) {
		if others := f.clash[id]; len(others) > 0 {
			g.Notes = append(g.Notes, fmt.Sprintf("key %d is left out: %s and %d others have different keys of that number, and a server "+
				"can have one only: move one side to another number first", id, f.first[id], len(others)))
			continue
		}
		line, err := symkey.AppendChronyKeysLine(nil, f.keys[id])
		if err != nil {
			g.Notes = append(g.Notes, fmt.Sprintf("key %d is left out: %v", id, err))
			continue
		}
		content = append(append(content, bytes.TrimSuffix(line, []byte("\n"))...), '\n')
		r, _ := access.ParseKeyRange(fmt.Sprint(id))
		trusted = append(trusted, r)
	}
	for _, id := range slices.Sorted(maps.Keys(f.unknown)) {
		if f.keys[id] == nil {
			g.Notes = append(g.Notes, fmt.Sprintf("key %d is used, and in no file that was at hand: add it to %s and to keys.trusted", id,
				opt.KeyFile))
		}
	}
	draft.Set(d, &section.Generate, false)
	if len(trusted) == 0 {
		return
	}
	file := draft.Add(d, &section.Files, config.DefaultKeyFile())
	draft.Set(d, &file.Path, opt.KeyFile)
	draft.Set(d, &file.Format, "chrony")
	draft.Set(d, &section.Trusted, trusted).Remark("What the hosts' sources and clients use, as before.")
	g.Keys = content
}

// sourcesOf writes the upstreams: those that most hosts ask first.
func (f *fleet) sourcesOf(g *Gateway, d *draft.Draft) {
	var list []report.HostSource
	for s := range f.sources {
		if f.names[s.Server] || f.names[firstLabel(s.Server)] || s.Auth == "autokey" || config.ServerName(s.Server) != nil {
			continue
		}
		if s.Auth == "symmetric" && (f.keys[s.Key] == nil || len(f.clash[s.Key]) > 0) {
			continue
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b report.HostSource) int {
		return cmp.Or(cmp.Compare(f.sources[b], f.sources[a]), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Server, b.Server),
			cmp.Compare(a.Port, b.Port), cmp.Compare(a.Key, b.Key))
	})
	seen := make(map[string]bool)
	for _, s := range list {
		id := fmt.Sprint(s.Server, s.Port)
		if seen[id] || len(seen) == mostSources {
			continue
		}
		seen[id] = true
		f.source(d, s)
	}
	if len(seen) == 0 {
		draft.Set(d, &d.Config.Clock.Mode, config.ClockObserve).
			Remark("No upstream is known from outside of the fleet: the clock is served as another program keeps it.")
		g.Notes = append(g.Notes, "name the gateway's own sources, and write clock.mode: discipline")
		return
	}
	draft.Set(d, &d.Config.Clock.Mode, config.ClockDiscipline)
}

// rank puts what is authenticated first.
func rank(s report.HostSource) int { return slices.Index([]string{"nts", "symmetric", "none"}, s.Auth) }

func firstLabel(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	label, _, _ := strings.Cut(name, ".")
	return label
}

func (f *fleet) source(d *draft.Draft, s report.HostSource) {
	hosts := "hosts ask it"
	if f.sources[s] == 1 {
		hosts = "host asks it"
	}
	to := draft.Add(d, &d.Config.Sources, config.DefaultSource())
	d.From(to).Remark("%d %s.", f.sources[s], hosts)
	draft.Set(d, &to.Server, s.Server)
	if s.Pool {
		draft.Set(d, &to.Mode, config.ModePool)
	}
	if s.Port != 0 {
		draft.Set(d, &to.Port, s.Port)
	}
	switch s.Auth {
	case "nts":
		draft.Set(d, &to.Auth, ntp.KindNTS)
		if s.NTSPort != 0 {
			draft.Set(d, &to.NTSPort, s.NTSPort)
		}
	case "symmetric":
		draft.Set(d, &to.Auth, ntp.KindSymmetric)
		draft.Set(d, &to.Key, int(s.Key))
	}
	draft.Set(d, &to.IBurst, true)
}

// accessOf writes who is served: the networks that the hosts served, or
// everybody with the proof that the hosts have.
func (f *fleet) accessOf(g *Gateway, d *draft.Draft) {
	section := &d.Config.Access
	open := f.networks[netip.MustParsePrefix("0.0.0.0/0")] || f.networks[netip.MustParsePrefix("::/0")]
	var prefixes []netip.Prefix
	for _, p := range slices.SortedFunc(maps.Keys(f.networks), func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	}) {
		if p.Bits() > 0 {
			prefixes = append(prefixes, p)
		}
	}
	to := &section.Default
	draft.Set(d, &to.Action, config.ActionAllow)
	if open {
		limit := draft.Add(d, &d.Config.RateLimit.Limits, config.DefaultLimit(""))
		draft.Set(d, &limit.Name, "everybody")
		draft.Set(d, &to.Rate, "everybody").Remark("Hosts of the fleet answered everybody; see who asks, and close it.")
	}
	if !open {
		draft.Set(d, &to.Kinds, []ntp.Kind{ntp.KindSymmetric, ntp.KindNTS}).
			Remark("From elsewhere, only who has a key or NTS: the addresses of the hosts are not in their files.")
		if len(prefixes) == 0 {
			g.Notes = append(g.Notes, "hosts that ask without authentication are not served: add an access rule with their networks")
		}
	}
	if len(prefixes) == 0 {
		return
	}
	rule := draft.Add(d, &section.Rules, config.DefaultRule())
	d.From(rule).Remark("The networks that hosts of the fleet served.")
	draft.Set(d, &rule.Prefixes, prefixes)
	draft.Set(d, &rule.Action, config.ActionAllow)
}
