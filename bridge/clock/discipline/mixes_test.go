package discipline

import (
	"fmt"
	"math"
	"os"
	"testing"
)

// conduct is how a kind of source behaves.
type conduct int

const (
	right conduct = iota
	wrong
	silent
	conducts
)

func (c conduct) String() string { return [...]string{"right", "wrong", "silent"}[c] }

// Kinds of sources.
const (
	plainKind = iota
	keyKind
	ntsKind
	clockKind
	kinds
)

// mix is how many sources of each kind there are, and what they do.
type mix struct {
	n    [kinds]int
	do   [kinds]conduct
	mode AuthSelect
	lies [kinds]float64
}

func (m *mix) String() string {
	s := fmt.Sprintf("mode %d", m.mode)
	for i, name := range []string{"plain", "key", "NTS", "refclock"} {
		if m.n[i] > 0 {
			s += fmt.Sprintf(", %d %s %v", m.n[i], name, m.do[i])
		}
	}
	return s
}

// count returns how many sources behave so, of those for which the condition
// holds.
func (m *mix) count(c conduct, of func(kind int) bool) (n int) {
	for i := range m.n {
		if of(i) && m.do[i] == c {
			n += m.n[i]
		}
	}
	return n
}

// follow says what chrony's rule wants of the mix: to follow what is right, what
// is wrong, or nothing. It is written from chrony.conf's description of
// authselectmode alone.
func (m *mix) follow() (want conduct) {
	any := func(int) bool { return true }
	mixed := m.n[plainKind] > 0 && m.n[keyKind]+m.n[ntsKind] > 0
	counts := any
	switch {
	case m.mode == AuthRequire,
		m.mode == AuthPrefer && m.n[keyKind]+m.n[ntsKind] > 0:
		counts = func(i int) bool { return i != plainKind }
	case m.mode == AuthMix && mixed:
		counts = func(i int) bool { return i != plainKind }
		if m.count(right, counts)+m.count(wrong, counts) == 0 {
			return silent // one is required
		}
	}
	r, groups := m.count(right, counts), map[float64]int{}
	all := r
	for i := range m.n {
		if m.do[i] == wrong && counts(i) {
			groups[m.lies[i]] += m.n[i]
			all += m.n[i]
		}
	}
	if 2*r > all {
		return right
	}
	for _, n := range groups {
		if 2*n > all {
			return wrong
		}
	}
	return silent
}

func (m *mix) rig(t *testing.T) *rig {
	var list []SourceConfig
	var kindOf []int
	for kind, n := range m.n {
		for range n {
			c := poll4
			c.Authenticated, c.RefClock = kind == keyKind || kind == ntsKind, kind == clockKind
			list, kindOf = append(list, c), append(kindOf, kind)
		}
	}
	config := DefaultConfig()
	config.Mode = m.mode
	r := newRig(t, config, list...)
	for i, s := range r.servers {
		kind := kindOf[i]
		s.silent = m.do[kind] == silent
		if m.do[kind] == wrong {
			s.offset = m.lies[kind]
		}
		if kind == clockKind {
			s.delay = 0
			s.change = func(x *Sample) {
				x.Stratum, x.T1, x.T2, x.T3 = 1, x.T4, x.T2+int64(x.T4.since(x.T1)/2*1e9), x.T2+int64(x.T4.since(x.T1)/2*1e9)
			}
		}
	}
	return r
}

// TestMixes is the table of all mixes of plain servers, servers with keys, with
// NTS, and reference clocks, that are right, wrong or silent: what is followed,
// that the claim holds wherever the truth can be known, and that no reference
// clock, silent or wrong, holds the alarm up beside servers that agree.
func TestMixes(t *testing.T) {
	apart := [kinds]float64{1, -1, 2, -2}
	together := [kinds]float64{1, 1, 1, 1}
	modes := []AuthSelect{AuthMix, AuthRequire, AuthPrefer, AuthIgnore}
	if testing.Short() {
		modes = modes[:1]
	}
	long := os.Getenv("NTSBRIDGE_INTEROP_LONG") != ""
	for _, mode := range modes {
		for _, n := range [][kinds]int{{4, 0, 0, 1}, {3, 1, 1, 1}, {4, 0, 3, 1}, {1, 1, 1, 1}, {0, 2, 1, 1}, {2, 0, 1, 2}, {1, 0, 0, 1},
			{0, 0, 1, 1}} {
			for _, lies := range [][kinds]float64{together, apart} {
				for code := range 81 {
					// A fourth is prime to 3: each conduct comes with each other one.
					if (testing.Short() || mode != AuthMix) && code%4 != 0 && !long {
						continue
					}
					m := &mix{n: n, mode: mode, lies: lies}
					for kind := range m.do {
						m.do[kind] = conduct(code / []int{1, 3, 9, 27}[kind] % 3)
						if n[kind] == 0 && m.do[kind] != right {
							m = nil // as with another code
							break
						}
					}
					if m != nil {
						m.check(t)
					}
				}
			}
		}
	}
}

func (m *mix) check(t *testing.T) {
	r := m.rig(t)
	r.run(90)
	want := m.follow()
	st := r.status()
	got := silent
	if st.Synchronised {
		got = right
		if math.Abs(r.d.offset(r.reading())-r.system) > 0.1 {
			got = wrong
		}
	}
	if got != want {
		t.Errorf("%v: follows what is %v, want %v", m, got, want)
	}
	if want == right {
		r.honest(t)
		for _, s := range r.d.sources {
			if s.rule == NoRule && s.state == Falseticker {
				t.Errorf("%v: source %d is outvoted by no rule", m, s.id)
			}
		}
	}
	if tr := r.d.Tracking(r.reading()); (want == silent) != tr.Held || tr.Held != (tr.Why != NoRule) {
		t.Errorf("%v: held %v by rule %q", m, tr.Held, tr.Why)
	}
}

// A reference clock that dies, or goes wrong, is followed no longer: the servers
// beside it are, and the clock never runs free meanwhile.
func TestReferenceClockFails(t *testing.T) {
	for name, fail := range map[string]func(*server){
		"dies":           func(s *server) { s.silent = true },
		"1 s wrong":      func(s *server) { s.offset = 1 },
		"-1024 weeks":    func(s *server) { s.offset = -619315200 },
		"drifts away":    func(s *server) { s.offset = 0.02 },
		"has no time":    func(s *server) { change := s.change; s.change = func(x *Sample) { change(x); x.Leap = 3 } },
		"is 3 ms behind": func(s *server) { s.offset = -3e-3 },
	} {
		for _, prefer := range []bool{false, true} {
			m := &mix{n: [kinds]int{4, 0, 0, 1}}
			r := m.rig(t)
			gps := r.servers[4]
			r.d.find(gps.id).config.Prefer = prefer
			r.run(1000)
			fail(gps)
			last := r.now
			for range 1500 {
				r.run(1)
				r.honest(t)
				r.synchronised(t, true)
				if math.Abs(r.system) > 2e-3 {
					t.Fatalf("%s, prefer %v: error %v", name, prefer, r.system)
				}
			}
			if st := r.status(); st.Source == gps.id || r.rawNow()-st.Reference > 20e9 {
				t.Errorf("%s, prefer %v: follows source %d, last used %v s ago, failed %d s ago", name, prefer, st.Source,
					r.rawNow().since(st.Reference), (r.now-last)/1e9)
			}
		}
	}
}
