package simulate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/ntp"
)

// Targets is the Policy.Stage that takes each means of each group to the stage
// that the plan names.
const Targets = plan.Stage(plan.StageCount)

// Policy is what is simulated.
type Policy struct {
	Plan  *plan.Plan
	Where stage.Where
	// Stage is how far all are taken, at most to what the plan names for them.
	Stage  plan.Stage
	Groups []string // only these; none: all
	Key    []byte   // chooses the clients of a canary
	Gateway
}

// Gateway is what the gateway would serve without the plan.
type Gateway struct {
	Access *access.Table       // nil: everybody, by every means
	HasKey func(uint32) bool   // nil: every key
	No     map[ntp.Kind]bool   // kinds that are switched off
	Ours   func(uint32) bool   // whether a reference identifier is an address of ours; nil: not known
	Shown  func(uint32) string // digest of a key, nil: not known
}

// Each gives every client to a function, which must not keep it.
type Each func(see func(*inventory.Client)) error

// Simulation is a policy in force over an inventory.
type Simulation struct {
	policy   Policy
	now      uint32
	watched  uint32
	resolver *stage.Resolver
	table    *access.Table
	steps    map[*access.Step]placed
}

// placed is a step with what it belongs to.
type placed struct {
	group string
	means plan.Means
	stage plan.Stage
}

// New puts a policy in force. each is asked once if the stage is a canary, whose
// clients have to be chosen. watched is since when the inventory has watched
// without a gap, now when it was last fed: seconds since 1970.
func New(p Policy, each Each, now, watched uint32) (*Simulation, error) {
	for _, name := range p.Groups {
		if p.Plan.Group(name) == nil {
			return nil, fmt.Errorf("the plan has no group %q", name)
		}
	}
	s := &Simulation{policy: p, now: now, watched: watched, resolver: stage.NewResolver(p.Plan, p.Where), steps: map[*access.Step]placed{}}
	if s.table = p.Access; s.table == nil {
		var err error
		if s.table, err = access.NewTable(everybody()); err != nil {
			return nil, err
		}
	}
	refusals, err := s.refusals(each)
	if err != nil {
		return nil, err
	}
	if o := s.resolver.Compile(refusals); o != nil {
		s.table = s.table.With(o)
	}
	return s, nil
}

// everybody are rules that allow everything.
func everybody() []access.Rule {
	rule := access.Rule{Name: "everybody", Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Action: access.Allow,
		Kinds: access.AllKinds, MinVersion: 1}
	other := rule
	other.Prefix = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	return []access.Rule{rule, other}
}

// stageOf is how far the policy takes a means of a group.
func (p *Policy) stageOf(g *plan.Group, m plan.Means) plan.Stage {
	if len(p.Groups) > 0 && !slices.Contains(p.Groups, g.Name) || g.Targets[m].Line == 0 {
		return plan.Observe
	}
	return min(p.Stage, g.Targets[m].Stage)
}

// refusals are the steps that refuse under the policy.
func (s *Simulation) refusals(each Each) (list []stage.Refusal, err error) {
	canaries := map[placed][]stage.Candidate{}
	for _, g := range s.policy.Plan.Groups {
		for m := range plan.Means(plan.MeansCount) {
			at := s.policy.stageOf(g, m)
			if at < plan.CanaryRefusal {
				continue
			}
			step := &access.Step{ID: uint32(len(list) + 1), Deny: at == plan.Removed && g.Targets[m].Deny}
			s.steps[step] = placed{g.Name, m, at}
			list = append(list, stage.Refusal{Step: step, Group: g.Name, Means: m})
			if at == plan.CanaryRefusal {
				canaries[s.steps[step]] = nil
			}
		}
	}
	if len(canaries) == 0 {
		return list, nil
	}
	if err := s.candidates(each, canaries); err != nil {
		return nil, err
	}
	for i := range list {
		if p := s.steps[list[i].Step]; p.stage == plan.CanaryRefusal {
			c := &s.policy.Plan.Group(p.group).Canary
			list[i].Only = append([]netip.Prefix{}, stage.Canary(s.policy.Key, p.means, canaries[p], c.Share, c.Max)...)
		}
	}
	return list, nil
}

// candidates finds the clients that canaries are chosen of.
func (s *Simulation) candidates(each Each, canaries map[placed][]stage.Candidate) error {
	if len(s.policy.Key) == 0 {
		return errors.New("a canary cannot be simulated without the key that chooses its clients")
	}
	return each(func(c *inventory.Client) {
		for i := range c.Means {
			m, ok := plan.MeansOf(c.Means[i].Kind)
			if !ok || !stage.Active(c.Means[i].Last, c.Means[i].Interval, s.now) {
				continue // the canary is chosen of those that ask
			}
			g, protected := s.resolver.Member(c.Prefix, m, c.Means[i].Key)
			if g == nil || protected {
				continue
			}
			p := placed{g.Name, m, s.policy.stageOf(g, m)}
			if list, wanted := canaries[p]; wanted {
				canaries[p] = append(list, stage.Candidate{Prefix: c.Prefix, Count: max(1, c.Addresses)})
			}
		}
	})
}

// How long ago a means may have been used to count as one that the client still
// uses: in the last week of its life, and the client itself in the last month.
const (
	usedSpan = 7 * 86400
	awaySpan = 30 * 86400
)

func (s *Simulation) away(c *inventory.Client) bool { return s.now-min(s.now, c.Last) > awaySpan }

func (s *Simulation) uses(c *inventory.Client, m *inventory.Means) bool {
	return !s.away(c) && c.Last-min(c.Last, m.Last) <= usedSpan
}

// Fate is what becomes of packets by one means of a client.
type Fate struct {
	Served bool
	Reason ntp.Reason // why not
	Deny   bool       // by kiss code instead of silence
	Group  string     // whose step refuses it
	Stage  plan.Stage
}

// Fate tells what becomes of a client's packets by one of its means. known is
// false where the address is not kept.
func (s *Simulation) Fate(c *inventory.Client, m *inventory.Means) (f Fate, known bool) {
	if !c.Prefix.IsValid() {
		return f, false
	}
	return s.fate(netip.AddrPortFrom(c.Prefix.Addr(), m.Port), m), true
}

func (s *Simulation) fate(from netip.AddrPort, m *inventory.Means) Fate {
	rule := s.table.Lookup(from)
	if action, reason := rule.Judge(m.Kind, max(m.Version, 1)); action != ntp.Answer {
		return Fate{Reason: reason, Deny: action == ntp.KissDeny}
	}
	if s.policy.No[m.Kind] {
		return Fate{Reason: ntp.ReasonNotEnabled}
	}
	if m.Kind == ntp.KindSymmetric {
		if s.policy.HasKey != nil && !s.policy.HasKey(m.Key) {
			return Fate{Reason: ntp.ReasonUnknownKey}
		}
		if action, reason := rule.JudgeKey(m.Key); action != ntp.Answer {
			return Fate{Reason: reason, Deny: action == ntp.KissDeny}
		}
	}
	if step := rule.Refuses(m.Kind, m.Key); step != nil {
		p := s.steps[step]
		return Fate{Reason: ntp.ReasonStage, Deny: step.Deny, Group: p.group, Stage: p.stage}
	}
	return Fate{Served: true}
}

func (s *Simulation) label(c *inventory.Client) *label.Label {
	return s.policy.Where.Labels.Lookup(c.Prefix)
}

func at(seconds uint32) *time.Time {
	if seconds == 0 {
		return nil
	}
	t := time.Unix(int64(seconds), 0).UTC()
	return &t
}
