package report

import (
	"fmt"
	"io"
	"strings"

	"ntsbridge/bridge/convert/spell"
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
		w.line("  %s:%d: %s %s%s", spell.Printable(rec.File), rec.Line, w.styled(rec.Class.style(), fmt.Sprintf("%-12s", rec.Class)),
			rec.Text, became)
	}
}
