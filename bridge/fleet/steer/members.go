package steer

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
	"ntsbridge/bridge/fleet/stage"
)

// member is one means of one client that a step is about, as it was when the
// step began, or when it came while the step ran.
type member struct {
	prefix    netip.Prefix
	key       uint32
	poll      time.Duration // 0: not known
	count     int           // addresses
	protected bool
	before    inventory.Upstream
	shown     bool // whether it is hurt: its packets would show that, or have shown another server
	elsewhere bool // it has another server
	mute      bool // as of the begin, it would not show that it is hurt
	climb     silence.Climb
}

// newMember makes a member of the means of a client at a place.
func newMember(k *inventory.Client, at int, protected bool) *member {
	e := &k.Means[at]
	return &member{prefix: k.Prefix, key: e.Key, poll: e.Interval, count: max(1, k.Addresses), protected: protected,
		before: k.Upstream, mute: !silence.Shows(k, at)}
}

func active(e *inventory.Means, wall uint32) bool { return stage.Active(e.Last, e.Interval, wall) }

// roster is who is in a group by a means: those that a step would refuse, if
// they still ask, and those that are protected.
type roster struct {
	list, protected []*member
	idle            int   // that asked in the last idleDays, and do not now
	err             error // why that cannot be told
}

// idleDays is for how long a client that does not ask now is still told of: it may
// be a job of cron, or be switched on again.
const idleDays = 30

// seat is a means of a group.
type seat struct {
	group *plan.Group
	means plan.Means
}

// rosters finds the clients of some places, in one pass over the inventory.
func (c *Controller) rosters(now Moment, places []*Place) map[*Place]*roster {
	all := make(map[*Place]*roster, len(places))
	at := make(map[seat]*roster, len(places))
	for _, p := range places {
		if g := c.group(p); g != nil {
			all[p] = &roster{}
			at[seat{g, p.means()}] = all[p]
		}
	}
	wall := uint32(now.Wall.Unix())
	err := c.env.Each(func(k *inventory.Client) {
		if k.Hashed || !k.Prefix.IsSingleIP() {
			for s, r := range at {
				r.err = firstError(r.err, c.unclear(k, s.group))
			}
		}
		for i := range k.Means {
			e := &k.Means[i]
			m, legacy := plan.MeansOf(e.Kind)
			if !legacy || e.Last+idleDays*86400 < wall {
				continue
			}
			g, protected := c.resolver.Member(k.Prefix, m, e.Key)
			switch r := at[seat{g, m}]; {
			case r == nil:
			case !active(e, wall):
				if !protected {
					r.idle++
				}
			case protected:
				r.protected = append(r.protected, newMember(k, i, true))
			default:
				r.list = append(r.list, newMember(k, i, false))
			}
		}
	})
	for _, r := range all {
		r.err = firstError(err, r.err)
	}
	return all
}

// firstError returns the first of two errors that is one.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// unclear says why it cannot be told whether a row of the inventory is in a
// group: then nobody knows whom a step would refuse.
func (c *Controller) unclear(k *inventory.Client, g *plan.Group) error {
	switch {
	case k.Hashed || !k.Prefix.IsValid():
		return errors.New("the inventory keeps addresses as hashes (fleet.privacy.addresses: hash), so nobody knows whom a step would refuse: " +
			"use full or short")
	case c.resolver.Splits(k.Prefix, g):
		return fmt.Errorf("%v is one row of the inventory, and only a part of it is in %s: name prefixes that are not longer than that",
			k.Prefix, g.Name)
	}
	return nil
}
