package report

import (
	"cmp"
	"fmt"
	"io"
	"ntsbridge/bridge/convert/spell"
	"slices"
	"strings"
)

// Escape sequences of terminals.
const (
	StyleRed    = "\x1b[1;31m"
	StyleYellow = "\x1b[33m"
	StyleGreen  = "\x1b[32m"
	StyleDim    = "\x1b[2m"
	StyleBold   = "\x1b[1m"
	StyleEnd    = "\x1b[0m"
)

// textWriter prints a report for people.
type textWriter struct {
	strings.Builder
	colour bool
}

func (w *textWriter) styled(style, text string) string {
	if !w.colour {
		return text
	}
	return style + text + StyleEnd
}

func (w *textWriter) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// style returns the colour of a class.
func (c Class) style() string {
	switch c {
	case Dangerous, Error:
		return StyleRed
	case Unsupported, Approximated, Changed:
		return StyleYellow
	case Comment:
		return StyleDim
	}
	return StyleGreen
}

// WriteText prints the report for people: a summary, what has to be decided,
// what is dangerous, the rest of the findings, and every line.
func (r *Report) WriteText(out io.Writer, colour bool) error {
	w := &textWriter{colour: colour}
	r.summary(w)
	r.questions(w)
	for i := len(classes) - 1; i >= 0; i-- {
		r.findings(w, classes[i])
	}
	r.access(w)
	r.everyLine(w)
	_, err := io.WriteString(out, w.String())
	return err
}

// outcomeText says an outcome in a sentence.
var outcomeText = map[Outcome]string{
	Clean:    "converted, nothing is lost",
	Noted:    "converted, with changes that are not less safe",
	Lossy:    "converted with losses: read what is dangerous, unsupported and not understood",
	Blocked:  "NOT converted: there are questions to be decided first",
	Rejected: "NOT converted",
}

func (r *Report) summary(w *textWriter) {
	outcome := r.Outcome()
	style := StyleGreen
	switch outcome {
	case Lossy, Noted:
		style = StyleYellow
	case Blocked, Rejected:
		style = StyleRed
	}
	w.line("%s", w.styled(StyleBold, spell.Printable(r.Input)))
	w.line("  %s: %s", w.styled(style, string(outcome)), outcomeText[outcome])
	if r.Dialect != "" {
		w.line("  from %s to %s", r.Dialect, r.Output)
	}
	for _, text := range r.First {
		w.line("  %s", w.styled(Changed.style(), text))
	}
	var counts []string
	for i := len(classes) - 1; i >= 0; i-- {
		if n := r.Counts[classes[i]]; n > 0 {
			counts = append(counts, w.styled(classes[i].style(), fmt.Sprintf("%d %s", n, classes[i])))
		}
	}
	w.line("  %d lines: %s", len(r.Lines), strings.Join(counts, ", "))
	if r.Access != nil {
		w.line("  access rules: %s", r.Access.verdict())
	}
	if r.Sources != nil {
		w.line("  sources: %s", r.Sources.verdict())
	}
}

// verdict says the result of the comparison.
func (c *Comparison) verdict() string {
	if c.Equal && len(c.Names) > 0 {
		return fmt.Sprintf("the same as before for every address but those of %s (%d networks, asked %d times)",
			strings.Join(c.Names, " "), c.Prefixes, c.Probes)
	}
	if c.Equal {
		return fmt.Sprintf("the same as before for every address (%d networks, asked %d times)", c.Prefixes, c.Probes)
	}
	return fmt.Sprintf("NOT the same as before (%d differences or more)", len(c.Differences))
}

func (r *Report) questions(w *textWriter) {
	if len(r.Questions) == 0 {
		return
	}
	w.line("\n%s", w.styled(StyleRed, "To be decided"))
	for _, q := range r.Questions {
		w.line("  %s:%d: %s", spell.Printable(q.File), q.Line, q.Text)
		w.line("      written: %s", q.Written)
		w.line("      running: %s", q.Running)
		w.line("      do:      %s", q.Do)
	}
}

// findings prints those of a class, without a line first.
func (r *Report) findings(w *textWriter, class Class) {
	if class.Rank() < Folded.Rank() {
		return
	}
	begun := false
	begin := func() {
		if !begun {
			w.line("\n%s", w.styled(class.style(), strings.ToUpper(string(class[:1]))+string(class[1:])))
		}
		begun = true
	}
	for _, f := range r.Findings {
		if f.Class == class {
			begin()
			w.line("  %s", f.Text)
			w.remedy(f)
		}
	}
	for _, rec := range r.Lines {
		first := true
		for _, f := range rec.Findings {
			if f.Class != class {
				continue
			}
			begin()
			if first {
				w.line("  %s:%d: %s", spell.Printable(rec.File), rec.Line, rec.Text)
			}
			first = false
			w.line("      %s", f.Text)
			w.remedy(f)
		}
	}
}

