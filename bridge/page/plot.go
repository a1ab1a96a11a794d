package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/report"
)

// The plane of a plot; it is stretched to the place that it has, lines are not.
const (
	plotWidth  = 1000.0
	plotHeight = 240.0
)

// stack is clients by means over time.
type stack struct {
	Areas  []stackArea // the lowest first
	Days   []stackDay
	Top    string // label of the upper end
	Half   string
	From   string
	Middle string
	To     string
	Legend []stackShare
}

type stackArea struct{ Class, Path string }

// stackDay is what a pointer over a day shows.
type stackDay struct{ X, Width, Text string }

// stackShare is a class today.
type stackShare struct {
	Class string
	Count int
	Of    int
}

// newStack makes the plot of days, which are in order; nil of none.
func newStack(days []report.DayCount) *stack {
	if len(days) == 0 {
		return nil
	}
	classes := report.Classes()
	at := make([]float64, len(days)) // days since the first
	most := 1
	for i := range days {
		at[i] = dayNumber(days[i].Date) - dayNumber(days[0].Date)
		most = max(most, total(days[i].Best))
	}
	top := niceAbove(float64(most))
	if int(top)%2 == 1 && top > 1 { // so that the half of it is a number of clients
		top = niceAbove(top + 1)
	}
	s := &stack{Top: number(int(top)), Half: number(int(top / 2)), From: days[0].Date, To: days[len(days)-1].Date}
	if top < 2 {
		s.Half = ""
	}
	whole := math.Max(at[len(at)-1], 1)
	if len(days) > 4 {
		s.Middle = dateOf(days[0].Date).Add(time.Duration(whole / 2 * 24 * float64(time.Hour))).Format(time.DateOnly)
	}
	x := func(i int) float64 { return at[i] / whole * plotWidth }
	below := make([]float64, len(days))
	for _, class := range classes {
		var up, down strings.Builder
		any := false
		for i := range days {
			n := float64(days[i].Best[class])
			any = any || n > 0
			below[i] += n
			edge(&up, i == 0, x(i), plotHeight*(1-below[i]/top))
		}
		if len(days) == 1 { // a band
			edge(&up, false, plotWidth, plotHeight*(1-below[0]/top))
		}
		for i := len(days) - 1; i >= 0; i-- {
			y := plotHeight * (1 - (below[i]-float64(days[i].Best[class]))/top)
			if len(days) == 1 {
				edge(&down, false, plotWidth, y)
			}
			edge(&down, false, x(i), y)
		}
		if any {
			s.Areas = append(s.Areas, stackArea{class, up.String() + down.String() + "Z"})
		}
	}
	last := days[len(days)-1]
	for _, class := range classes {
		s.Legend = append(s.Legend, stackShare{class, last.Best[class], total(last.Best)})
	}
	s.hits(days, at, whole)
	return s
}

