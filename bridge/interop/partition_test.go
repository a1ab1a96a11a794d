package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/history"
	fleetsite "ntsbridge/bridge/fleet/site"
)

// siteLimit is for gateways to find out what happened to etcd: a lease or two.
const siteLimit = time.Minute

// leader returns the host whose member leads, and the others.
func (e *etcds) leader() (leader *Host, others []*Host) {
	e.t.Helper()
	Await(e.t, siteLimit, Condition{"etcd has a leader", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := e.hosts[0].Output(ctx, Program{Root: EtcdRoot, Path: "/usr/bin/etcdctl"}, "--endpoints", strings.Join(e.urls, ","),
			"endpoint", "status", "-w", "json")
		if err != nil {
			return err
		}
		var list []struct {
			Endpoint string
			Status   struct {
				Header struct {
					Member uint64 `json:"member_id"`
				}
				Leader uint64
			}
		}
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			return err
		}
		leader, others = nil, nil
		for i, x := range list {
			if x.Status.Leader == x.Status.Header.Member {
				leader = e.hosts[i]
			} else {
				others = append(others, e.hosts[i])
			}
		}
		if leader == nil || len(list) != len(e.hosts) {
			return errors.New(out)
		}
		return nil
	}})
	return leader, others
}

// startSiteGateway starts one of several gateways, which have what else is needed in
// more.
func startSiteGateway(h *Host, urls []string, names []string, lease, more string) *steering {
	h.t.Helper()
	list := ""
	for _, name := range names {
		list += fmt.Sprintf("{name: %s}, ", name)
	}
	f := startFollower(h, fmt.Sprintf("log: {level: debug}\nclock: {mode: local, stratum: 8}\nnts: {enabled: false}\n%s"+
		"fleet: {etcd: {endpoints: [%s], name: %s, timeout: 2s, lease: %s, facts_interval: 10s, gateways: [%s]}}\n",
		more, strings.Join(urls, ", "), h.Name, lease, list))
	return &steering{h.t.(*testing.T), h, f.program, filepath.Join(h.Dir, "run"), f.Daemon}
}

// site is the site as a gateway sees it.
func (f *steering) site() (s *fleetsite.Status, err error) {
	out, err := f.try("status", "--site", "--json")
	if err == nil {
		s = new(fleetsite.Status)
		err = json.Unmarshal([]byte(out), s)
	}
	return s, err
}

// complete is the condition that a gateway sees so many, itself included, that
// count.
func (f *steering) complete(n int) Condition {
	return Condition{f.host.Name + " sees all gateways", func() error {
		s, err := f.site()
		if err != nil {
			return err
		}
		here := 0
		for _, g := range s.Gateways {
			if g.Here && g.Why == "" {
				here++
			}
		}
		if here != n || !s.Connected {
			return fmt.Errorf("%+v", s)
		}
		return nil
	}}
}

// refusals are when a client without an answer had asked.
type refusals struct {
	mu    sync.Mutex
	times map[*Host][]time.Time
}

// askSteadily asks each of some servers twice a second, until the test ends.
func askSteadily(t *testing.T, client *Host, servers ...*Host) *refusals {
	r := &refusals{times: map[*Host][]time.Time{}}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	for _, s := range servers {
		wait.Go(func() {
			ticker := time.NewTicker(500 * time.Millisecond)
			defer ticker.Stop()
			for ctx.Err() == nil {
				began := time.Now()
				if err := client.Do(func() error { return simpleAsk(s.IPv4, sntpFirst) }); err != nil {
					r.mu.Lock()
					r.times[s] = append(r.times[s], began)
					r.mu.Unlock()
				}
				<-ticker.C
			}
		})
	}
	t.Cleanup(func() { cancel(); wait.Wait() })
	return r
}

// of returns the first and the last refusal by a server since a time, and how many
// there were.
func (r *refusals) of(s *Host, since time.Time) (first, last time.Time, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.times[s] {
		if t.Before(since) {
			continue
		}
		if n++; n == 1 {
			first = t
		}
		last = t
	}
	return first, last, n
}

const partitionPlan = `gates: {better_means: {share: 0}, watched: {days: 0}, no_forgotten: false, another_server: false,
  nts_ke: {headroom: 0, certificate_days: 0}}
back_out: {others: 0}
canary: {share: 50%%, max: 5, polls: 10}
groups:
  - {name: plain, prefixes: [%s], stages: {none: canary}}
`

