package audit

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Columns are those of the report as CSV, a line for each group and means.
var Columns = []string{"group", "means", "stage", "since", "target", "clients", "using", "refused", "better", "protected", "left",
	"last", "last_address", "last_program", "evidence"}

// WriteCSV writes a line for each group and means.
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write(append(slices.Clone(Columns), r.Gateways...)); err != nil {
		return err
	}
	for _, m := range r.Means {
		last := m.Last
		if last == nil {
			last = &Last{}
		}
		row := []string{m.Group, m.Means, m.Stage, stamp(m.Since), m.Target, strconv.Itoa(m.Clients), strconv.Itoa(m.Using),
			strconv.Itoa(m.Refused), strconv.Itoa(m.Better), strconv.Itoa(m.Protected), strconv.FormatBool(m.Left), stamp(last.Time),
			cell(last.Address), cell(last.Program), m.Evidence}
		for _, g := range r.Gateways {
			row = append(row, m.at(g))
		}
		if err := c.Write(row); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// at is the stage on a gateway, empty: it does not tell.
func (m *Means) at(gateway string) string {
	for _, s := range m.Stands {
		if s.Gateway == gateway {
			return s.Stage
		}
	}
	return ""
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// cell keeps a spreadsheet from taking a text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

// WriteMarkdown writes the report for people.
func (r *Report) WriteMarkdown(w io.Writer) error {
	p := &printer{w: w}
	p.line("# Migration to NTS: where it stands on %s", date(r.Time))
	p.line("")
	if r.Plan == "" {
		p.line("No plan was declared: nobody is refused.")
	} else {
		p.line("Plan %s, declared %s by %s.", escape(r.Plan), date(r.Declared.Time), escape(r.Declared.Who))
	}
	if len(r.Gateways) > 0 {
		p.line("")
		p.line("Of %d gateways: %s. Steps and stages are those of each; clients are those that any of them saw.", len(r.Gateways),
			escape(strings.Join(r.Gateways, ", ")))
	}
	for _, n := range r.Notes {
		p.line("Note: %s.", escape(n))
	}
	p.watched(&r.Watched)
	p.history(&r.History)
	p.line("")
	p.line("| group | means | stage | clients ever | using it | refused | have better | protected | all have left |")
	p.line("|---|---|---|---:|---:|---:|---:|---:|---|")
	for _, m := range r.Means {
		p.line("| %s | %s | %s | %d | %d | %d | %d | %d | %s |", groupName(m), m.Means, orDash(m.Stage), m.Clients, m.Using, m.Refused, m.Better,
			m.Protected, yes(m.Left))
	}
	for _, m := range r.Means {
		p.means(m)
	}
	p.keys(r.Keys)
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, values ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", values...)
	}
}

func (p *printer) watched(w *Watched) {
	p.line("")
	if w.Since.IsZero() {
		p.line("The inventory is not watching: nothing is said of who has left.")
	} else {
		p.line("The inventory has watched without a gap since %s.", date(w.Since))
	}
	for _, g := range w.Gaps {
		p.line("It did not watch from %s to %s.", date(g.From), date(g.To))
	}
	if w.Forgotten > 0 {
		p.line("It forgot %d clients for want of room.", w.Forgotten)
	}
}

func (p *printer) history(h *History) {
	p.line("")
	switch {
	case h.Broken != "":
		p.line("**The history cannot be trusted: %s.**", escape(h.Broken))
	case h.Lines == 0:
		p.line("The history is empty.")
	default:
		p.line("The history has %d lines, the chain is whole, and the hash of the last one is `%s`.", h.Lines, h.Hash)
	}
}

func (p *printer) means(m *Means) {
	p.line("")
	p.line("## %s, %s", groupName(m), m.Means)
	p.line("")
	if m.Stage != "" {
		p.line("Stage %s since %s; the plan is to reach %s.", m.Stage, date(m.Since), m.Target)
	}
	for _, s := range m.Stands {
		p.line("On %s: %s.", escape(s.Gateway), s.Stage)
	}
	if m.Held != "" {
		p.line("Held: %s.", escape(m.Held))
	}
	p.line("Evidence: %s.", escape(m.Evidence))
	if len(m.Steps) == 0 {
		return
	}
	p.line("")
	p.line("| step | stage | began | ended | outcome | by | why |")
	p.line("|---:|---|---|---|---|---|---|")
	for _, s := range m.Steps {
		ended := ""
		if !s.Ended.IsZero() {
			ended = date(s.Ended)
		}
		outcome := s.Outcome
		if s.Forced {
			outcome += ", forced"
		}
		who := s.Who
		if s.Gateway != "" {
			who += " on " + s.Gateway
		}
		p.line("| %d | %s | %s | %s | %s | %s | %s |", s.ID, s.Stage, date(s.Began), ended, outcome, escape(who), escape(s.Why))
	}
}

// keys writes what was done to symmetric keys.
func (p *printer) keys(list []*Key) {
	if len(list) == 0 {
		return
	}
	p.line("")
	p.line("## Keys")
	p.line("")
	p.line("| key | when | what | by | why |")
	p.line("|---:|---|---|---|---|")
	for _, k := range list {
		what := k.What
		if k.Forced {
			what += ", forced"
		}
		p.line("| %d | %s | %s | %s | %s |", k.ID, date(k.Time), what, escape(k.Who), escape(k.Why))
	}
}

func groupName(m *Means) string {
	if m.Group == "" {
		return "(no group)"
	}
	return escape(m.Group)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// escape keeps words of people from being taken for Markdown's table or code.
func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "`", "'", "<", "&lt;", "*", `\*`).Replace(s)
}
