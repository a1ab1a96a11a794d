package bridge

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ntsbridge/bridge/follow/statlog"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
)

// Each hour there is one line of what came in it.
func TestSystemStatistics(t *testing.T) {
	dir := t.TempDir()
	to, err := statlog.Open(statlog.Config{Dir: dir, Files: []string{statlog.Sysstats}, Rotate: "none"})
	if err != nil {
		t.Fatal(err)
	}
	c := new(server.Counters)
	at := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	var s systemStatistics
	for minute := range 130 {
		c.Received += 2
		c.Actions[ntp.KindNone][ntp.Answer]++
		c.Packets[ntp.KindNone][4][ntp.ReasonOK]++
		c.Packets[ntp.KindSymmetric][3][ntp.ReasonBadMAC]++
		s.write(at.Add(time.Duration(minute)*time.Minute), to, func() *server.Counters { return c })
	}
	to.Close()
	text, err := os.ReadFile(filepath.Join(dir, "sysstats"))
	const want = "61373 3600.000 3600 122 61 61 61 0 0 61 0 0 0\n61373 7200.000 7200 120 60 60 60 0 0 60 0 0 0\n"
	if err != nil || string(text) != want {
		t.Errorf("%v\n%s%s", err, text, want)
	}
}
