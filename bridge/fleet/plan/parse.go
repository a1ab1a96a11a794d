package plan

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxLen bounds a plan, octets; maxGroups its groups.
const (
	maxLen    = 4 << 20
	maxGroups = 4096
)

// Parse reads a plan. name is the file's, for messages. The plan is nil if a
// finding is Wrong.
func Parse(name string, text []byte) (*Plan, Findings) {
	r := &reader{file: name}
	p := r.document(text)
	if p != nil {
		r.check(p)
	}
	if r.findings = r.findings.sorted(); r.findings.Err() != nil {
		return nil, r.findings
	}
	return p, r.findings
}

func (r *reader) document(text []byte) *Plan {
	if len(text) > maxLen {
		r.fail(0, "", "a plan has at most %d octets", maxLen)
		return nil
	}
	var doc, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	err := d.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		r.fail(0, "", "the plan is empty: it needs `groups:`")
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	case !errors.Is(d.Decode(&second), io.EOF):
		r.fail(second.Line, "", "only one YAML document is read")
		return nil
	}
	p := &Plan{}
	top := place{}.under(doc.Content[0], " ")
	top.path = ""
	base := defaults()
	var groups place
	r.mapping(top, options{
		"version":   func(v place) { r.number(v, 1, 1) },
		"advance":   func(v place) { p.Automatic = r.choice(v, "manual", "automatic") == 1 },
		"protected": func(v place) { r.sequence(v, func(v place) { r.protected(v, p) }) },
		"windows":   func(v place) { r.windows(v, &p.Windows) },
		"notify":    func(v place) { r.notify(v, &p.Notify) },
		"canary":    func(v place) { r.canary(v, &base.Canary) },
		"brown_out": func(v place) { r.brownOut(v, &base.BrownOut) },
		"back_out":  func(v place) { r.backOut(v, &base.BackOut) },
		"gates":     func(v place) { r.gates(v, &base.Gates) },
		"groups":    func(v place) { groups = v },
	})
	if groups.Node == nil || groups.Kind != yaml.SequenceNode || len(groups.Content) == 0 {
		r.fail(top.Line, "groups", "a plan needs a list of groups")
		return p
	}
	if len(groups.Content) > maxGroups {
		r.fail(groups.Line, "groups", "at most %d groups", maxGroups)
		return p
	}
	r.sequence(groups, func(v place) { r.group(v, p, base) })
	return p
}

// syntax reports an error of the YAML library, which names the line.
func (r *reader) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if n, after, ok := strings.Cut(rest, ": "); ok {
			line, _ = strconv.Atoi(n)
			text = after
		}
	}
	r.fail(line, "", "this is no YAML: %s", short(text))
}

// someOf reads a list that selects: one of nothing is an error, since a group
// without the option is wider than one with it.
func (r *reader) someOf(v place, read func(place)) {
	if v.isNull() || v.Kind == yaml.SequenceNode && len(v.Content) == 0 {
		r.fail(v.Line, v.path, "is empty: name some, or leave the option out, which means all")
		return
	}
	r.sequence(v, read)
}

func (r *reader) selector(s *Selector) options {
	return options{
		"prefixes": func(v place) {
			r.someOf(v, func(v place) {
				if p, ok := r.prefix(v); ok {
					s.Prefixes = append(s.Prefixes, p)
				}
			})
		},
		"labels": func(v place) { r.someOf(v, func(v place) { s.Labels = r.name(v, s.Labels) }) },
		"keys": func(v place) {
			r.someOf(v, func(v place) {
				n, err := strconv.ParseUint(r.text(v), 10, 32)
				if err != nil || n == 0 {
					r.fail(v.Line, v.path, "must be a key identifier, 1 to 4294967295")
					return
				}
				s.Keys = append(s.Keys, uint32(n))
			})
			slices.Sort(s.Keys)
			s.Keys = slices.Compact(s.Keys)
		},
		"autokey_groups": func(v place) {
			r.someOf(v, func(v place) { s.AutokeyGroups = r.name(v, s.AutokeyGroups) })
		},
	}
}

func (r *reader) name(v place, list []string) []string {
	if s := r.text(v); s != "" {
		return append(list, s)
	}
	r.fail(v.Line, v.path, "must not be empty")
	return list
}

// prefix reads an address or a prefix.
func (r *reader) prefix(v place) (p netip.Prefix, ok bool) {
	s := r.text(v)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		r.fail(v.Line, v.path, "%q is no address and no prefix such as 192.0.2.0/24", short(s))
	case p.Addr().Is4In6():
		r.fail(v.Line, v.path, "%v is IPv4 inside IPv6; write it as IPv4", p)
	case p != p.Masked():
		r.fail(v.Line, v.path, "%v has bits set behind its length; %v may be meant", p, p.Masked())
	default:
		return p, true
	}
	return p, false
}