func total(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func dateOf(date string) time.Time {
	t, _ := time.Parse(time.DateOnly, date) // a report has nothing else
	return t
}

func dayNumber(date string) float64 { return float64(dateOf(date).Unix() / 86400) }

// hits are what a pointer meets.
func (s *stack) hits(days []report.DayCount, at []float64, whole float64) {
	width := plotWidth / (whole + 1)
	for i := range days {
		var text strings.Builder
		text.WriteString(days[i].Date + ":")
		for _, class := range report.Classes() {
			if n := days[i].Best[class]; n > 0 {
				fmt.Fprintf(&text, " %s %s,", classTitle(class), number(n))
			}
		}
		x := max(at[i]/whole*plotWidth-width/2, 0)
		s.Days = append(s.Days, stackDay{coordinate(x), coordinate(min(width, plotWidth-x)), strings.TrimSuffix(text.String(), ",")})
	}
}

func edge(b *strings.Builder, first bool, x, y float64) {
	if first {
		b.WriteByte('M')
	} else {
		b.WriteByte('L')
	}
	b.WriteString(coordinate(x))
	b.WriteByte(' ')
	b.WriteString(coordinate(y))
}

func coordinate(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// niceAbove is the least of some round numbers times a power of ten that is not
// below v.
func niceAbove(v float64) float64 {
	if v <= 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10} {
		if v <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// line is one quantity over time.
type line struct {
	Title     string
	Path      string
	Zero      string // y of the line at 0; empty: it is not in the plot
	Top       string // labels of the ends
	Bottom    string
	Last      string // the newest value
	From      string
	To        string
	Described string // for who does not see it
}

// point is a value at a time.
type point struct {
	at time.Time
	v  float64
}

// newLine makes a plot; format writes its values. fromZero: the lower end is 0;
// else the plot has 0 in it. gap is from where on points are not joined.
func newLine(title string, points []point, gap time.Duration, fromZero bool, format func(float64) string) *line {
	l := &line{Title: title}
	if len(points) == 0 {
		l.Last, l.Described = "–", title+": nothing was measured yet"
		return l
	}
	least, most := points[0].v, points[0].v
	for _, p := range points {
		least, most = math.Min(least, p.v), math.Max(most, p.v)
	}
	low, high := ends(least, most, fromZero)
	first, last := points[0], points[len(points)-1]
	whole := math.Max(last.at.Sub(first.at).Seconds(), 1)
	y := func(v float64) float64 { return plotHeight * (1 - (v-low)/(high-low)) }
	var b strings.Builder
	for i, p := range points {
		x := p.at.Sub(first.at).Seconds() / whole * plotWidth
		edge(&b, i == 0 || p.at.Sub(points[i-1].at) > gap, x, y(p.v))
	}
	if len(points) == 1 {
		edge(&b, false, plotWidth, y(first.v))
	}
	if low < 0 && high > 0 {
		l.Zero = coordinate(y(0))
	}
	l.Path, l.Top, l.Bottom, l.Last = b.String(), format(high), format(low), format(last.v)
	l.From, l.To = first.at.UTC().Format("15:04"), last.at.UTC().Format("15:04")
	if last.at.Sub(first.at) > 12*time.Hour {
		l.From, l.To = first.at.UTC().Format("01-02 15:04"), last.at.UTC().Format("01-02 15:04")
	}
	l.Described = fmt.Sprintf("%s from %s to %s UTC: between %s and %s, now %s", title, l.From, l.To, format(least),
		format(most), format(last.v))
	return l
}

// ends are those of an axis.
func ends(least, most float64, fromZero bool) (low, high float64) {
	if fromZero {
		return 0, niceAbove(most)
	}
	margin := (most - least) * 0.05
	if margin == 0 {
		margin = math.Max(math.Abs(most)*0.1, 1e-12)
	}
	low, high = least-margin, most+margin
	if near := high - low; low > 0 && low < near { // 0 is near: show it
		low = -near * 0.05
	} else if high < 0 && -high < near {
		high = near * 0.05
	}
	return low, high
}

// plots are the three of a source, or of the clock.
type plots struct {
	Name, Address, State string
	Lines                []*line
}

func sourcePlots(h *control.SourceHistory) (list []plots) {
	gap := time.Duration(3 * h.Interval * float64(time.Second))
	three := func(name, address, state string, offsets, frequencies, bounds []point) {
		list = append(list, plots{name, address, state, []*line{newLine("Offset", offsets, gap, false, offset),
			newLine("Frequency", frequencies, gap, false, ppm), newLine("Root distance", bounds, gap, true, span)}})
	}
	var o, f, d []point
	for _, c := range h.Clock {
		o, f, d = append(o, point{c.Time, c.Offset}), append(f, point{c.Time, c.Frequency}), append(d, point{c.Time, c.Bound})
	}
	three("System clock", "", "", o, f, d)
	for i := range h.Sources {
		s := &h.Sources[i]
		o, f, d = nil, nil, nil
		for _, p := range s.Points {
			o, f, d = append(o, point{p.Time, p.Offset}), append(f, point{p.Time, p.Frequency}), append(d, point{p.Time, p.Bound})
		}
		state := ""
		if n := len(s.Points); n > 0 {
			state = string(s.Points[n-1].State)
		}
		three(s.Name, s.Address, state, o, f, d)
	}
	return list
}
