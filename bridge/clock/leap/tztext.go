package leap

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseText reads the tz database's leapseconds (the form that zic -L takes,
// zic(8)): lines "Leap 2016 Dec 31 23:59:60 + S" and "Expires ...", or for an
// old zic the comments "#updated" and "#expires" with a Unix time.
func (t *Table) parseText(text string) error {
	if err := t.add(begin, tai1972); err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if err := t.textLine(strings.Fields(line)); err != nil {
			return fmt.Errorf("line %d: %w; update the tzdata package", number, err)
		}
	}
	return nil
}

func (t *Table) textLine(fields []string) (err error) {
	if len(fields) == 0 {
		return nil
	}
	switch fields[0] {
	case "#updated":
		t.updated, err = textUnix(fields[1:])
	case "#expires":
		t.expires, err = textUnix(fields[1:])
	case "Expires":
		if len(fields) < 5 {
			return errors.New("wants year, month, day and time after Expires")
		}
		var day time.Time
		if day, err = textDay(fields[1:4]); err == nil {
			t.expires, err = textTime(day, fields[4])
		}
	case "Leap":
		err = t.textLeap(fields[1:])
	default:
		if !strings.HasPrefix(fields[0], "#") {
			err = errors.New("neither Leap nor Expires")
		}
	}
	return err
}

// textLeap reads what follows "Leap". Rolling ones (R), which are of local
// time, exist in no file.
func (t *Table) textLeap(f []string) error {
	if len(f) < 6 || f[5] != "S" && f[5] != "Stationary" {
		return errors.New("wants year, month, day, time, + or - and S after Leap")
	}
	day, err := textDay(f[:3])
	if err != nil {
		return err
	}
	tai := t.entries[len(t.entries)-1].TAI
	switch {
	case f[3] == "23:59:60" && f[4] == "+":
		tai++
	case f[3] == "23:59:59" && f[4] == "-":
		tai--
	default:
		return errors.New("neither 23:59:60 + nor 23:59:59 - after the day")
	}
	return t.add(day.AddDate(0, 0, 1).Unix(), tai)
}

func textUnix(fields []string) (time.Time, error) {
	if len(fields) == 0 {
		return time.Time{}, errors.New("wants a Unix time")
	}
	v, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || v < 0 || v > maxTime {
		return time.Time{}, errors.New("no Unix time")
	}
	return time.Unix(v, 0).UTC(), nil
}

func textDay(f []string) (time.Time, error) {
	day, err := time.Parse("2006 Jan 2", strings.Join(f, " "))
	if err != nil {
		return day, errors.New("no year, month and day")
	}
	return day, nil
}

func textTime(day time.Time, clock string) (time.Time, error) {
	at, err := time.Parse(time.TimeOnly, clock)
	if err != nil {
		return day, errors.New("no time of day")
	}
	return day.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute +
		time.Duration(at.Second())*time.Second), nil
}
