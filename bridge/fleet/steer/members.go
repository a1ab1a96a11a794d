package steer

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
)

// member is one means of one client that a step is about, as it was when the
// step began.
type member struct {
	prefix    netip.Prefix
	key       uint32
	poll      time.Duration // 0: not known
	count     int           // addresses
	protected bool
	last      uint32
	before    inventory.Upstream
}

// activeTime and activePolls are how long ago a client may have asked to count
// as one that still does.
const (
	activeTime  = 3600 // s
	activePolls = 4
)

// members finds who is in a group by a means: those that a step would refuse,
// if they still ask, and those that are protected.
func (c *Controller) members(now Moment, g *plan.Group, m plan.Means) (list, protected []*member, err error) {
	wall := uint32(now.Wall.Unix())
	var unclear error
	err = c.env.Each(func(k *inventory.Client) {
		if unclear == nil {
			unclear = c.unclear(k, g)
		}
		for i := range k.Means {
			e := &k.Means[i]
			if e.Kind != m.Kind() {
				continue
			}
			of, isProtected := c.resolver.Member(k.Prefix, m, e.Key)
			if of != g {
				continue
			}
			poll := uint32(e.Interval / time.Second)
			if wall > e.Last+max(activeTime, activePolls*poll) {
				continue
			}
			n := &member{prefix: k.Prefix, key: e.Key, poll: e.Interval, count: max(1, k.Addresses), protected: isProtected, last: e.Last,
				before: k.Upstream}
			if isProtected {
				protected = append(protected, n)
			} else {
				list = append(list, n)
			}
		}
	})
	return list, protected, errors.Join(err, unclear)
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
