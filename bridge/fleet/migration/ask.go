package migration

import (
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/steer"
)

// Ask does what somebody asks. who is from the credentials of the connection.
func (m *Migration) Ask(now time.Time, who string, r *Request) (*Answer, error) {
	if m.opt.Site != nil && asksSite[r.Do] {
		return m.askSite(now, who, r)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	by := steer.By{Who: who, Reason: r.Reason, Force: r.Force}
	at := m.moment(now)
	var done string
	var err error
	switch r.Do {
	case Check, Diff, Apply:
		return m.askOfPlan(at, by, r)
	case Advance:
		done, err = m.c.Advance(at, r.Group, r.Means, by)
	case Hold:
		done, err = m.c.Hold(at, r.Group, by)
	case Resume:
		done, err = m.c.Resume(at, r.Group, by)
	case Rollback:
		done, err = m.c.Rollback(at, r.Group, r.Means, by)
	case KeyGate:
		return &Answer{Gates: []gate.Result{m.keyGate(r.Key)}}, nil
	case KeyNote:
		err = m.keyNote(at, who, r)
	default:
		err = fmt.Errorf("the daemon does not know %.40q", r.Do)
	}
	return &Answer{Done: done}, err
}

func (m *Migration) askOfPlan(now steer.Moment, by steer.By, r *Request) (*Answer, error) {
	p, findings := plan.Parse(r.Name, []byte(r.Plan))
	if p != nil {
		findings = append(findings, m.prove(r.Name, p)...)
		findings = append(findings, checkNames(r.Name, p, m.where())...)
		findings = append(findings, CheckNotify(r.Name, p, m.opt.NoPrograms)...)
	}
	a := &Answer{}
	for _, f := range findings {
		a.Findings = append(a.Findings, Finding{f.String(), f.Grade == plan.Wrong})
	}
	if r.Do == Check || p == nil || findings.Err() != nil {
		return a, nil
	}
	changes := m.c.Diff(p)
	var err error
	if r.Do == Apply {
		changes, err = m.c.Apply(now, r.Name, []byte(r.Plan), by)
		a.Done = fmt.Sprintf("%s is declared: %d changes", r.Name, len(changes))
	}
	for _, c := range changes {
		a.Changes = append(a.Changes, c.String())
	}
	return a, err
}

// CheckNotify says that notify.command of a plan cannot be run, if noPrograms is
// why.
func CheckNotify(name string, p *plan.Plan, noPrograms string) plan.Findings {
	if noPrograms == "" || len(p.Notify.Command) == 0 {
		return nil
	}
	return plan.Findings{finding(name, 0, "notify.command", plan.Warning, "%s", noPrograms)}
}

// NoPrograms is why a daemon with this value of the option sandbox can start no
// program, empty: it can.
func NoPrograms(sandbox string) string {
	if sandbox == "off" {
		return ""
	}
	return "the sandbox lets this daemon start no program: use notify.webhook, or sandbox: off"
}

// Seat tells where a means of what comes from a prefix stands; nil: no group
// decides on it.
func (m *Migration) Seat(p netip.Prefix, means plan.Means, key uint32) *steer.Seat {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.c.Seat(p, means, key)
}

// Status tells where everything stands; brief: without the clients, and what is
// in the way of the next steps.
func (m *Migration) Status(now time.Time, brief bool) *steer.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s *steer.Status
	if brief {
		s = m.c.Brief(m.moment(now))
	} else {
		s = m.c.Status(m.moment(now))
	}
	if p := m.opt.Site.Problem(); p != "" {
		s.Problems = append(s.Problems, p)
	}
	if p, name, _ := m.c.Plan(); p != nil && !brief {
		for _, f := range checkNames(name, p, m.where()) {
			if f.Grade == plan.Wrong { // labels have changed since it was declared
				s.Problems = append(s.Problems, f.String())
			}
		}
	}
	if m.history == nil {
		s.Problems = append(s.Problems, "the history cannot be opened: "+m.broken.Error())
	}
	return s
}

// Figures returns where everything stands, for metrics; nil of none.
func (m *Migration) Figures(now time.Time) *steer.Figures {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.c.Figures(m.moment(now))
	f.Unkept = f.Unkept || m.history == nil
	return f
}

// Declared returns the text of the declared plan, empty if there is none.
func (m *Migration) Declared() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, text := m.c.Plan()
	return text
}

// History gives what was done to see, verifying it.
func (m *Migration) History(see func(*history.Entry) error) (history.End, error) {
	m.mu.Lock()
	f := m.history
	m.mu.Unlock()
	if f == nil {
		return history.End{}, m.broken
	}
	return f.Read(see)
}
