package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var errDuration = errors.New("write a number with a unit (500ms, 8s, 15m, 24h, 7d, 2w) or ISO 8601 (PT8S, P7D)")

// isoDuration is ISO 8601 without years and months, whose length varies.
var isoDuration = regexp.MustCompile(`^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d{1,9})?)S)?)?$`)

// daysAndWeeks is what Go's durations lack.
var daysAndWeeks = regexp.MustCompile(`^(?:(\d+)w)?(?:(\d+)d)?`)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// parseDuration reads a duration as Go writes it, with d and w in front, or as
// ISO 8601 does. It must not be negative.
func parseDuration(s string) (time.Duration, error) {
	d, ok := time.Duration(0), false
	if strings.HasPrefix(s, "P") {
		d, ok = parseISODuration(s)
	} else {
		d, ok = parseGoDuration(s)
	}
	if !ok || d < 0 {
		return 0, fmt.Errorf("%.60q is not a duration; %w", s, errDuration)
	}
	return d, nil
}

func parseGoDuration(s string) (time.Duration, bool) {
	m := daysAndWeeks.FindStringSubmatch(s)
	rest := s[len(m[0]):]
	total, ok := sum(m[1:], week, day)
	if !ok || rest == "" {
		return total, ok && m[0] != ""
	}
	d, err := time.ParseDuration(rest)
	// A bare 0 has no unit, and signs are for nobody.
	if err != nil || rest == "0" || rest[0] == '-' || rest[0] == '+' || total > math.MaxInt64-d {
		return 0, false
	}
	return total + d, true
}

func parseISODuration(s string) (time.Duration, bool) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(s, "T") || s == "P" {
		return 0, false
	}
	total, ok := sum(m[1:5], week, day, time.Hour, time.Minute)
	if !ok || m[5] == "" {
		return total, ok
	}
	seconds, err := time.ParseDuration(strings.Replace(m[5], ",", ".", 1) + "s")
	if err != nil || total > math.MaxInt64-seconds {
		return 0, false
	}
	return total + seconds, true
}

// sum adds up counts of units; an empty count is 0.
func sum(counts []string, units ...time.Duration) (total time.Duration, ok bool) {
	for i, unit := range units {
		if counts[i] == "" {
			continue
		}
		n, err := strconv.ParseInt(counts[i], 10, 64)
		if err != nil || n > int64((math.MaxInt64-total)/unit) {
			return 0, false
		}
		total += time.Duration(n) * unit
	}
	return total, true
}

// FormatDuration writes a duration without the zero parts at its end.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return strings.ReplaceAll(s, "µ", "u")
}

// parseDate reads a day (its midnight UTC) or an RFC 3339 time.
func parseDate(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.60q is not a date; write 2030-01-31 or 2030-01-31T12:00:00Z", s)
}