func (r *reader) protected(v place, p *Plan) {
	e := Protected{Line: v.Line}
	if v.Kind == yaml.ScalarNode {
		if q, ok := r.prefix(v); ok {
			e.Prefixes = []netip.Prefix{q}
			p.Protected = append(p.Protected, e)
		}
		return
	}
	known := r.selector(&e.Selector)
	known["why"] = func(v place) { e.Why = r.text(v) }
	if r.mapping(v, known) {
		p.Protected = append(p.Protected, e)
	}
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (r *reader) windows(v place, w *Windows) {
	var freezes []place
	r.mapping(v, options{
		"days": func(v place) {
			r.sequence(v, func(v place) {
				if i := r.choice(v, dayNames...); i >= 0 {
					w.Days[i] = true
				}
			})
		},
		"hours": func(v place) { r.hours(v, w) },
		"timezone": func(v place) {
			zone, err := time.LoadLocation(r.text(v))
			if err != nil || v.Value == "Local" || v.Value == "" {
				r.fail(v.Line, v.path, "%q is no time zone that this host knows, such as Europe/Berlin or UTC", short(v.Value))
				return
			}
			w.Zone = zone
		},
		"freeze": func(v place) { r.sequence(v, func(v place) { freezes = append(freezes, v) }) },
	})
	for _, v := range freezes { // the time zone is known by now
		f := Freeze{Line: v.Line}
		ok := r.mapping(v, options{
			"from": func(v place) { f.From = r.date(v, w.zone(), false) },
			"to":   func(v place) { f.To = r.date(v, w.zone(), true) },
			"why":  func(v place) { f.Why = r.text(v) },
		})
		if ok && !f.From.Before(f.To) {
			r.fail(v.Line, v.path, "a freeze needs `from` and a later `to`")
			continue
		}
		w.Freezes = append(w.Freezes, f)
	}
}

// hours reads 09:00-16:00.
func (r *reader) hours(v place, w *Windows) {
	from, to, ok := strings.Cut(r.text(v), "-")
	var okFrom, okTo bool
	w.From, okFrom = minutes(from)
	w.To, okTo = minutes(to)
	if !ok || !okFrom || !okTo || w.From == w.To {
		r.fail(v.Line, v.path, "must be hours such as \"09:00-16:00\", in quotes; \"22:00-04:00\" is the night after one of the days")
	}
}

func minutes(s string) (int, bool) {
	if strings.TrimSpace(s) == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", strings.TrimSpace(s))
	return t.Hour()*60 + t.Minute(), err == nil
}

// date reads a date or a time of RFC 3339. A date alone is the begin of its
// day, or if end is set, of the next one.
func (r *reader) date(v place, zone *time.Location, end bool) time.Time {
	s := r.text(v)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t
	}
	t, err := time.ParseInLocation(time.DateOnly, s, zone)
	if err != nil {
		r.fail(v.Line, v.path, "%q is no date such as 2027-03-01 or 2027-03-01T08:00:00Z", short(s))
	}
	if end && err == nil {
		t = t.AddDate(0, 0, 1)
	}
	return t
}

func (r *reader) notify(v place, n *Notify) {
	r.mapping(v, options{
		"command": func(v place) { r.sequence(v, func(v place) { n.Command = append(n.Command, r.text(v)) }) },
		"webhook": func(v place) {
			rest, ok := strings.CutPrefix(r.text(v), "http://")
			if !ok {
				rest, ok = strings.CutPrefix(v.Value, "https://")
			}
			if !ok || rest == "" || rest[0] == '/' {
				r.fail(v.Line, v.path, "must be a URL that begins with http:// or https://")
				return
			}
			n.Webhook = v.Value
		},
	})
}

func (r *reader) canary(v place, c *Canary) {
	r.mapping(v, options{
		"share": func(v place) { c.Share = r.share(v, 0.0001, 0.5) },
		"max":   func(v place) { c.Max = r.number(v, 1, 1_000_000) },
		"polls": func(v place) { c.Polls = r.polls(v) },
	})
}

func (r *reader) brownOut(v place, b *BrownOut) {
	r.mapping(v, options{
		"lengths": func(v place) {
			b.Lengths = nil
			r.sequence(v, func(v place) { b.Lengths = append(b.Lengths, r.length(v)) })
		},
		"at_most": func(v place) { b.AtMost = r.duration(v, time.Minute, 31*24*time.Hour) },
	})
}

