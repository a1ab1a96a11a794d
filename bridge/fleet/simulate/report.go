package simulate

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"ntsbridge/bridge/fleet/inventory"
)

// Report is the whole fleet under a policy.
type Report struct {
	At      time.Time       `json:"at"` // when the inventory was last fed
	Stage   string          `json:"stage"`
	Clients int             `json:"clients"`
	Total   map[Outcome]int `json:"outcomes"`
	Groups  []Part          `json:"groups"` // of the plan, with the means that is taken away
	Labels  []Part          `json:"labels"`
	Now     Load            `json:"nts_ke_now"`
	Then    Load            `json:"nts_ke_then"` // once all that lose something have moved to NTS
	Rows    []Row           `json:"rows"`        // those that the policy changes
	// Changed is how many the policy changes, of which a limit may have kept some
	// out of Rows.
	Changed int `json:"changed"`

	groups, labels map[string]map[Outcome]int
	now, then      *loads
}

// Part is the outcomes of some clients.
type Part struct {
	Name  string          `json:"name"`
	Total map[Outcome]int `json:"outcomes"`
}

// Run puts all clients under the policy. The report keeps the rows of those that
// lose something, of each outcome at most so many; 0: all.
func (s *Simulation) Run(each Each, o LoadOptions, limit int) (*Report, error) {
	rep := &Report{At: time.Unix(int64(s.now), 0).UTC(), Stage: "as planned", Total: map[Outcome]int{}, Rows: []Row{},
		groups: map[string]map[Outcome]int{}, labels: map[string]map[Outcome]int{}, now: newLoads(o), then: newLoads(o)}
	if s.policy.Stage != Targets {
		rep.Stage = s.policy.Stage.String()
	}
	listed := map[Outcome]int{}
	err := each(func(c *inventory.Client) {
		r := s.Row(c)
		rep.count(&r)
		if len(r.Loses) == 0 && r.Outcome != CannotTell {
			return
		}
		rep.Changed++
		if listed[r.Outcome]++; limit == 0 || listed[r.Outcome] <= limit {
			rep.Rows = append(rep.Rows, r)
		}
	})
	rep.finish()
	return rep, err
}

func (r *Report) count(w *Row) {
	r.Clients++
	r.Total[w.Outcome]++
	name := w.Label
	if name == "" {
		name = "(no label)"
	}
	tally(r.labels, name, w.Outcome)
	seen := map[string]bool{}
	for i := range w.Loses {
		l := &w.Loses[i]
		name := l.Group + " " + l.Stage
		if l.Group == "" {
			name = "(the gateway: " + l.Reason + ")"
		}
		if !seen[name] {
			seen[name] = true
			tally(r.groups, name, w.Outcome)
		}
	}
	if w.nts {
		r.now.add(w.Program, w.poll, false)
		r.then.add(w.Program, w.poll, false)
	} else if len(w.Loses) > 0 {
		r.then.add(w.Program, w.poll, true)
	}
}

func tally(m map[string]map[Outcome]int, name string, o Outcome) {
	if m[name] == nil {
		m[name] = map[Outcome]int{}
	}
	m[name][o]++
}

func (r *Report) finish() {
	r.Groups, r.Labels = parts(r.groups), parts(r.labels)
	r.Now, r.Then = r.now.finish(), r.then.finish()
	slices.SortStableFunc(r.Rows, func(a, b Row) int {
		return cmp.Compare(slices.Index(Outcomes, a.Outcome), slices.Index(Outcomes, b.Outcome))
	})
}

func parts(m map[string]map[Outcome]int) []Part {
	list := make([]Part, 0, len(m))
	for name, total := range m {
		list = append(list, Part{name, total})
	}
	slices.SortFunc(list, func(a, b Part) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// WriteText writes the report as tables, with at most so many clients; 0: all.
func (r *Report) WriteText(w io.Writer, limit int) error {
	fmt.Fprintf(w, "%d clients as of %s, stage %s\n\n", r.Clients, r.At.Format("2006-01-02 15:04:05 UTC"), r.Stage)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	head := []string{"Clients"}
	for _, o := range Outcomes {
		head = append(head, string(o))
	}
	fmt.Fprintln(t, strings.Join(head, "\t"))
	line := func(name string, total map[Outcome]int) {
		fmt.Fprint(t, name)
		for _, o := range Outcomes {
			fmt.Fprintf(t, "\t%d", total[o])
		}
		fmt.Fprintln(t)
	}
	line("all", r.Total)
	for _, list := range [][]Part{r.Groups, r.Labels} {
		for i := range list {
			line(list[i].Name, list[i].Total)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	r.Now.write(w, "now")
	r.Then.write(w, "once all that lose something have moved to NTS")
	return r.writeRows(w, limit)
}

func (l *Load) write(w io.Writer, when string) {
	fmt.Fprintf(w, "\nNTS-KE %s: %d clients; handshakes a second: %.3g while they move (in %s), %.3g in an outage of %s, %.3g after it, "+
		"%.3g if the cookie secret is lost\n", when, l.Clients, l.Step, l.MovedIn, l.Outage, l.OutageOf, l.After, l.Secret)
	if l.Cost > 0 {
		fmt.Fprintf(w, "  one costs %.2g ms of CPU here: %.2g processors are busy at the worst\n", l.Cost*1000, l.Busy)
	}
}

func (r *Report) writeRows(w io.Writer, limit int) error {
	if len(r.Rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "Client\tLabel\tOutcome\tLoses\tContinues by\tSince\tImplementation\tEvidence")
	shown := len(r.Rows)
	if limit > 0 {
		shown = min(shown, limit)
	}
	for i := range r.Rows[:shown] {
		c := r.Rows[i].cells()
		fmt.Fprintln(t, strings.Join(c[:], "\t"))
	}
	if r.Changed > shown {
		fmt.Fprintf(t, "(%d more)\n", r.Changed-shown)
	}
	return t.Flush()
}

// LosesNamed are the means that the client loses.
func (w *Row) LosesNamed() (list []string) {
	for i := range w.Loses {
		list = append(list, w.Loses[i].Means)
	}
	return list
}

func (w *Row) cells() [8]string {
	since := ""
	if w.Since != nil {
		since = w.Since.Format(time.DateOnly)
	}
	c := [8]string{w.Address, w.Label, string(w.Outcome), strings.Join(w.LosesNamed(), ", "), w.By, since, w.Program, w.Why}
	for i := range c {
		if c[i] == "" {
			c[i] = "-"
		}
	}
	return c
}

// WriteCSV writes a line per client and means that it loses.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"address", "label", "outcome", "loses", "reason", "group", "stage", "deny", "last_used", "continues_by",
		"alternative_since", "implementation", "evidence"})
	stamp := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.Format(time.RFC3339)
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		loses := row.Loses
		if len(loses) == 0 {
			loses = []Loss{{}}
		}
		for _, l := range loses {
			_ = out.Write([]string{row.Address, row.Label, string(row.Outcome), l.Means, l.Reason, l.Group, l.Stage,
				strconv.FormatBool(l.Deny), stamp(l.Last), row.By, stamp(row.Since), row.Program, row.Why})
		}
	}
	out.Flush()
	return out.Error()
}
