package page

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/report"
)

func TestNumbersForPeople(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{number(0), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(-1234567), "−1,234,567"}, {signed(5),
			"+5"}, {signed(0), "±0"},
		{signed(-5), "−5"}, {percent(0, 0), "–"}, {percent(0, 5), "0.0 %"}, {percent(1, 100_000),
			"< 0.1 %"}, {percent(99_999, 100_000), "> 99.9 %"},
		{percent(5, 5), "100 %"}, {percent(1, 3), "33.3 %"}, {span(0), "0"}, {span(12.34e-6), "12.3 µs"}, {span(-1.5e-9), "-1.50 ns"},
		{span(2), "2.00 s"}, {span(math.NaN()), "–"}, {span(math.MaxFloat64), "–"}, {offset(3e-3),
			"+3.00 ms"}, {offset(-3e-3), "−3.00 ms"},
		{ppm(-11.3), "−11.300 ppm"}, {poll(6), "1 min 4 s"}, {poll(-2), "250 ms"}, {poll(10), "17 min 4 s"}, {poll(99), "194 d 4 h"},
		{long(36 * time.Hour), "1 d 12 h"}, {long(-time.Minute), "−1 min"}, {plural(1, "client", "clients"), "1 client"},
		{plural(2, "client", "clients"), "2 clients"}, {when(time.Time{}), "never"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestProse(t *testing.T) {
	for text, want := range map[string]string{"": "", "plain": "plain", "say `fleet resume a`, then": "say [fleet resume a], then", "`x`": "[x]",
		"one ` alone": "one ` alone"} {
		got := ""
		for _, s := range prose(text) {
			if s.Code {
				got += "[" + s.Text + "]"
			} else {
				got += s.Text
			}
		}
		if got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// drawn is what a path of a plot is made of: no number that is none.
var drawn = regexp.MustCompile(`^([ML]-?[0-9.]+ -?[0-9.]+)+Z?$`)

func TestStack(t *testing.T) {
	day := func(date string, nts, none int) report.DayCount {
		return report.DayCount{Date: date, Best: map[string]int{"nts": nts, "none": none}}
	}
	if newStack(nil) != nil {
		t.Error("a plot of nothing")
	}
	one := newStack([]report.DayCount{day("2026-11-29", 3, 1)})
	if len(one.Areas) != 2 || !strings.HasPrefix(one.Areas[0].Path, "M0 60L1000 60L1000 240L0 240Z") || one.Top != "4" ||
		one.Half != "2" {
		t.Errorf("%+v", one)
	}
	s := newStack([]report.DayCount{day("2026-11-01", 0, 0), day("2026-11-02", 100, 50), day("2026-11-05", 150, 0)})
	if len(s.Areas) != 2 || len(s.Days) != 3 || s.Areas[0].Path != "M0 240L250 80L1000 0L1000 240L250 240L0 240Z" ||
		s.Legend[0].Count != 150 {
		t.Errorf("%+v", s)
	}
	if odd := newStack([]report.DayCount{day("2026-11-29", 22, 0)}); odd.Top != "30" || odd.Half != "15" {
		t.Errorf("half of %s is %s", odd.Top, odd.Half)
	}
	for _, a := range append(one.Areas, s.Areas...) {
		if !drawn.MatchString(a.Path) {
			t.Error(a.Path)
		}
	}
}

func TestLine(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1_800_000_000+int64(s), 0) }
	if l := newLine("Offset", nil, time.Minute, false, offset); l.Path != "" || l.Last != "–" {
		t.Errorf("%+v", l)
	}
	for name, points := range map[string][]point{"one": {{at(0), 5e-6}}, "constant": {{at(0), 0}, {at(10), 0}, {at(20), 0}},
		"both signs": {{at(0), -1e-6}, {at(10), 1e-6}}, "far": {{at(0), -11.3}, {at(10), -11.2}}, "huge": {{at(0), 1e11},
			{at(1), -1e11}}} {
		for _, fromZero := range []bool{false, true} {
			l := newLine(name, points, time.Minute, fromZero, offset)
			if !drawn.MatchString(l.Path) || strings.Contains(l.Path, "NaN") || l.Top == l.Bottom {
				t.Errorf("%s: %+v", name, l)
			}
		}
	}
	l := newLine("gap", []point{{at(0), 1}, {at(10), 2}, {at(300), 1}, {at(310), 2}}, time.Minute, true, span)
	if strings.Count(l.Path, "M") != 2 || l.Bottom != "0" || l.Top != "2.00 s" || !strings.Contains(l.Described,
		"between 1.00 s and 2.00 s") {
		t.Errorf("%+v", l)
	}
	if both := newLine("", []point{{at(0), -1}, {at(1), 1}}, time.Minute, false, span); both.Zero == "" {
		t.Error("where is 0?")
	}
}