// TestLongPartition cuts the network of a real etcd of three members in two, with the
// leader and the gateway that tries a step in the smaller part. The step ends there
// before the other gateway can begin one; what was ordered and seen meanwhile is
// told when the network is whole again; and everybody is served all the while.
func TestLongPartition(t *testing.T) {
	requireLong(t)
	if standsIn(t) {
		t.Skip("the gateways are ntsbridge's")
	}
	n := NewNetwork(t)
	members := []*Host{n.Host("e1"), n.Host("e2"), n.Host("e3")}
	gw1, gw2, client, late := n.Host("gw1"), n.Host("gw2"), n.Host("client"), n.Host("late")
	n.Names()
	back := n.Backbone(append([]*Host{gw1, gw2}, members...)...)
	etcd := startEtcds(t, back, members...)
	leader, _ := etcd.leader()
	names := []string{"gw1", "gw2"}
	a, b := startSiteGateway(gw1, etcd.urls, names, "6s", ""), startSiteGateway(gw2, etcd.urls, names, "6s", "")
	asked := askSteadily(t, client, gw1, gw2)
	Await(t, siteLimit, a.complete(2), b.complete(2))
	served := time.Now()
	gw1.Write("fleet.yaml", fmt.Sprintf(partitionPlan, client.IPv4))
	a.do("apply", filepath.Join(gw1.Dir, "fleet.yaml"), "--reason", "test")
	stands := func(f *steering, stage string, runs bool) Condition {
		return Condition{f.host.Name + " stands at " + stage, func() error {
			p, err := f.place("plain", "none")
			if err == nil && (p.Stage != stage || (p.Running != nil) != runs) {
				err = fmt.Errorf("%+v, %+v", p, p.Running)
			}
			return err
		}}
	}
	advances := func(f *steering, args ...string) Condition {
		return Condition{f.host.Name + " takes a step", func() error {
			_, err := f.try(append([]string{"advance", "plain", "--reason", "test"}, args...)...)
			return err
		}}
	}
	Await(t, siteLimit, stands(b, "observe", false)) // it follows the plan
	Await(t, siteLimit, advances(a), advances(b))
	Await(t, siteLimit, advances(a))
	Await(t, siteLimit, stands(a, "warn", true), Condition{"gw1 refuses", func() error {
		if _, _, n := asked.of(gw1, served); n < 2 {
			return fmt.Errorf("%d refusals", n)
		}
		return nil
	}})
	if _, err := b.try("advance", "plain"); err == nil || !strings.Contains(err.Error(), "gw1") {
		t.Errorf("two gateways try a step: %v", err)
	}

	back.Split(leader, gw1)
	Await(t, siteLimit, advances(b, "--force"))
	Await(t, siteLimit, stands(a, "warn", false), stands(b, "warn", true), Condition{"gw2 refuses", func() error {
		if _, _, n := asked.of(gw2, served); n < 2 {
			return fmt.Errorf("%d refusals", n)
		}
		return nil
	}})
	if _, err := a.try("advance", "plain", "--force", "--reason", "test"); err == nil || !strings.Contains(err.Error(), "etcd is away") {
		t.Errorf("a gateway that is cut off begins a step: %v", err)
	}
	if s, err := b.site(); err != nil || !strings.Contains(fmt.Sprintf("%+v", s), "is gone since") || s.Lock != "gw2" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := late.Do(func() error { return simpleAsk(gw1.IPv4, sntpFirst) }); err != nil {
		t.Errorf("a gateway that is cut off does not serve: %v", err)
	}
	a.do("hold", "plain", "--reason", "test")

	back.Split()
	Await(t, siteLimit, a.complete(2), b.complete(2), Condition{"gw2 holds what was ordered on gw1, and knows its client", func() error {
		p, err := b.place("plain", "none")
		if err == nil && p.Held == "" {
			err = fmt.Errorf("%+v", p)
		}
		if err != nil {
			return err
		}
		rows, err := readClients(gw2, b.program, "clients", "--site", "--json", "--run-dir", b.run)
		if _, ok := rows[late.IPv4.String()]; err == nil && !ok {
			err = fmt.Errorf("%+v", rows)
		}
		return err
	}})
	_, last, _ := asked.of(gw1, served)
	first, _, _ := asked.of(gw2, served)
	if !last.Before(first) {
		t.Errorf("gw1 refused until %v, and gw2 from %v", last, first)
	}
	t.Logf("gw1's last refusal is %v before the first one of gw2", first.Sub(last).Round(100*time.Millisecond))
	Await(t, siteLimit, Condition{"one history", func() error { return b.oneHistory("gw1", "gw2") }})
}

// oneHistory wants what two gateways wrote down in the history of the site, each
// once, with a step of the first one that ended before the second one began its.
func (f *steering) oneHistory(before, after string) error {
	out, err := f.try("history", "--site", "--json")
	if err != nil {
		return err
	}
	var ended, began time.Time
	seen := map[string]bool{}
	for line := range strings.Lines(out) {
		var e history.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return permanent{err}
		}
		if seen[e.Gateway+e.Origin] {
			return permanent{fmt.Errorf("twice: %s", line)}
		}
		seen[e.Gateway+e.Origin] = true
		switch {
		case e.Gateway == before && e.What == history.Ended:
			ended = e.Time
		case e.Gateway == after && e.What == history.Began:
			began = e.Time
		}
	}
	if ended.IsZero() || began.IsZero() {
		return errors.New(out)
	}
	if !ended.Before(began) {
		return permanent{fmt.Errorf("the step of %s ended at %v, that of %s began at %v", before, ended, after, began)}
	}
	return nil
}
