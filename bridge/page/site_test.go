package page

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/ntp"
)

// others are what two more gateways know: each of most clients of this one, and
// of some that it does not see.
type others struct {
	names []string
	lists []map[inventory.Key]*inventory.Client
	mu    sync.Mutex
	used  map[inventory.Key]bool
}

func (o *others) Names() []string { return o.names }

func (o *others) Add(c *inventory.Client) {
	o.mu.Lock()
	o.used[c.Key] = true
	o.mu.Unlock()
	for _, list := range o.lists {
		merge(c, list[c.Key])
	}
}

func merge(c, from *inventory.Client) {
	if from == nil {
		return
	}
	for _, m := range from.Means {
		i := slices.IndexFunc(c.Means, func(k inventory.Means) bool { return k.Kind == m.Kind && k.Key == m.Key })
		if i < 0 {
			c.Means = append(c.Means, m)
		}
	}
	c.Last = max(c.Last, from.Last)
}

func (o *others) RestOf(part, _ int, see func(c *inventory.Client)) {
	if part > 0 {
		return
	}
	for _, list := range o.lists {
		for k, c := range list {
			if !o.used[k] {
				o.used[k] = true
				all := *c
				see(&all)
			}
		}
	}
}

func (o *others) Find(k *inventory.Key, hashed bool, c *inventory.Client) (ok bool) {
	for _, list := range o.lists {
		if from := list[*k]; from != nil && !ok {
			*c, ok = *from, true
		} else {
			merge(c, from)
		}
	}
	return ok
}

func (o *others) Near([]inventory.Key) uint8 { return 0 }

func (o *others) Of(gateway string, c *inventory.Client) (inventory.Client, bool) {
	if from := o.lists[slices.Index(o.names, gateway)][c.Key]; from != nil {
		return *from, true
	}
	return inventory.Client{}, false
}

// others makes them anew, as each look does.
func (w *world) others() fleet.Others {
	o := &others{names: []string{"gw2", "gw3"}, used: map[inventory.Key]bool{}}
	today := uint32(w.now.Unix()) / 86400 * 86400
	for g := range o.names {
		list := map[inventory.Key]*inventory.Client{}
		_ = w.fleet.Each(func(c *inventory.Client) {
			if (int(c.Key[15])+g)%3 != 0 {
				k := *c
				k.Means = slices.Clone(c.Means)
				for i := range k.Means {
					k.Means[i].Last = k.Means[i].Last/86400*86400 - uint32(g*86400)
				}
				list[k.Key] = &k
			}
		})
		for n := range 12 {
			a := netip.AddrFrom4([4]byte{10, 1, 200, byte(10*g + n)})
			c := &inventory.Client{Prefix: netip.PrefixFrom(a, 32), First: today - 40*86400, Last: today, Hosts: 1, Addresses: 1,
				Means: []inventory.Means{{Kind: ntp.KindNone, First: today - 40*86400, Last: today, Answered: 1, Served: today}}}
			b := a.As16()
			copy(c.Key[:], b[:])
			c.Key[16] = 128
			list[c.Key] = c
		}
		o.lists = append(o.lists, list)
	}
	return o
}

// join makes this gateway one of three, of which one is gone.
func (w *world) join() {
	since := report.Time(w.now.Add(-60 * 24 * time.Hour).Unix())
	w.src.Site = control.Site{Status: w.siteStatus, History: func(_ context.Context, see func(*history.Entry) error) (history.End, error) {
		return w.migration.History(func(e *history.Entry) error {
			c := *e
			c.Gateway = []string{"gw1", "gw2"}[e.Number%2]
			return see(&c)
		})
	}}
	w.src.Inventory.Site = &control.SiteInventory{Gateways: func() []string { return []string{"gw1", "gw2", "gw3"} },
		Stream: func(ctx context.Context, f *report.Filter, emit func(*report.Row) error) error {
			return w.fleet.StreamSite(ctx, f, "gw1", w.others(), emit)
		},
		Page: func(ctx context.Context, f *report.Filter, from string, size int, emit func(*report.Row) error) (*report.Part, error) {
			return w.fleet.PageSite(ctx, f, "gw1", w.others(), from, size, emit)
		},
		Keys: func(ctx context.Context) ([]*report.Key, error) {
			return w.fleet.KeysSite(ctx, map[uint32]string{5: "SHA1"}, w.others())
		},
		Summary: func(ctx context.Context, by string) (*report.Summary, error) {
			return w.fleet.SummarySite(ctx, by, since, w.others())
		},
		Days: func(ctx context.Context) ([]report.DayCount, error) { return w.fleet.DaysSite(ctx, since, w.others()) }}
}

