package site

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/inventory"
)

// View is what the other gateways know of clients, as of one moment: what is asked
// for is read when it is asked for. Several goroutines may ask at once, each for
// other clients.
type View struct {
	now   uint32
	names []string
	raw   [][Buckets][]byte // of each of names
	lists [][Buckets]found
}

// View returns what the others told. A million facts take some 0.2 s to read.
func (s *Site) View() *View {
	var names []string
	var raw [][Buckets][]byte
	s.mu.Lock()
	for _, name := range s.opt.Etcd.Names() {
		if m := s.others[name]; m != nil && name != s.opt.Etcd.Name {
			names = append(names, name)
			raw = append(raw, m.buckets)
		}
	}
	s.mu.Unlock()
	return newView(uint32(s.opt.Now().Unix()), names, raw)
}

func newView(now uint32, names []string, raw [][Buckets][]byte) *View {
	return &View{now: now, names: names, raw: raw, lists: make([][Buckets]found, len(raw))}
}

// list is what a gateway told in a bucket, as far as it can be read.
func (v *View) list(g, at int) *found {
	l := &v.lists[g][at]
	l.once.Do(func() { l.read(v.raw[g][at]) })
	return l
}

// Names returns the gateways that it is of.
func (v *View) Names() []string { return v.names }

// Add adds to a row of this gateway what the others know of it.
func (v *View) Add(c *inventory.Client) {
	h := hashOf(&c.Key)
	f := facts.Get().(*fact)
	defer facts.Put(f)
	for g := range v.lists {
		l := v.list(g, h.bucket())
		if i := l.find(h, &c.Key, c.Hashed, f); i >= 0 {
			l.used[i] = true
			f.merge(c, v.now)
		}
	}
}

// facts are for reading one after the other into.
var facts = sync.Pool{New: func() any { return new(fact) }}

// Near looks at what is to be read for each client, one behind the other, so that
// the processor waits for the memory of all of them at once. What it returns says
// nothing.
func (v *View) Near(keys []inventory.Key) (sum uint8) {
	var slots [64]uint32
	for part := range slices.Chunk(keys, len(slots)) {
		for g := range v.lists {
			for i := range part {
				h := hashOf(&part[i])
				l := v.list(g, h.bucket())
				if slots[i] = 0; len(l.slots) > 0 {
					slots[i] = l.slots[l.begin(h)]
				}
			}
			for i := range part {
				at := int(slots[i] & (1<<slotShift - 1))
				if raw := v.raw[g][bucketOf(&part[i])]; at < len(raw) {
					sum += raw[at]
				}
			}
		}
	}
	return sum
}

// Find makes a row of what the others know of a client; false: nothing.
func (v *View) Find(k *inventory.Key, hashed bool, c *inventory.Client) (ok bool) {
	h := hashOf(k)
	f := facts.Get().(*fact)
	defer facts.Put(f)
	for g := range v.lists {
		if v.list(g, h.bucket()).find(h, k, hashed, f) < 0 {
			continue
		}
		if !ok {
			ok = true
			f.begin(c)
		}
		f.merge(c, v.now)
	}
	return ok
}

// Rest gives the clients that only others know, after Add was told of all that
// this gateway does. What see gets is used again.
func (v *View) Rest(see func(c *inventory.Client)) { v.RestOf(0, 1, see) }

// RestOf is one of so many parts of Rest.
func (v *View) RestOf(part, parts int, see func(c *inventory.Client)) {
	var c inventory.Client
	for at := part; at < Buckets; at += parts {
		for g := range v.lists {
			l := v.list(g, at)
			for i, used := range l.used {
				if !used && l.slots[i] != 0 {
					v.collect(g, at, i, &c)
					see(&c)
				}
			}
		}
	}
}

