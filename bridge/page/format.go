package page

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/report"
)

// functions are those of the templates.
var functions = template.FuncMap{
	"number": anyNumber, "signed": signed, "percent": percent, "span": span, "offset": offset, "ppm": ppm, "when": when, "moment": moment,
	"date": func(t time.Time) string { return t.UTC().Format(time.DateOnly) }, "iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"known": func(t time.Time) bool { return !t.IsZero() && t.Unix() > 0 },
	"prose": prose, "interval": interval, "seen": seen, "seenBy": seenBy, "usedAt": usedAt,
	"ahead": ahead, "long": long, "join": strings.Join, "clientURL": clientURL, "class": classTitle,
	"octal": func(v uint8) string { return fmt.Sprintf("%o", v) },
	"poll":  poll, "plural": plural, "dash": dash, "answered": answered, "refused": refused, "pollOf": pollOf, "ago": report.Ago,
	"day":       func(t report.Time) string { return time.Unix(int64(t), 0).UTC().Format(time.DateOnly) },
	"instant":   func(t report.Time) string { return time.Unix(int64(t), 0).UTC().Format(time.RFC3339) },
	"meansText": func(m report.Means) string { return m.String() }, "labelText": func(l report.Label) string { return l.String() },
}

// number writes a whole number with commas.
func number[T int | int64 | uint64 | uint32 | uint16](n T) string {
	s := fmt.Sprint(n)
	sign := ""
	if s[0] == '-' {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// anyNumber is number for templates.
func anyNumber(v any) (string, error) {
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return number(r.Int()), nil
	case r.CanUint():
		return number(r.Uint()), nil
	}
	return "", fmt.Errorf("%T is no number", v)
}

// signed is number with a plus, and ±0.
func signed(n int) string {
	switch {
	case n > 0:
		return "+" + number(n)
	case n == 0:
		return "±0"
	}
	return number(n)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// percent is a share of a whole; nothing is 0, and not all is never 100.
func percent(part, whole int) string {
	if whole <= 0 {
		return "–"
	}
	v := 100 * float64(part) / float64(whole)
	switch {
	case part == whole:
		return "100 %"
	case v > 99.9:
		return "> 99.9 %"
	case part > 0 && v < 0.1:
		return "< 0.1 %"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " %"
}

// units of times, seconds.
var units = []struct {
	below, size float64
	name        string
}{{1e-6, 1e-9, "ns"}, {1e-3, 1e-6, "µs"}, {1, 1e-3, "ms"}, {math.Inf(1), 1, "s"}}

// span is a time, seconds, with three digits.
func span(v float64) string {
	if math.IsNaN(v) || math.Abs(v) > 1e12 {
		return "–"
	}
	if v == 0 {
		return "0"
	}
	for _, u := range units {
		if math.Abs(v) < u.below {
			return digits(v/u.size) + " " + u.name
		}
	}
	return "–"
}

// offset is a span with its sign.
func offset(v float64) string {
	s := span(v)
	switch {
	case s == "–":
		return s
	case v > 0:
		return "+" + s
	}
	return strings.Replace(s, "-", "−", 1)
}

func digits(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func ppm(v float64) string {
	if math.IsNaN(v) || math.Abs(v) > 1e12 {
		return "–"
	}
	return strings.Replace(fmt.Sprintf("%+.3f ppm", v), "-", "−", 1)
}

// poll is 2 to the power of an exponent, as a time.
func poll(exponent int) string {
	return long(time.Duration(math.Ldexp(float64(time.Second), max(min(exponent, 24), -10))))
}

// long is a duration in one or two units.
func long(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "−", -d
	}
	part := func(n time.Duration, unit string, rest time.Duration, restUnit string) string {
		if rest == 0 {
			return fmt.Sprintf("%s%d %s", sign, n, unit)
		}
		return fmt.Sprintf("%s%d %s %d %s", sign, n, unit, rest, restUnit)
	}
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return part(d/day, "d", d%day/time.Hour, "h")
	case d >= time.Hour:
		return part(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	case d >= time.Minute:
		return part(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	case d >= time.Second:
		return sign + strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
	}
	return sign + strconv.FormatFloat(float64(d)/1e6, 'f', -1, 64) + " ms"
}

// when is a point in time for people, UTC.
func when(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// ahead is how far a clock is before ours, as far as etcd tells.
func ahead(v float64) string {
	if math.Abs(v) < 0.05 {
		return "±0"
	}
	return offset(v)
}

// moment is when for the inventory's times.
func moment(t report.Time) string {
	if t == 0 {
		return "never"
	}
	return t.String()
}

func clientURL(address string) string { return "/client?address=" + url.QueryEscape(address) }

// classTitle is what a class of means is called on the page.
func classTitle(class string) string {
	switch class {
	case "nts":
		return "NTS"
	case "symmetric":
		return "symmetric key"
	case "autokey":
		return "Autokey"
	case "none":
		return "no authentication"
	}
	return class
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// answered counts the packets of a row that were.
func answered(r *report.Row) (n uint64) {
	for i := range r.Means {
		n += uint64(r.Means[i].Answered)
	}
	return n
}

func refused(r *report.Row) (n uint64) {
	for i := range r.Means {
		for _, c := range r.Means[i].Refused {
			n += uint64(c)
		}
	}
	return n
}

// pollOf is the longest poll interval of a row, as text.
func pollOf(r *report.Row) string {
	s := 0.0
	for i := range r.Means {
		s = max(s, r.Means[i].Poll)
	}
	if s == 0 {
		return "–"
	}
	return long(time.Duration(s * float64(time.Second)))
}

// usedAt is when a gateway saw a means last, 0: never.
func usedAt(m report.Means, gateway string) report.Time {
	for _, g := range m.Gateways {
		if g.Gateway == gateway {
			return g.Last
		}
	}
	return 0
}

// seenBy is when a gateway saw a client last.
func seenBy(r *report.Row, gateway string) (last report.Time) {
	for i := range r.Means {
		last = max(last, usedAt(r.Means[i], gateway))
	}
	return last
}

// seen is a day, which is all that gateways tell one another.
func seen(t report.Time, now time.Time) string {
	day := uint32(t) / 86400
	switch today := uint32(now.Unix()) / 86400; {
	case t == 0:
		return "–"
	case day >= today:
		return "today"
	case day+1 == today:
		return "yesterday"
	}
	return time.Unix(int64(t), 0).UTC().Format(time.DateOnly)
}

// stretch is a part of a sentence; code stands between backticks there.
type stretch struct {
	Text string
	Code bool
}

func prose(text string) (list []stretch) {
	parts := strings.Split(text, "`")
	if len(parts)%2 == 0 { // one that is not closed is a backtick
		parts = []string{text}
	}
	for i, s := range parts {
		if s != "" {
			list = append(list, stretch{s, i%2 == 1})
		}
	}
	return list
}

// interval is a number of seconds as a time.
func interval(s float64) string {
	return long(time.Duration(s * float64(time.Second)).Round(time.Second / 10))
}
