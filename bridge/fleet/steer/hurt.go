package steer

import (
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
)

type memberKey struct {
	prefix netip.Prefix
	key    uint32
}

// look finds out who of the clients of steps is hurt, in one pass over the
// inventory. Whoever came after its step began is watched from then on, too.
func (c *Controller) look(now Moment, steps []*running) error {
	at := make(map[seat]*running, len(steps))
	for _, r := range steps {
		at[seat{r.Group, r.Means}] = r
		r.hurt, r.unclear = nil, 0
	}
	return c.env.Each(func(k *inventory.Client) {
		for i := range k.Means {
			e := &k.Means[i]
			m, legacy := plan.MeansOf(e.Kind)
			if !legacy {
				continue
			}
			g, protected := c.resolver.Member(k.Prefix, m, e.Key)
			if r := at[seat{g, m}]; r != nil {
				if m := r.member(k, i, protected); m != nil {
					c.lookAt(now, r, m, k, i)
				}
			}
		}
	})
}

// member returns the member that a means of a client is, nil if it is none.
func (r *running) member(k *inventory.Client, at int, protected bool) *member {
	e := &k.Means[at]
	m := r.index[memberKey{k.Prefix, e.Key}]
	if m != nil || e.Last < uint32(r.began.Wall.Unix()) || r.Only != nil && !r.only[k.Prefix] {
		return m
	}
	m = newMember(k, at, protected)
	r.add(m)
	return m
}

func (r *running) add(list ...*member) {
	for _, m := range list {
		r.index[memberKey{m.prefix, m.key}] = m
		if m.protected {
			r.protected = append(r.protected, m)
		} else {
			r.members = append(r.members, m)
		}
	}
}

func (c *Controller) lookAt(now Moment, r *running, m *member, k *inventory.Client, at int) {
	if why := c.hurts(now, r, m, k, at); why != "" {
		r.hurt = append(r.hurt, HurtSeen{clientName(m.prefix), m.protected, why})
	} else if !m.shown && !m.protected {
		r.unclear++
	}
}

// hurts says why a client is hurt, empty if it is not, or cannot show it.
func (c *Controller) hurts(now Moment, r *running, m *member, k *inventory.Client, at int) string {
	e := &k.Means[at]
	wall, began := uint32(now.Wall.Unix()), uint32(r.began.Wall.Unix())
	if betterSince(k, r, began, e) {
		m.shown = true
		return ""
	}
	if e.Unanswered <= 1 && e.Interval > 0 {
		m.poll = e.Interval // before it lost anything
	}
	poll := max(m.poll, e.Interval)
	if poll == 0 {
		return "" // it asked once or twice: from cron, perhaps
	}
	if !m.protected {
		if why := c.judged(r, m, k, at, wall, began); why != "" {
			return why
		}
	}
	quiet := time.Duration(wall-min(wall, max(e.Last, began))) * time.Second
	switch limit := patience(e.Program, poll, r.Group.BackOut.SilentPolls); {
	case m.elsewhere:
	case quiet > limit:
		return fmt.Sprintf("silent for %v, more than %v: %d of its polls of %v", quiet, limit, r.Group.BackOut.SilentPolls, poll)
	case r.over(now) && !m.protected && r.stopped > 0 && e.Served < r.stopped && poll <= r.Timing.Poll:
		return fmt.Sprintf("not served again within %v after the refusal", time.Duration(wall-r.stopped)*time.Second)
	}
	return ""
}

// judged notes what a client shows, and says why it is hurt by that.
func (c *Controller) judged(r *running, m *member, k *inventory.Client, at int, wall, began uint32) string {
	e := &k.Means[at]
	means := append(c.before.Means[:0], inventory.Means{Kind: e.Kind, Key: e.Key, Interval: m.poll})
	c.before = inventory.Client{Upstream: m.before, Means: means}
	c.spans = append(append(c.spans[:0], r.refused...), silence.Span{From: began, To: r.stopped})
	if e.Program == inventory.Chrony {
		m.climb.See(e.Interval, uint32(e.Unanswered))
	}
	j := c.env.Judge(&silence.Case{Client: k, Before: &c.before, Refused: c.spans, Now: wall, Watched: began - min(began, 86400),
		Ours: c.env.Ours, Climb: &m.climb}, at)
	if j.Verdict == silence.Hurt && j.Certain {
		return j.Evidence
	}
	if j.Verdict.Alternative() {
		m.elsewhere = true
	}
	m.shown = m.shown || m.elsewhere || silence.Shows(k, at)
	return ""
}

// betterSince tells whether a client was answered by better means than an old one
// since a step began. What was in use beside that before may be another host's
// behind the address, which must not hide this one.
func betterSince(k *inventory.Client, r *running, began uint32, old *inventory.Means) bool {
	for i := range k.Means {
		m := &k.Means[i]
		if m.Served >= began && m.Served > 0 && gate.Better(m, r.Means) && (m.First >= began || gate.OneHost(k, old, m)) {
			return true
		}
	}
	return false
}

// patience is after which silence a client counts as hurt: so many of its polls.
// openntpd waits 300 s after one loss, timesyncd up to six minutes if it has no
// other server.
func patience(program string, poll time.Duration, polls int) time.Duration {
	limit := time.Duration(polls) * poll
	switch program {
	case inventory.OpenNTPD, inventory.Timesyncd:
		return max(limit, 6*time.Minute+poll)
	}
	return limit
}

// clientName is how a client is shown.
func clientName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