// siteStatus is what etcd would tell.
func (w *world) siteStatus() *site.Status {
	s := &site.Status{Name: "gw1", Connected: true, Since: w.now.Add(-50 * time.Hour), Plan: 4, Lock: "gw1", Pending: 3,
		Endpoints: []string{"https://etcd1.example.net:2379"}, Secrets: "etcd"}
	places := func(ranks ...string) (list []site.Place) {
		for i, p := range w.status(true).Places {
			stage, _, _ := strings.Cut(ranks[i%len(ranks)], " ")
			rank := slices.Index(stageNames(), stage)
			list = append(list, site.Place{Group: p.Group, Means: p.Means, Stage: stage, Rank: rank, Held: p.Held})
		}
		return list
	}
	own := places("observe", "warn", "observe", "observe", "brown-out", "warn", "warn")
	own[4].Trying, own[4].Refuses, own[4].Round = "brown-out 2", true, 1
	s.Gateways = []site.Gateway{
		{Name: "gw1", Here: true, Since: w.now.Add(-50 * time.Hour), Clients: 3000, Version: "1.0", Plan: 4, Declared: true, Places: own},
		{Name: "gw2", Here: true, Since: w.now.Add(-30 * time.Hour), Clients: 2012, Version: "1.0", Plan: 4, Declared: true, Ahead: -0.4,
			Places: places("observe", "warn", "observe", "observe", "canary", "warn", "warn")},
		{Name: "gw3", Since: w.now.Add(-20 * time.Minute), Plan: 3, Declared: true, Why: "is gone since 2026-11-29T14:10:00Z",
			Places: places("observe", "observe", "observe")},
		{Name: "gw9-of-before", Since: w.now.Add(-90 * 24 * time.Hour), Plan: 1}}
	return s
}

// sitePages are those with all gateways in them.
var sitePages = []string{"/site", "/clients?site=1", "/client?address=10.1.200.3", "/client?address=10.0.0.1", "/keys?site=1",
	"/history?site=1"}

// The page shows the whole site: who is missing and where each gateway stands,
// and the clients, keys and deeds of all of them.
func TestSite(t *testing.T) {
	w := newWorld(t, 450)
	w.join()
	p := w.page()
	for path, wants := range map[string][]string{
		"/": {`href="/site"`, "2 of 3", "gw3 is gone since"},
		"/site": {"1 gateway does not count", "gw9-of-before", "not declared", "tries brown-out 2",
			"others are further", "another</span>", "this one", "−400 ms"},
		"/clients?site=1":            {"of 472 clients", ">gw3</th>", "today</td>", "Export all 472"},
		"/client?address=10.1.200.3": {"Where it was seen", "<td>–</td><td>today</td><td>–</td>"},
		"/keys?site=1":               {"all gateways", `href="/clients?site=1&amp;key=5"`},
		"/history?site=1":            {"at gw2", "all gateways"}, "/history?site=1&before=3": {`href="/history?site=1"`},
		"/clients?site=1&limit=100": {`rel="next"`}} {
		got := get(p, path, remote.Write)
		body := got.Body.String()
		if got.Code != http.StatusOK || inline(body) != "" {
			t.Fatalf("%s: %d %s", path, got.Code, inline(body))
		}
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s does not show %q: %s", path, want, body)
			}
		}
	}
	if csv := get(p, "/clients.csv?site=1&legacy_only=1", remote.Read).Body.String(); !strings.Contains(csv, ",gw1,gw2,gw3\n") ||
		!strings.Contains(csv, "10.1.200.3,") {
		t.Error(csv[:min(len(csv), 400)])
	}
	alone := newWorld(t, 10).page()
	for _, path := range []string{"/site", "/keys?site=1", "/history?site=1"} {
		if got := get(alone, path, remote.Read); got.Code != http.StatusNotFound || !strings.Contains(got.Body.String(), "is alone") {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	if got := get(alone, "/clients?site=1", remote.Read); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "is alone") {
		t.Errorf("%d", got.Code)
	}
	if body := get(alone, "/", remote.Read).Body.String(); strings.Contains(body, `"/site"`) {
		t.Error("a gateway that is alone has a site")
	}
}

// etcd that is away is said, and nobody is taken to be here.
func TestSiteWithoutEtcd(t *testing.T) {
	w := newWorld(t, 50)
	w.join()
	w.src.Site.Status = func() *site.Status {
		s := w.siteStatus()
		s.Connected, s.Error = false, "etcd is away: context deadline exceeded"
		for i := range s.Gateways {
			s.Gateways[i].Here, s.Gateways[i].Why = false, "etcd is away: this is what was known last"
		}
		return s
	}
	w.src.Site.History = func(context.Context, func(*history.Entry) error) (history.End, error) {
		return history.End{}, fmt.Errorf("%w", site.ErrAway)
	}
	p := w.page()
	for path, want := range map[string]string{"/": "etcd is away", "/site": "nobody knows what the other gateways do",
		"/history?site=1": "etcd is away"} {
		if got := get(p, path, remote.Read); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), want) {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
}