func (w *textWriter) remedy(f Finding) {
	if f.Do != "" {
		w.line("      do: %s", f.Do)
	}
}

func (r *Report) access(w *textWriter) {
	if r.Access == nil || r.Access.Equal {
		return
	}
	w.line("\n%s", w.styled(StyleBold, "Addresses that are treated differently"))
	for _, d := range r.Access.Differences {
		port := "any port"
		if d.FromNTP {
			port = "port 123"
		}
		w.line("  %s from %s: %s before; %s now", d.Address, port, d.Old, d.New)
	}
}

func (r *Report) everyLine(w *textWriter) {
	w.line("\n%s", w.styled(StyleBold, "Every line"))
	for _, rec := range r.Lines {
		became := ""
		if len(rec.Became) > 0 {
			became = " -> " + strings.Join(rec.Became, ", ")
		}
		w.line("  %s:%d: %s %s%s", spell.Printable(rec.File), rec.Line, w.styled(rec.Class.style(), fmt.Sprintf("%-12s", rec.Class)), rec.Text, became)
	}
}

// Summary is the account of many conversions.
type Summary struct {
	Files    int             `json:"files"`
	Outcomes map[Outcome]int `json:"outcomes"`
	Lines    map[Class]int   `json:"lines"`
	// Findings are counted by code: in how many files each occurs.
	Findings []FindingCount `json:"findings"`
	Results  []FileOutcome  `json:"results"`

	codes map[string]*FindingCount
}

// FindingCount is how many files have a finding.
type FindingCount struct {
	Code  string `json:"code"`
	Class Class  `json:"class"`
	Files int    `json:"files"`
	Text  string `json:"text"` // of the first one
}

// FileOutcome is the verdict on a file.
type FileOutcome struct {
	Input   string  `json:"input"`
	Output  string  `json:"output,omitempty"` // name of the file that was written
	Outcome Outcome `json:"outcome"`
}

// NewSummary returns an empty one.
func NewSummary() *Summary {
	return &Summary{Outcomes: map[Outcome]int{}, Lines: map[Class]int{}, codes: map[string]*FindingCount{}}
}

// Add takes a report in; the order of adding decides the order of the results.
func (s *Summary) Add(r *Report, output string) {
	s.Files++
	s.Outcomes[r.Outcome()]++
	s.Results = append(s.Results, FileOutcome{r.Input, output, r.Outcome()})
	here := make(map[string]bool)
	count := func(f Finding) {
		c := s.codes[f.Code]
		if c == nil {
			c = &FindingCount{Code: f.Code, Class: f.Class, Text: f.Text}
			s.codes[f.Code] = c
		}
		if f.Class.Rank() > c.Class.Rank() {
			c.Class = f.Class
		}
		if !here[f.Code] {
			here[f.Code] = true
			c.Files++
		}
	}
	for _, f := range r.Findings {
		count(f)
	}
	for _, q := range r.Questions {
		count(Finding{Class: Dangerous, Code: q.Code, Text: q.Written})
	}
	for _, l := range r.Lines {
		s.Lines[l.Class]++
		for _, f := range l.Findings {
			count(f)
		}
	}
}

// Finish sorts the findings: the most frequent first.
func (s *Summary) Finish() {
	s.Findings = s.Findings[:0]
	for _, c := range s.codes {
		s.Findings = append(s.Findings, *c)
	}
	slices.SortFunc(s.Findings, func(a, b FindingCount) int {
		return cmp.Or(cmp.Compare(b.Files, a.Files), cmp.Compare(b.Class.Rank(), a.Class.Rank()), cmp.Compare(a.Code, b.Code))
	})
}

// WriteText prints the summary as a table.
func (s *Summary) WriteText(out io.Writer, colour bool) error {
	w := &textWriter{colour: colour}
	w.line("%s", w.styled(StyleBold, fmt.Sprintf("%d configurations", s.Files)))
	for _, o := range []Outcome{Clean, Noted, Lossy, Blocked, Rejected} {
		w.line("  %7d  %-9s %s", s.Outcomes[o], o, outcomeText[o])
	}
	w.line("\n%s", w.styled(StyleBold, "Findings, by the number of files that have them"))
	for _, f := range s.Findings {
		w.line("  %7d  %s %-22s %s", f.Files, w.styled(f.Class.style(), fmt.Sprintf("%-12s", f.Class)), f.Code, f.Text)
	}
	var bad []FileOutcome
	for _, r := range s.Results {
		if r.Outcome == Blocked || r.Outcome == Rejected {
			bad = append(bad, r)
		}
	}
	if len(bad) > 0 {
		w.line("\n%s", w.styled(StyleRed, "Not converted"))
		for _, r := range bad {
			w.line("  %-9s %s", r.Outcome, spell.Printable(r.Input))
		}
	}
	_, err := io.WriteString(out, w.String())
	return err
}
