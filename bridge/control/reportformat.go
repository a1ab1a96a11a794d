package control

import (
	"fmt"
	"math"
	"time"

	"ntsbridge/bridge/convert/spell"
)

// unit is a unit of chronyc's times: it is used below a limit, and counts in
// seconds. The limits are those that chronyc 4.6.1 was seen to have.
type unit struct {
	below, seconds float64
	digits         int // after the point
	name           string
}

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
	year   = 365 * day
)

var spanUnits = []unit{
	{9999.5e-9, 1e-9, 0, "ns"},
	{9999.5e-6, 1e-6, 0, "us"},
	{9999.5e-3, 1e-3, 0, "ms"},
	{999.5, 1, 1, "s"},
	{99999.5, 1, 0, "s"},
	{99999.5 * minute, minute, 0, "m"},
	{99999.5 * hour, hour, 0, "h"},
	{99999.5 * day, day, 0, "d"},
	{unknown, year, 0, "y"},
}

// unknown is from where a number is shown as not known: a time, s, or a
// rate.
const unknown = 1e18

// formatSpan shows a time without sign.
func formatSpan(v float64) string { return formatUnit(abs(v), "%.*f%s") }

// formatSigned shows a time with its sign.
func formatSigned(v float64) string { return formatUnit(v, "%+.*f%s") }

func formatUnit(v float64, format string) string {
	for _, u := range spanUnits {
		if abs(v) < u.below {
			return fmt.Sprintf(format, u.digits, v/u.seconds, u.name)
		}
	}
	return "-" // or not a number
}

// formatAge shows a time ago, seconds; -1: never.
func formatAge[T int64 | uint64](v T) string {
	s := csvAge(v)
	switch {
	case s == never:
		return "-"
	case s < 20*minute:
		return fmt.Sprint(s)
	case s < 600*minute:
		return fmt.Sprintf("%dm", s/minute)
	case s < 96*hour:
		return fmt.Sprintf("%dh", s/hour)
	case s < 1000*day:
		return fmt.Sprintf("%dd", s/day)
	}
	return fmt.Sprintf("%dy", s/year)
}

// never is chrony's number for a time that was never.
const never = math.MaxUint32

// csvAge limits a time ago to what chrony has.
func csvAge[T int64 | uint64](v T) uint32 {
	if v < 0 {
		return never
	}
	return uint32(min(uint64(v), never))
}

// formatRate shows parts per million; large ones without a fraction.
func formatRate(v float64, sign bool) string {
	plus := ""
	if sign {
		plus = "+"
	}
	switch {
	case abs(v) < 99999.5:
		return fmt.Sprintf("%"+plus+"10.3f", v)
	case abs(v) < unknown:
		return fmt.Sprintf("%"+plus+"10.0f", v)
	}
	return fmt.Sprintf("%10s", "-")
}

func formatScore(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *v)
}

func abs(v float64) float64 { return math.Abs(v) }

func either(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}

func yesOrNo(v bool) byte {
	if v {
		return 'Y'
	}
	return 'N'
}

func (m SourceMode) sign() byte {
	switch m {
	case ModePeer:
		return '='
	case ModeReferenceClock:
		return '#'
	}
	return '^'
}

func (s SourceState) sign() byte {
	switch s {
	case StateSelected:
		return '*'
	case StateCombined:
		return '+'
	case StateNotCombined:
		return '-'
	case StateFalseticker:
		return 'x'
	case StateTooVariable:
		return '~'
	}
	return '?'
}

func (m AuthMode) word() string {
	switch m {
	case AuthSymmetric:
		return "SK"
	case AuthNTS:
		return "NTS"
	case AuthAutokey:
		return "AK"
	}
	return "-"
}

// letters returns one per option, "-" where it is not set.
func (o Options) letters() []string {
	all := []string{"-", "-", "-", "-", "-"} // chrony keeps room for a fifth
	for i, set := range []bool{o.NoSelect, o.Prefer, o.Trust, o.Require} {
		if set {
			all[i] = "NPTR"[i : i+1]
		}
	}
	return all
}

func (s *SelectData) state() string {
	if len(s.State) != 1 {
		return "?"
	}
	return spell.Printable(s.State)
}

// referenceUnix is the reference time, and the beginning of 1970 for never.
func (t *Tracking) referenceUnix() time.Time {
	if t.ReferenceTime.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t.ReferenceTime.UTC()
}

// spread returns deviation and skew, and chronyd's where nothing was measured.
func (s *SourceStats) spread() (deviation, skew float64) {
	if s.Samples == 0 && s.Deviation == 0 && s.Skew == 0 {
		return chronyNoDeviation, chronyNoSkew
	}
	return s.Deviation, s.Skew
}

// What chronyd says of a source that was never measured.
const (
	chronyNoSkew      = 2000 // ppm
	chronyNoDeviation = 4    // s
)
