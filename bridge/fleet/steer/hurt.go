package steer

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/silence"
)

type memberKey struct {
	prefix netip.Prefix
	key    uint32
}

// look finds out who of a step's clients is hurt. last says that it is over:
// then whoever has not come back is, too.
func (c *Controller) look(now Moment, r *running, last bool) error {
	by := make(map[memberKey]*member, len(r.members)+len(r.protected))
	for _, list := range [][]*member{r.members, r.protected} {
		for _, m := range list {
			by[memberKey{m.prefix, m.key}] = m
		}
	}
	r.hurt, r.unclear = nil, 0
	return c.env.Each(func(k *inventory.Client) {
		for i := range k.Means {
			if k.Means[i].Kind != r.Means.Kind() {
				continue
			}
			m := by[memberKey{k.Prefix, k.Means[i].Key}]
			if m == nil {
				continue
			}
			why, clear := c.hurts(now, r, m, k, i, last)
			if why != "" {
				r.hurt = append(r.hurt, HurtSeen{clientName(m.prefix), m.protected, why})
			} else if !clear {
				r.unclear++
			}
		}
	})
}

// hurts says why a client is hurt, empty if it is not; clear is false if that
// cannot be told.
func (c *Controller) hurts(now Moment, r *running, m *member, k *inventory.Client, at int, last bool) (why string, clear bool) {
	e := &k.Means[at]
	wall, began := uint32(now.Wall.Unix()), uint32(r.began.Wall.Unix())
	if betterSince(k, r, began) {
		return "", true
	}
	poll := max(m.poll, e.Interval)
	if poll == 0 {
		return "", false // it asked once or twice: from cron, perhaps
	}
	if !m.protected {
		span := silence.Span{From: began, To: r.stopped}
		j := c.env.Judge(&silence.Case{Client: k, Before: &inventory.Client{Upstream: m.before}, Refused: []silence.Span{span}, Now: wall,
			Watched: began - min(began, 86400), Ours: c.env.Ours}, at)
		switch {
		case j.Verdict == silence.Hurt && j.Certain:
			return j.Evidence, true
		case j.Verdict.Alternative():
			return "", true
		}
	}
	quiet := time.Duration(wall-min(wall, max(e.Last, began))) * time.Second
	if limit := time.Duration(r.Group.BackOut.SilentPolls) * patience(e.Program, poll); quiet > limit {
		return fmt.Sprintf("silent for %v, which are %d of its polls of %v", quiet, r.Group.BackOut.SilentPolls, poll), true
	}
	if last && !m.protected && r.stopped > 0 && e.Served < r.stopped && poll <= r.Timing.Poll {
		return fmt.Sprintf("not served again within %v after the refusal", time.Duration(wall-r.stopped)*time.Second), true
	}
	return "", true
}

// betterSince tells whether a client was answered by better means since a step
// began.
func betterSince(k *inventory.Client, r *running, began uint32) bool {
	for i := range k.Means {
		if m := &k.Means[i]; m.Served >= began && m.Served > 0 && gate.Better(m, r.Means) {
			return true
		}
	}
	return false
}

// patience is the poll interval by which silence is counted: openntpd waits 300
// s after one loss, timesyncd goes up to six minutes if it has no other server.
func patience(program string, poll time.Duration) time.Duration {
	if strings.Contains(strings.ToLower(program), "openntpd") {
		return max(poll, 45*time.Second)
	}
	return poll
}

// clientName is how a client is shown.
func clientName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
