package page

import (
	"context"
	"encoding/binary"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

// world is a site that a page shows: a real inventory and a real migration, and
// reports of clock and sources as a daemon would make them.
type world struct {
	t         testing.TB
	now       time.Time
	fleet     *fleet.Fleet
	migration *migration.Migration
	src       control.Sources
}

const worldPlan = `gates: {better_means: {share: 95%, days: 7}, quiet_days: 30, watched: {days: 14}}
groups:
  - {name: frankfurt, prefixes: [10.0.0.0/16], stages: {symmetric: refuse, autokey: removed, none: refuse}}
  - {name: amsterdam, prefixes: [10.1.0.0/16], stages: {symmetric: removed, none: refuse}}
  - {name: laboratory, prefixes: [10.2.0.0/16], stages: {none: refuse, symmetric: refuse}}
`

const worldLabels = `prefix,owner,site,note
10.0.0.0/17,payments,fra,
10.0.128.0/17,storage,fra,move first
10.1.0.0/16,web,ams,
10.2.0.0/16,research,lab,"<script>alert(1)</script> & ""quotes"""
`

// newWorld makes a site with so many clients.
func newWorld(t testing.TB, clients int) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 29, 14, 30, 0, 0, time.UTC)}
	labels, err := label.Parse("labels.csv", []byte(worldLabels))
	if err != nil {
		t.Fatal(err)
	}
	names := &report.Names{Labels: label.NewSet(labels), Digest: func(id uint32) string {
		return map[uint32]string{5: "SHA1",
			7: "AES128CMAC"}[id]
	},
		AEAD: func(id uint16) string { return "AES-SIV-CMAC-256" }}
	cfg := fleet.Config{Enabled: true, Clients: max(clients*5/4, 1000), Now: func() time.Time { return w.now }}
	if w.fleet, err = fleet.Open(cfg, names, hclog.NewNullLogger()); err != nil {
		t.Fatal(err)
	}
	w.populate(clients)
	w.migrate()
	w.report()
	return w
}

// sight is what a client is seen to use at a time.
type sight struct {
	kind   ntp.Kind
	key    uint32
	ago    time.Duration
	reason ntp.Reason
}

// populate lets clients ask: some by NTS, some by a key, some by both.
func (w *world) populate(clients int) {
	const day = 24 * time.Hour
	feed := w.fleet.Attach()
	noted := 0
	for i := range clients {
		site := []byte{0, 0, 0, 1, 1, 2}[i%6]
		n := i/6*3 + i%6%3 // of no two clients of a site the same
		from := netip.AddrFrom4([4]byte{10, site, byte(n >> 8), byte(n)})
		recent := time.Duration(i%3600) * time.Second
		var list []sight
		switch k := i * 7919 % 100; {
		case k < 52: // moved, the one earlier than the other
			moved := time.Duration(i*31%40) * day
			list = []sight{{ntp.KindSymmetric, 5, 60 * day, ntp.ReasonOK}, {ntp.KindSymmetric, 5, moved + day, ntp.ReasonOK},
				{ntp.KindNTS, 15, moved, ntp.ReasonOK}, {ntp.KindNTS, 15, recent, ntp.ReasonOK}}
		case k < 78:
			list = []sight{{ntp.KindSymmetric, 5 + 2*uint32(i%2), 50 * day, ntp.ReasonOK}, {ntp.KindSymmetric,
				5 + 2*uint32(i%2), recent, ntp.ReasonOK}}
		case k < 84:
			list = []sight{{ntp.KindAutokey, 0, 50 * day, ntp.ReasonOK}, {ntp.KindAutokey, 0, recent, ntp.ReasonOK}}
		case k < 97:
			list = []sight{{ntp.KindNone, 0, 45 * day, ntp.ReasonOK}, {ntp.KindNone, 0, recent, ntp.ReasonOK}}
		default:
			list = []sight{{ntp.KindSymmetric, 99, recent + 600*time.Second, ntp.ReasonUnknownKey}, {ntp.KindSymmetric, 99,
				recent, ntp.ReasonUnknownKey}}
		}
		for _, s := range list {
			w.note(feed, from, uint64(i), s)
			if noted++; noted%2000 == 0 {
				w.fleet.Drain()
			}
		}
	}
	w.fleet.Detach(feed)
	w.fleet.Drain()
}