// length reads `10 polls`, `10` or a time such as 30m.
func (r *reader) length(v place) Length {
	l := Length{Line: v.Line}
	s := strings.TrimSpace(r.text(v))
	for _, unit := range []string{" polls", " poll"} {
		s = strings.TrimSuffix(s, unit)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		if l.Polls = n; n < 1 || n > maxPolls {
			r.fail(v.Line, v.path, "must be 1 to %d polls", maxPolls)
		}
		return l
	}
	d, ok := parseTime(s)
	if !ok || d < time.Second || d > 31*24*time.Hour {
		r.fail(v.Line, v.path, "%q is no length such as `10 polls`, 30m or 4h", short(s))
	}
	l.Time = d
	return l
}

func (r *reader) polls(v place) int {
	l := r.length(v)
	if l.Polls == 0 {
		r.fail(v.Line, v.path, "must be in polls, such as `10 polls`: clients differ in how often they ask")
	}
	return l.Polls
}

// maxPolls bounds lengths in polls.
const maxPolls = 1000

func (r *reader) backOut(v place, b *BackOut) {
	r.mapping(v, options{
		"silent_polls": func(v place) { b.SilentPolls = r.polls(v) },
		"protected":    func(v place) { b.Protected = r.number(v, 0, 1_000_000) },
		"others":       func(v place) { b.Others = r.share(v, 0, 1) },
	})
}

func (r *reader) gates(v place, g *Gates) {
	r.mapping(v, options{
		"better_means": func(v place) {
			r.mapping(v, options{
				"share": func(v place) { g.BetterShare = r.share(v, 0, 1) },
				"days":  func(v place) { g.BetterDays = r.number(v, 0, 400) },
			})
		},
		"quiet_days": func(v place) { g.QuietDays = r.number(v, 0, 400) },
		"watched": func(v place) {
			r.mapping(v, options{
				"days":        func(v place) { g.WatchedDays = r.number(v, 0, 400) },
				"longest_gap": func(v place) { g.LongestGap = r.duration(v, 0, 7*24*time.Hour) },
			})
		},
		"no_forgotten":   func(v place) { g.NoForgotten = r.boolean(v) },
		"another_server": func(v place) { g.AnotherServer = r.another(v) },
		"nts_ke": func(v place) {
			r.mapping(v, options{
				"headroom":         func(v place) { g.KEHeadroom = r.factor(v, 0, 1000) },
				"certificate_days": func(v place) { g.CertificateDays = r.number(v, 0, 400) },
			})
		},
	})
}

// another reads mute, true or false.
func (r *reader) another(v place) Another {
	switch v.Value {
	case AnotherOfMute.String():
		return AnotherOfMute
	case "true", "yes":
		return AnotherOfAll
	case "false", "no":
		return AnotherOfNone
	}
	r.fail(v.Line, v.path, "must be true, false, or mute: of those alone that would not show that they are hurt")
	return AnotherOfMute
}

func (r *reader) group(v place, p *Plan, base *Group) {
	g := *base
	g.Line = v.Line
	known := r.selector(&g.Selector)
	known["name"] = func(v place) { g.Name = r.text(v) }
	known["canary"] = func(v place) { r.canary(v, &g.Canary) }
	known["brown_out"] = func(v place) { r.brownOut(v, &g.BrownOut) }
	known["back_out"] = func(v place) { r.backOut(v, &g.BackOut) }
	known["gates"] = func(v place) { r.gates(v, &g.Gates) }
	known["stages"] = func(v place) { r.stages(v, &g, p.Windows.zone()) }
	if r.mapping(v, known) {
		p.Groups = append(p.Groups, &g)
	}
}

// stages reads the targets by means.
func (r *reader) stages(v place, g *Group, zone *time.Location) {
	known := options{"nts": func(v place) {
		r.fail(v.Line, v.path, "NTS is what clients are moved to: it is never refused, and in no brown-out (eight lost answers use up a client's "+
			"cookies, and ntpsec then waits 4096 s)")
	}}
	seen := [MeansCount]bool{}
	for _, name := range []string{"none", "symmetric", "symkey", "autokey"} {
		known[name] = func(v place) {
			m, _ := ParseMeans(name)
			if seen[m] {
				r.fail(v.Line, v.path, "symmetric and symkey are the same")
			}
			seen[m] = true
			r.target(v, &g.Targets[m], zone)
		}
	}
	r.mapping(v, known)
}

func (r *reader) target(v place, t *Target, zone *time.Location) {
	t.Line = v.Line
	stage := func(v place) {
		if i := r.choice(v, stageNames[:]...); i >= 0 {
			t.Stage = Stage(i)
		}
	}
	if v.Kind == yaml.ScalarNode {
		stage(v)
		return
	}
	r.mapping(v, options{
		"stage":      stage,
		"not_before": func(v place) { t.NotBefore = r.date(v, zone, false) },
		"deny":       func(v place) { t.Deny = r.boolean(v) },
	})
}
