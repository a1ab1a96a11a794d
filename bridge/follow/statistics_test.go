package follow

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
)

// Each measurement is written, and a reload that names no file ends that.
func TestMeasurementsAreWritten(t *testing.T) {
	c := silent(t)
	cfg := testConfig(t, config.ClockDiscipline)
	dir := t.TempDir()
	cfg.Statistics = config.Statistics{Dir: dir, Files: []string{"measurements", "statistics", "peerstats", "rawstats",
		"loopstats", "tracking"}, Rotate: "none"}
	commit(t, c, cfg, LeapConfig{}, time.Now())
	f, err := c.Steering().Add("one", discipline.SourceConfig{MinPoll: 4, MaxPoll: 4},
		clock.SourceInfo{Name: "ntp.example.net", Address: netip.MustParseAddr("192.0.2.1")}, new(ntp.PeerEvents))
	if err != nil {
		t.Fatal(err)
	}
	f.Sample(exchange(), false)
	bad := *cfg
	bad.Statistics.Dir = "/dev/null"
	if _, err := c.Prepare(&bad, LeapConfig{}); err == nil {
		t.Error("a directory that is a file")
	}
	none := *cfg
	none.Statistics = config.Statistics{}
	commit(t, c, &none, LeapConfig{}, time.Now())
	f.Sample(exchange(), false)
	for name, lines := range map[string]int{"measurements.log": 4, "statistics.log": 4, "peerstats": 1, "rawstats": 1} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Count(string(text), "\n") != lines || !strings.Contains(string(text), " 192.0.2.1 ") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}
