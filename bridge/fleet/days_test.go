package fleet

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/ntp"
)

// Forty days in virtual time, with a kill, a restart and two days that nobody
// watched: the summary compares with what was so a day, a week and a month ago,
// also for clients that are forgotten by now or went back to their old means.
func TestSummaryOverTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	cfg := Config{Enabled: true, Clients: 1000, File: filepath.Join(t.TempDir(), StoreFile), Retention: 10 * 24 * time.Hour,
		Now: func() time.Time { return now }}
	start := func() *Fleet {
		f, err := Open(cfg, &report.Names{}, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	see := func(f *Fleet, first, last uint32, kind ntp.Kind) {
		for n := first; n < last; n++ {
			s := feed.Sighting{Addr: hostAddr(n).As16(), Received: ntp.TimestampFromTime(now), Kind: kind, Count: 1, Octets: 48,
				Action: ntp.Answer}
			s.Header[0], s.Header[3] = 4<<3|3, 32
			f.inventory.See(&s)
		}
	}
	f := start()
	for day := range 40 {
		moved := uint32(day) // one client a day moves to NTS
		if day != 20 && day != 21 {
			see(f, 0, moved, ntp.KindNTS)
			see(f, moved, 40, ntp.KindNone)
			if day < 15 {
				see(f, 100, 110, ntp.KindNone) // switched off for good on day 15, and out of the table by day 26
			}
			f.writeOnce(now, false)
		}
		switch day {
		case 12: // killed: what was written is there
			f.disk.store.Close()
			f = start()
		case 19: // ended, and started two days later
			f.writeOnce(now, true)
			if err := f.disk.close(); err != nil {
				t.Fatal(err)
			}
		case 21:
			f = start()
		}
		now = now.Add(24 * time.Hour)
	}
	now = now.Add(-23 * time.Hour)
	s, err := f.Summary(context.Background(), "label")
	if err != nil {
		t.Fatal(err)
	}
	best := s.Groups[0].Best
	// Thirty days ago was day 9: 9 had moved; the ten that are gone count with
	// those that had not.
	for moment, want := range map[string][2]int{"now": {39, 1}, "day": {38, 2}, "week": {32, 8}, "month": {9, 41}} {
		if got := [2]int{best["nts"][moment], best["none"][moment]}; got != want {
			t.Errorf("%s: %v have moved and have not, want %v", moment, got, want)
		}
	}
	var out bytes.Buffer
	if err := report.WriteSummary(&out, s, false); err != nil || strings.Contains(out.String(), "?") ||
		!strings.Contains(out.String(), "all    best nts    39   +1   +7    +30") {
		t.Errorf("%v\n%s", err, out.String())
	}
	const unwatched = "nobody watched from 2026-03-20 09:00:00 to 2026-03-22 09:00:00"
	if len(s.Gaps) != 1 || !slices.Contains(s.Notes, unwatched) {
		t.Errorf("gaps %v, notes %q, want %s", s.Gaps, s.Notes, unwatched)
	}
	if s, err = f.Summary(context.Background(), "8,48"); err != nil || s.Groups[1].Name != "10.0.0.0/8" {
		t.Errorf("%v %v", s, err)
	}
	_ = f.disk.close()
}
