package rig

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"ntsbridge/cmd/ntpload/internal/load"
)

// Table is the result of a comparison.
type Table struct {
	A, B string // what was compared
	Rows []Row
}

// Row is one kind: nanoseconds of CPU time per answer in each round, ratios of
// the two of a round, and answers per second.
type Row struct {
	Kind   string
	A, B   []float64
	Ratio  []float64
	RateA  []float64
	RateB  []float64
	ShareA []float64 // of the server's core in use, 0 to 1
	ShareB []float64
	WholeA []float64 // of server and generator together
	WholeB []float64
	Lost   uint64
	Err    error // the kind could not be measured
}

func (r *Row) add(a, b *load.Result) {
	r.A = append(r.A, a.CPUPerAnswer())
	r.B = append(r.B, b.CPUPerAnswer())
	r.Ratio = append(r.Ratio, b.CPUPerAnswer()/a.CPUPerAnswer())
	r.RateA = append(r.RateA, a.PerSecond())
	r.RateB = append(r.RateB, b.PerSecond())
	r.ShareA = append(r.ShareA, float64(a.CPU)/float64(a.Wall))
	r.ShareB = append(r.ShareB, float64(b.CPU)/float64(b.Wall))
	r.WholeA = append(r.WholeA, a.WholePerAnswer())
	r.WholeB = append(r.WholeB, b.WholePerAnswer())
	r.Lost += a.Lost + b.Lost
}

// Summary is median, least and largest of some values.
type Summary struct{ Median, Min, Max float64 }

// Summarise returns the summary; NaN throughout without values.
func Summarise(values []float64) Summary {
	if len(values) == 0 {
		return Summary{math.NaN(), math.NaN(), math.NaN()}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Summary{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1]}
}

var columns = []string{"kind", "A ns/answer", "B ns/answer", "B/A", "A answers/s", "B answers/s", "A core", "B core",
	"A both", "B both", "both B/A", "lost"}

func (r *Row) cells() []string {
	if r.Err != nil {
		return []string{r.Kind, "-", "-", "failed", "-", "-", "-", "-", "-", "-", "-", "-"}
	}
	ns := func(v []float64) string {
		s := Summarise(v)
		return fmt.Sprintf("%.0f (%.0f..%.0f)", s.Median, s.Min, s.Max)
	}
	ratio := Summarise(r.Ratio)
	whole := make([]float64, len(r.WholeA))
	for i := range whole {
		whole[i] = r.WholeB[i] / r.WholeA[i]
	}
	return []string{r.Kind, ns(r.A), ns(r.B), fmt.Sprintf("%.2f (%.2f..%.2f)", ratio.Median, ratio.Min, ratio.Max),
		fmt.Sprintf("%.0f", Summarise(r.RateA).Median), fmt.Sprintf("%.0f", Summarise(r.RateB).Median),
		fmt.Sprintf("%.0f%%", 100*Summarise(r.ShareA).Median), fmt.Sprintf("%.0f%%", 100*Summarise(r.ShareB).Median),
		fmt.Sprintf("%.0f", Summarise(r.WholeA).Median), fmt.Sprintf("%.0f", Summarise(r.WholeB).Median),
		fmt.Sprintf("%.2f", Summarise(whole).Median), fmt.Sprint(r.Lost)}
}

// WriteText writes the table for a terminal.
func (t *Table) WriteText(w io.Writer) error {
	return writeText(w, columns, t.cells(), t.A, t.B, "rounds")
}

// WriteMarkdown writes the table for a document.
func (t *Table) WriteMarkdown(w io.Writer) error {
	return writeMarkdown(w, columns, t.cells(), t.A, t.B, "rounds")
}

func (t *Table) cells() (rows [][]string) {
	for i := range t.Rows {
		rows = append(rows, t.Rows[i].cells())
	}
	return rows
}

func writeText(w io.Writer, head []string, rows [][]string, a, b, over string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	fmt.Fprintf(tw, "A: %s\nB: %s\nMedian (least..largest) over the %s; B/A is taken one by one.\n", a, b, over)
	return tw.Flush()
}

func writeMarkdown(w io.Writer, head []string, rows [][]string, a, b, over string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "| %s |\n|---%s|\n", strings.Join(head, " | "), strings.Repeat("|---:", len(head)-1))
	for _, row := range rows {
		fmt.Fprintf(&text, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintf(&text, "\nA: `%s`, B: `%s`. Median (least..largest) over the %s; B/A is taken one by one.\n", a, b, over)
	_, err := io.WriteString(w, text.String())
	return err
}

// KETable is the result of CompareKE.
type KETable struct {
	A, B string // what was compared
	Rows []KERow
}

// WriteText writes the table for a terminal.
func (t *KETable) WriteText(w io.Writer) error {
	return writeText(w, keColumns, t.cells(), t.A, t.B, "turns")
}

// WriteMarkdown writes the table for a document.
func (t *KETable) WriteMarkdown(w io.Writer) error {
	return writeMarkdown(w, keColumns, t.cells(), t.A, t.B, "turns")
}

func (t *KETable) cells() (rows [][]string) {
	for i := range t.Rows {
		rows = append(rows, t.Rows[i].cells())
	}
	return rows
}

// Err returns why kinds could not be measured, nil if all were.
func (t *Table) Err() error {
	var problems []string
	for _, r := range t.Rows {
		if r.Err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", r.Kind, r.Err))
		}
	}
	if problems == nil {
		return nil
	}
	return fmt.Errorf("not measured: %s", strings.Join(problems, "\n"))
}