// note lets one be seen.
func (w *world) note(feed *feed.Feed, from netip.Addr, number uint64, s sight) {
	p := make([]byte, ntp.HeaderLen)
	p[0], p[2], p[3] = 4<<3|3, 6, 0xe7
	binary.BigEndian.PutUint64(p[40:], number*0x9e3779b97f4a7c15)
	r := &ntp.Request{Packet: p, From: netip.AddrPortFrom(from, 123), Received: ntp.TimestampFromTime(w.now.Add(-s.ago))}
	r.Layout.MAC, r.Layout.KeyID = len(p), s.key
	v := &ntp.Verdict{Kind: s.kind, Reason: s.reason, Action: ntp.Answer, KeyID: s.key}
	if s.kind == ntp.KindNTS {
		v.AEAD, v.KeyID = uint16(s.key), 0
	}
	if s.reason != ntp.ReasonOK {
		v.Action = ntp.Drop
	}
	table := feed.Begin()
	table.Note(r, v, r.Received, 0)
	feed.End(table)
}

// seen lets one more client ask.
func (w *world) seen(from netip.Addr, kind ntp.Kind, key uint32) {
	feed := w.fleet.Attach()
	for _, ago := range []time.Duration{50 * time.Hour, time.Minute} {
		w.note(feed, from, uint64(key), sight{kind, key, ago, ntp.ReasonOK})
	}
	w.fleet.Detach(feed)
	w.fleet.Drain()
}

// migrate declares a plan and takes its first steps.
func (w *world) migrate() {
	begin := w.now.Add(-9 * 24 * time.Hour)
	w.migration = migration.Open(migration.Options{Dir: w.t.TempDir(), Log: hclog.NewNullLogger(), Each: w.fleet.Each,
		Where: func() stage.Where { return stage.Where{} }, Ours: func(uint32) bool { return false },
		Enforce: func(*stage.Resolver, []stage.Refusal) {}, Synchronised: func() bool { return true },
		Facts: func(now time.Time) gate.Facts {
			end := uint32(now.Unix())
			return gate.Facts{KECapacity: 1000, Certificate: now.Add(60 * 24 * time.Hour),
				Watched: []gate.Interval{{Start: end - 40*86400, End: end}}}
		}}, begin)
	w.t.Cleanup(func() { _ = w.migration.Close() })
	ask := func(at time.Time, q migration.Request) {
		w.t.Helper()
		a, err := w.migration.Ask(at, "token ops (192.0.2.7)", &q)
		if err != nil {
			w.t.Fatal(err, a)
		}
		for _, f := range a.Findings {
			if f.Wrong {
				w.t.Fatal(f.Text)
			}
		}
	}
	ask(begin, migration.Request{Do: migration.Apply, Name: "fleet.yaml", Plan: worldPlan})
	for _, group := range []string{"frankfurt", "amsterdam", "laboratory"} {
		ask(begin.Add(time.Hour), migration.Request{Do: migration.Advance, Group: group, Means: "symmetric"})
	}
	ask(w.now.Add(-3*time.Hour), migration.Request{Do: migration.Advance, Group: "laboratory", Means: "none"})
	ask(w.now.Add(-2*time.Hour), migration.Request{Do: migration.Hold, Group: "laboratory", Reason: "exams until Friday"})
}

// status is the real one, with a step that runs and hurts.
func (w *world) status(brief bool) *steer.Status {
	s := w.migration.Status(w.now, brief)
	for i := range s.Places {
		p := &s.Places[i]
		if p.Group != "amsterdam" || p.Means != "symmetric" {
			continue
		}
		p.Stage, p.Round, p.Next, p.Refuses, p.Refused = "brown-out", 1, nil, 12, 5310
		p.Running = &steer.RunningState{ID: 12, Stage: "brown-out 2", Phase: "refusing", Began: w.now.Add(-14 * time.Minute),
			Ends: w.now.Add(26 * time.Minute), Clients: 412, Poll: 64 * time.Second, Hurt: 2, CannotTell: 9, Proves: 0.97,
			HurtClients: []steer.HurtSeen{{Client: "10.1.0.17", Why: "silent for 9m36s, more than 8m32s: 8 of its polls of 1m4s"},
				{Client: "10.1.0.44", Why: "it says that its clock is not set any more", Protected: true}}}
	}
	return s
}

