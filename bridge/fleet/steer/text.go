package steer

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"ntsbridge/bridge/fleet/plan"
)

// WriteText writes a status for people, on one screen.
func (s *Status) WriteText(out io.Writer) error {
	w := &strings.Builder{}
	if s.Plan == "" {
		fmt.Fprintln(w, "No plan is declared: `ntsbridge fleet apply FILE` declares one. Nobody is refused.")
	} else {
		window := s.Window
		if window != windowOpen {
			window = "closed: " + window
		}
		fmt.Fprintf(w, "Plan %s, declared %s by %s; advance %s; window %s\n", s.Plan, clock(s.Declared.Time), s.Declared.Who, s.Advance, window)
	}
	if s.Held != "" {
		fmt.Fprintf(w, "Everything is held: %s\n", s.Held)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(w, "Problem: %s\n", p)
	}
	if len(s.Places) > 0 {
		s.table(w)
		for i := range s.Places {
			s.Places[i].details(w)
		}
	}
	_, err := io.WriteString(out, w.String())
	return err
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func (s *Status) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nGROUP\tMEANS\tSTAGE\tTARGET\tCLIENTS\tPROTECTED\tREFUSED\tNOW")
	for i := range s.Places {
		p := &s.Places[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", p.Group, p.Means, rung(p.Stage, p.Round), p.Target, p.Clients, p.Protected, p.Refused, p.now())
	}
	_ = t.Flush()
}

func rung(stage string, round int) string {
	if round > 0 {
		return fmt.Sprintf("%s %d", stage, round)
	}
	return stage
}

func (p *PlaceStatus) now() string {
	switch {
	case p.Running != nil:
		r := p.Running
		s := fmt.Sprintf("%s: watching until %s, %d clients, %d hurt", r.Stage, clock(r.Ends), r.Clients, r.Hurt)
		switch {
		case r.Phase == "refusing" && r.Refuses.Before(r.Ends):
			s = fmt.Sprintf("%s: refusing until %s, then watching until %s, %d clients, %d hurt", r.Stage, clock(r.Refuses), clock(r.Ends), r.Clients, r.Hurt)
		case r.Phase == "refusing":
			s = fmt.Sprintf("%s: refusing, on trial until %s, %d clients, %d hurt", r.Stage, clock(r.Ends), r.Clients, r.Hurt)
		}
		if r.CannotTell > 0 {
			s += fmt.Sprintf(", %d that would not show it", r.CannotTell)
		}
		return s
	case p.Held != "":
		return "held"
	case p.Refuses > 0:
		return fmt.Sprintf("refused by step %d", p.Refuses)
	}
	return "served"
}

// maxShown is how many clients in the way of a gate are shown.
const maxShown = 5

func (p *PlaceStatus) details(w io.Writer) {
	name := "\n" + p.Group + " by " + p.Means
	if p.Held != "" {
		fmt.Fprintf(w, "%s is held: %s\n", name, p.Held)
		for _, h := range p.Hurt[:min(len(p.Hurt), maxShown)] {
			fmt.Fprintf(w, "  hurt: %s, %s\n", h.Client, h.Why)
		}
	}
	v := p.Next
	if v == nil {
		return
	}
	fmt.Fprintf(w, "%s: next is %s", name, v.name())
	if v.Takes > 0 {
		fmt.Fprintf(w, " (%d clients, %v of refusal and %v of watching, in polls of %v)", v.Clients, v.Refusal.Round(time.Second),
			(v.Takes - v.Refusal).Round(time.Second), v.Poll.Round(time.Millisecond))
	}
	if v.Mute > 0 {
		fmt.Fprintf(w, "; %d of them would not show that they are hurt", v.Mute)
	}
	if v.Idle > 0 {
		fmt.Fprintf(w, "; %d more asked in the last %d days, do not now, and are not tried", v.Idle, idleDays)
	}
	if v.Takes > 0 && v.Share < plan.Cover {
		fmt.Fprintf(w, "; it can prove something about %.0f%% of them only", 100*v.Share)
	}
	if v.Open() {
		fmt.Fprintf(w, "; `ntsbridge fleet advance %s --means %s` begins it\n", p.Group, p.Means)
		return
	}
	fmt.Fprintln(w, "; in its way:")
	for _, b := range v.Blocked {
		fmt.Fprintf(w, "  %s\n", b)
	}
	for i := range v.Gates {
		g := &v.Gates[i]
		if g.Open {
			continue
		}
		fmt.Fprintf(w, "  gate %s: %s\n", g.Name, g.Evidence)
		for _, c := range g.Clients[:min(len(g.Clients), maxShown)] {
			fmt.Fprintf(w, "    %s: %s\n", c.Address, c.Why)
		}
		if n := g.InTheWay - maxShown; n > 0 {
			fmt.Fprintf(w, "    and %d more\n", n)
		}
	}
}