// collect makes a row of what one gateway knows and those behind it.
func (v *View) collect(g, at, slot int, c *inventory.Client) {
	f := facts.Get().(*fact)
	defer facts.Put(f)
	v.list(g, at).at(slot, f)
	f.begin(c)
	f.merge(c, v.now)
	h := hashOf(&c.Key)
	for o := g + 1; o < len(v.lists); o++ {
		l := v.list(o, at)
		if k := l.find(h, &c.Key, c.Hashed, f); k >= 0 {
			l.used[k] = true
			f.merge(c, v.now)
		}
	}
}

// Of returns what a gateway knows of a client; false: nothing.
func (v *View) Of(gateway string, c *inventory.Client) (o inventory.Client, ok bool) {
	g := slices.Index(v.names, gateway)
	if g < 0 {
		return o, false
	}
	h := hashOf(&c.Key)
	var f fact
	if v.list(g, h.bucket()).find(h, &c.Key, c.Hashed, &f) < 0 {
		return o, false
	}
	f.begin(&o)
	f.merge(&o, v.now)
	return o, true
}

// answerHours is for how long into a day an answer of the day before counts.
const answerHours = 6 * 3600 // s

// Elsewhere tells whether another gateway, which does not refuse that means of
// that group, answered a client today, or late yesterday.
func (v *View) Elsewhere(p netip.Prefix, refuses func(gateway string) bool) bool {
	if !p.IsValid() {
		return false
	}
	var k inventory.Key
	a := p.Addr().As16()
	copy(k[:], a[:])
	k[16] = byte(p.Bits())
	if p.Addr().Is4() {
		k[16] += 96
	}
	h := hashOf(&k)
	var f fact
	for g, name := range v.names {
		if refuses(name) || v.list(g, h.bucket()).find(h, &k, false, &f) < 0 {
			continue
		}
		for i := range f.means {
			today := v.now / day
			if d := f.means[i].served; d == today || d > 0 && d+1 == today && v.now%day < answerHours {
				return true
			}
		}
	}
	return false
}

// Refuses tells whether a gateway refuses a means of a group now.
func (s *Site) Refuses(gateway, group, means string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.others[gateway]
	return m == nil || m.here == nil || slices.ContainsFunc(m.places.Where, func(p Place) bool {
		return p.Group == group && p.Means == means && p.Refuses
	})
}

// Watched are the times in which this gateway and all others watched.
func (s *Site) Watched(own []gate.Interval) []gate.Interval {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.opt.Etcd.Names() {
		if name == s.opt.Etcd.Name {
			continue
		}
		m := s.others[name]
		if m == nil || m.here == nil {
			return nil
		}
		theirs := slices.Clone(m.here.Watched)
		if k := len(theirs); k > 0 && len(own) > 0 { // it goes on while it is here
			theirs[k-1].End = max(theirs[k-1].End, uint32(s.opt.Now().Unix()))
		}
		own = both(own, theirs)
	}
	return own
}

// both are the times that are in two lists, which are in order.
func both(a, b []gate.Interval) (list []gate.Interval) {
	for i, k := 0, 0; i < len(a) && k < len(b); {
		x := gate.Interval{Start: max(a[i].Start, b[k].Start), End: min(a[i].End, b[k].End)}
		if x.Start < x.End {
			list = append(list, x)
		}
		if a[i].End < b[k].End {
			i++
		} else {
			k++
		}
	}
	return list
}

// Forgotten is how many clients the others forgot for want of room, and when the
// last one.
func (s *Site) Forgotten() (n uint64, last uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, m := range s.others {
		if name != s.opt.Etcd.Name && m.here != nil {
			n += m.here.Forgotten
			last = max(last, m.here.LastForgot)
		}
	}
	return n, last
}

// Certificate is when the first certificate of NTS-KE of any gateway ends; zero:
// none has one.
func (s *Site) Certificate(own time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, m := range s.others {
		if name != s.opt.Etcd.Name && m.here != nil && !m.here.Certificate.IsZero() &&
			(own.IsZero() || m.here.Certificate.Before(own)) {
			own = m.here.Certificate
		}
	}
	return own
}

// maxSkew is how far apart the clocks of two gateways may be, both being right.
const maxSkew = 10 * time.Second

