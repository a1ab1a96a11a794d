package migration

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
)

// The files in the state directory.
const (
	StateFile   = "fleet-state.json"
	HistoryFile = "fleet-history.jsonl"
	keyFile     = "fleet-canary.key"
)

// Options are what a migration works with.
type Options struct {
	Dir string // state directory
	// Each gives every client of the inventory to see.
	Each func(see func(*inventory.Client)) error
	// Where resolves labels; Autokey groups are taken from the inventory.
	Where func() stage.Where
	// Facts are those of the gates that no client tells.
	Facts        func(now time.Time) gate.Facts
	Ours         func(refid uint32) bool
	Synchronised func() bool
	Enforce      func(*stage.Resolver, []stage.Refusal)
	Happened     func(*history.Entry) // told of each entry that was written; nil: nobody is
	NoPrograms   string               // why notify.command cannot be run; empty: it can
	Site         *site.Site           // the other gateways; nil: this one is alone
	Log          hclog.Logger
}

// Migration is safe for concurrent use.
type Migration struct {
	opt      Options
	started  time.Time
	notifier notifier
	end      chan struct{}
	wait     sync.WaitGroup

	offering atomic.Bool // the plan is being offered to the site

	mu         sync.Mutex
	c          *steer.Controller
	history    *history.File // nil: it could not be opened
	broken     error         // why
	resolved   time.Time
	tried      bool      // a step was being, at the last tick
	unfollowed time.Time // when that was logged last
}

// where adds the Autokey groups that clients told.
func (m *Migration) where() stage.Where {
	w := m.opt.Where()
	if w.Autokey == nil {
		w.Autokey = autokeyGroups(m.opt.Each)
	}
	return w
}

func (m *Migration) moment(now time.Time) steer.Moment {
	return steer.Moment{Wall: now, Uptime: now.Sub(m.started), Synchronised: m.opt.Synchronised()}
}

// resolveInterval is how often Autokey groups are looked up in the inventory.
const resolveInterval = time.Minute

// Resolve is called when labels have changed.
func (m *Migration) Resolve() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.c.Resolve(m.moment(time.Now()))
}

func namesAutokey(p *plan.Plan) bool {
	for _, g := range p.Groups {
		if len(g.AutokeyGroups) > 0 {
			return true
		}
	}
	for i := range p.Protected {
		if len(p.Protected[i].AutokeyGroups) > 0 {
			return true
		}
	}
	return false
}

// autokeyGroups are the groups that clients told, by their prefix.
func autokeyGroups(each func(func(*inventory.Client)) error) map[netip.Prefix]string {
	groups := map[netip.Prefix]string{}
	_ = each(func(c *inventory.Client) {
		if c.Group != "" && c.Prefix.IsValid() {
			groups[c.Prefix] = c.Group
		}
	})
	return groups
}

// notifier tells commands and webhooks, one after the other.
type notifier struct {
	log        hclog.Logger
	noPrograms string
	queue      chan notice
	end        context.CancelFunc
	wait       sync.WaitGroup
}