// days are snapshots of a migration under way.
func (w *world) days(string) (list []report.DayCount) {
	all, err := w.fleet.Summary(context.Background(), "label")
	if err != nil {
		w.t.Fatal(err)
	}
	now := map[string]int{}
	total := 0
	for class, n := range all.Groups[0].Best {
		now[class] = n["now"]
		total += n["now"]
	}
	const n = 88
	for i := range n {
		share := 1 / (1 + math.Exp(float64(50-i)/9)) / (1 / (1 + math.Exp(float64(50-n+1)/9)))
		nts := int(share * float64(now["nts"]))
		moved := now["nts"] - nts
		at := w.now.Add(-time.Duration(n-1-i) * 24 * time.Hour)
		d := report.DayCount{Date: at.Format(time.DateOnly), At: report.Time(at.Unix()), Best: map[string]int{
			"nts": nts, "symmetric": now["symmetric"] + moved*7/10, "autokey": now["autokey"] + moved/5, "none": now["none"] + moved/10,
			"refused": now["refused"]}}
		list = append(list, d)
	}
	return list
}

// summary is the real one, compared with the days of this site.
func (w *world) summary(ctx context.Context, by string) (*report.Summary, error) {
	s, err := w.fleet.Summary(ctx, by)
	if err != nil {
		return nil, err
	}
	days := w.days("")
	s.Notes = nil
	for moment, ago := range map[string]int{"day": 1, "week": 7, "month": 30} {
		d := days[len(days)-1-ago]
		s.Since[moment] = d.At
		for class, n := range d.Best {
			for i := range s.Groups {
				if g := s.Groups[i].Best[class]; g != nil {
					all := s.Groups[0].Best[class]["now"]
					g[moment] = n
					if i > 0 {
						g[moment] = n * g["now"] / max(all, 1)
					}
				}
			}
		}
	}
	return s, nil
}

// report fills in what a daemon would tell.
func (w *world) report() {
	told := events.New(100, w.now)
	told.Add(events.Event{Time: w.now.Add(-40 * time.Minute), Kind: events.Certificate, What: "in use",
		Text: "certificate of nts for time.example.net, until 2027-01-28T00:00:00Z"})
	told.Add(events.Event{Time: w.now.Add(-12 * time.Minute), Kind: events.Source, What: "falseticker", Source: "ntp3.example.net",
		Text: "ntp3.example.net is falseticker, was combined: disagrees with the majority"})
	told.Add(events.Event{Time: w.now.Add(-2 * time.Minute), Kind: events.Hurt, What: "hurt", Group: "amsterdam",
		Text: "amsterdam symmetric: 2 of 412 clients of brown-out 2 are hurt"})
	tracking := control.Tracking{ReferenceID: 0xc0000201, ReferenceName: "ntp1.example.net", Stratum: 2, ReferenceTime: w.now,
		SystemOffset: 12.4e-6, LastOffset: -8.1e-6, RMSOffset: 21e-6, Frequency: -11.307, Residual: 0.002, Skew: 0.041, RootDelay: 1.92e-3,
		RootDispersion: 0.37e-3, UpdateInterval: 64, Poll: 6, Updates: 4021}
	w.src = control.Sources{
		Status: func() *control.Status {
			return &control.Status{Started: w.now.Add(-88 * 24 * time.Hour), Stratum: 2, Associations: 4,
				ReferenceID: tracking.ReferenceID,
				Addresses:   []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:123"), netip.MustParseAddrPort("[2001:db8::1]:123")},
				KE:          []netip.AddrPort{netip.MustParseAddrPort("[::]:4460")}, Problems: []string{"ntp4.example.net: no answer for 3 h: is UDP port 123 open on the way?"}}
		},
		Tracking: func() *control.Tracking { t := tracking; return &t }, Sources: worldSources, AuthData: worldAuth,
		SourceHistory: w.plots, Certificates: w.certificates, Events: told, Requests: control.NewRequests(),
		NTS: func() *control.NTS {
			return &control.NTS{At: w.now, Active: 3, Cookie: control.NTSCookieKeys{Epochs: 8, Next: w.now.Add(9 * time.Hour)},
				ACME: &control.NTSACME{Directory: "https://acme.example.net/directory", Names: []string{"time.example.net"},
					Next: w.now.Add(30 * 24 * time.Hour)}}
		},
		Inventory: control.Inventory{Stream: w.fleet.Stream, Page: w.fleet.Page, Summary: w.summary, Days: w.days,
			Keys: func(ctx context.Context) ([]*report.Key, error) {
				return w.fleet.Keys(ctx, map[uint32]string{5: "SHA1", 7: "AES128CMAC", 11: "MD5"})
			}},
		Fleet: control.Fleet{Status: w.status, Declared: w.migration.Declared, Seat: w.migration.Seat, History: w.migration.History,
			Ask: func(who string, q *migration.Request) (*migration.Answer, error) {
				return w.migration.Ask(w.now, who, q)
			}}}
}