// lacks says why a gateway does not count; empty: it does. The mutex is held.
func (s *Site) lacks(name string, now time.Time) string {
	m := s.others[name]
	switch {
	case m == nil || m.here == nil && m.since.IsZero():
		return "was never seen here"
	case m.here == nil:
		return fmt.Sprintf("is gone since %s", m.since.UTC().Format(time.RFC3339))
	case m.here.Time.Sub(now) > maxSkew || m.skewed && m.ahead.Abs() > maxSkew:
		ahead := m.ahead
		if !m.skewed {
			ahead = m.here.Time.Sub(now)
		}
		if ahead < 0 {
			return fmt.Sprintf("has a clock that is %v behind this one", -ahead.Round(time.Second))
		}
		return fmt.Sprintf("has a clock that is %v ahead of this one", ahead.Round(time.Second))
	case !m.here.Synchronised:
		return "has a clock that is not synchronised"
	case differs(s.scheme, m.here.Addresses) != "":
		return differs(s.scheme, m.here.Addresses)
	case !m.here.Told:
		return "has not told yet what it knows of clients"
	case m.here.Plan != s.kept.Plan:
		return "does not follow the same plan yet"
	}
	return ""
}

// differs says why what two gateways know of a client cannot be put together;
// empty: it can, or one of them does not tell how it keeps addresses.
func differs(own, theirs string) string {
	switch {
	case own == "" || theirs == "" || own == theirs:
		return ""
	case strings.HasPrefix(own, inventory.Hashed) && strings.HasPrefix(theirs, inventory.Hashed) && after(own) == after(theirs):
		return "hashes addresses under another key, so that nobody knows which of its clients are those of this one: copy inventory.key in the " +
			"state directory of one gateway to the others, and restart those; what they knew of clients before is not found again"
	}
	return fmt.Sprintf("keeps addresses in another way (%s) than this one (%s): write the same fleet.privacy and fleet.temporary_prefix on all",
		theirs, own)
}

func after(scheme string) string {
	_, rest, _ := strings.Cut(scheme, ";")
	return rest
}

// Gate says whether every gateway is here and as far as this one on the way of a
// means of a group. rank is where this gateway stands.
func (s *Site) Gate(group, means, stage string, rank int) gate.Result {
	now := s.opt.Now()
	r := gate.Result{Name: "gateways"}
	if n := s.current(); n == nil {
		r.Evidence = s.awayError().Error() + ": nobody knows what the other gateways see"
		return r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.opt.Etcd.Names()
	for _, name := range names {
		if name == s.opt.Etcd.Name {
			continue
		}
		why := s.lacks(name, now)
		if why == "" {
			why = s.behind(name, group, means, stage, rank)
		}
		if why != "" {
			r.Clients = append(r.Clients, gate.Client{Address: name, Why: why})
		}
	}
	if s.broken != "" {
		r.Clients = append(r.Clients, gate.Client{Address: "etcd", Why: s.broken})
	}
	if r.InTheWay = len(r.Clients); r.InTheWay > 0 {
		for i, c := range r.Clients {
			if i > 0 {
				r.Evidence += "; "
			}
			r.Evidence += c.Address + " " + c.Why
		}
		return r
	}
	r.Open, r.Evidence = true, fmt.Sprintf("all %d gateways are here and as far: %v", len(names), names)
	return r
}

// behind says that a gateway has not passed what this one has. The mutex is held.
func (s *Site) behind(name, group, means, stage string, rank int) string {
	for _, p := range s.others[name].places.Where {
		if p.Group != group || p.Means != means {
			continue
		}
		if p.Rank < rank {
			return fmt.Sprintf("stands at %s with %s by %s: it is to pass %s first (`ntsbridge fleet advance %s` there)", placeName(p), group, means,
				stage, group)
		}
		return ""
	}
	return fmt.Sprintf("does not tell where %s by %s stands", group, means)
}

func placeName(p Place) string {
	if p.Round > 0 {
		return fmt.Sprintf("%s %d", p.Stage, p.Round)
	}
	return p.Stage
}

// Here is how many of the declared gateways are here, this one too.
func (s *Site) Here() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.opt.Etcd.Names() {
		if m := s.others[name]; m != nil && m.here != nil {
			n++
		}
	}
	return n
}

// Status tells how the site is.
func (s *Site) Status() *Status {
	n := s.current()
	f := s.opt.History()
	now := s.opt.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &Status{Name: s.opt.Etcd.Name, Connected: n != nil, Since: s.since.UTC(), Endpoints: s.opt.Etcd.Endpoints, Lock: s.lock,
		Plan: s.kept.Plan, Pending: s.pending, Waiting: len(s.kept.Waiting), Error: s.broken, Secrets: s.opt.Etcd.Secrets}
	switch {
	case n == nil && s.why != nil:
		st.Error = s.why.Error()
	case n == nil:
		st.Error = "it does not answer"
	case st.Error == "" && s.unshared != "":
		st.Error = s.unshared
	case st.Error == "" && s.unkept != nil:
		st.Error = s.unkept.Error()
	}
	if f != nil {
		if end := f.End(); end.Lines > s.merged.Number {
			st.Behind = end.Lines - s.merged.Number
		}
	}
	names := s.opt.Etcd.Names()
	for name := range s.others {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		g := Gateway{Name: name, Declared: slices.Contains(s.opt.Etcd.Names(), name)}
		if m := s.others[name]; m != nil {
			g.Here, g.Since, g.Held, g.Places, g.Plan = m.here != nil, m.since.UTC(), m.places.Held, m.places.Where, m.places.Plan
			if m.here != nil {
				g.Clients, g.Version, g.Ahead = m.here.Clients, m.here.Version, m.ahead.Round(time.Millisecond).Seconds()
			}
		}
		if name != s.opt.Etcd.Name {
			g.Why = s.lacks(name, now)
		}
		switch {
		case n != nil:
		case name == s.opt.Etcd.Name:
			g.Here = true // whatever etcd knows of it
		default:
			g.Here, g.Why = false, cmp.Or(g.Why, "etcd is away: this is what was known last")
		}
		st.Gateways = append(st.Gateways, g)
	}
	return st
}

// Figures returns what metrics show; nil if this gateway is alone.
func (s *Site) Figures() *Figures {
	if s == nil {
		return nil
	}
	st := s.Status()
	a := &s.asked
	f := &Figures{Connected: st.Connected, Sessions: a.sessions.Load(), Requests: a.requests.Load(), Failures: a.failures.Load(),
		Writes: a.writes.Load(), Pending: st.Pending, Behind: st.Behind, Waiting: st.Waiting, Gateways: len(s.opt.Etcd.Gateways),
		LastLatency: time.Duration(a.latency.Load())}
	if t := a.answered.Load(); t > 0 {
		f.LastAnswer = time.Unix(0, t)
	}
	if st.Connected {
		f.Here = s.Here()
	}
	s.mu.Lock()
	f.Size = s.size
	s.mu.Unlock()
	return f
}

// Problem is what is wrong, in a sentence; empty: nothing.
func (s *Site) Problem() string {
	if s == nil {
		return ""
	}
	if s.current() == nil {
		return s.awayError().Error() + ": no step begins, and the other gateways are not told of anything until it is back"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.broken, s.unshared)
}

// Notes are what must be known before figures of the site are believed.
func (s *Site) Notes() (list []string) {
	if p := s.Problem(); p != "" {
		list = append(list, p)
	}
	now := s.opt.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.opt.Etcd.Names() {
		if name == s.opt.Etcd.Name {
			continue
		}
		if why := s.lacks(name, now); why != "" {
			list = append(list, fmt.Sprintf("gateway %s %s: what it knows of clients may be old", name, why))
		}
	}
	return append(list, "of other gateways days are known, no times, and no counts of packets")
}