func worldSources() []control.Source {
	return []control.Source{
		{Mode: control.ModeServer, State: control.StateSelected, Name: "ntp1.example.net", Address: "192.0.2.11", Stratum: 1,
			Poll: 6, Reach: 0o377, LastRx: 21, Offset: 11e-6, Error: 2.1e-3},
		{Mode: control.ModeServer, State: control.StateCombined, Name: "ntp2.example.net", Address: "192.0.2.12", Stratum: 1,
			Poll: 6, Reach: 0o377, LastRx: 40, Offset: -31e-6, Error: 2.9e-3},
		{Mode: control.ModeServer, State: control.StateFalseticker, Name: "ntp3.example.net", Address: "2001:db8::13",
			Stratum: 2, Poll: 7, Reach: 0o357, LastRx: 12, Offset: 41e-3, Error: 8e-3, Why: "disagrees with the majority"},
		{Mode: control.ModeServer, State: control.StateUnusable, Name: "ntp4.example.net", Stratum: 0, Poll: 10, LastRx: -1,
			Why: "does not answer"},
	}
}

func worldAuth() []control.AuthData {
	return []control.AuthData{{Name: "ntp1.example.net", Mode: control.AuthNTS, KeyID: 1}, {Name: "ntp2.example.net",
		Mode: control.AuthNTS, KeyID: 1},
		{Name: "ntp3.example.net", Mode: control.AuthSymmetric, KeyID: 5}, {Name: "ntp4.example.net",
			Mode: control.AuthAutokey, LegacySigned: true}}
}

// plots are half a day of a clock and its sources.
func (w *world) plots() *control.SourceHistory {
	h := &control.SourceHistory{Interval: 80}
	for _, s := range worldSources()[:3] {
		h.Sources = append(h.Sources, control.SourcePlot{Name: s.Name, Address: s.Address})
	}
	for i := range 540 {
		at := w.now.Add(-time.Duration(540-i) * 80 * time.Second)
		wave := math.Sin(float64(i)/40) * 9e-6
		noise := float64((i*7919)%97-48) / 48
		h.Clock = append(h.Clock, control.ClockPoint{Time: at, Synchronised: true, Offset: wave + noise*4e-6,
			Frequency: -11.3 + math.Sin(float64(i)/90)*0.05, Bound: 1.3e-3 + math.Abs(noise)*2e-4})
		for k := range h.Sources {
			if k == 2 && i > 300 && i < 340 {
				continue // it was away
			}
			h.Sources[k].Points = append(h.Sources[k].Points, control.SourcePoint{Time: at, State: worldSources()[k].State,
				Offset:    worldSources()[k].Offset + wave*float64(k+1) + noise*2e-5*float64(k+1),
				Frequency: -11.3 + noise*0.1*float64(k+1), Bound: worldSources()[k].Error * (1 + 0.2*math.Abs(noise))})
		}
	}
	return h
}

func (w *world) certificates() []control.Certificate {
	one := func(use, file, name string, from, to int, problems ...string) control.Certificate {
		return control.Certificate{Use: use, File: file, Names: []string{name}, Issuer: "CN=Example CA " + use,
			Key: "ECDSA P-256", DaysLeft: to,
			NotBefore: w.now.AddDate(0, 0, -from), NotAfter: w.now.AddDate(0, 0, to), Problems: append([]string{}, problems...)}
	}
	return []control.Certificate{one("nts", "/etc/ntsbridge/time.pem", "time.example.net", 30, 60),
		one("api", "/etc/ntsbridge/api.pem", "gateway.example.net", 80, 9, "ends in 9 days"), one("autokey", "",
			"gateway@site", 100, 265)}
}

// browser is who asks, as package remote lets them in.
func (w *world) page() *Page {
	return newPage(&w.src, Options{Name: "gw1.example.net", Version: "1.0", Now: func() time.Time { return w.now }})
}
