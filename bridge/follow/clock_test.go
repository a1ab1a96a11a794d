package follow

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/clock/leap"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// silent is a Clock whose owner listens to nothing.
func silent(t *testing.T) *Clock {
	t.Helper()
	c := New(Options{Precision: -20, NoClock: true, Log: hclog.NewNullLogger()}, Functions{
		OnState: func(*ntp.ClockState) {}, OnStep: func(time.Duration) {}, OnDoubt: func() {},
		OnSynchronised: func(bool) {}, OnFailure: func(err error) { t.Error(err) }})
	t.Cleanup(func() { c.Close() })
	return c
}

// testConfig follows one source in a mode.
func testConfig(t *testing.T, mode string) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Clock.Mode, cfg.Clock.Ask = mode, "none"
	cfg.StateDir, cfg.RunDir = t.TempDir(), t.TempDir()
	cfg.Sources = []config.Source{{Server: "192.0.2.1"}}
	return cfg
}

func commit(t *testing.T, c *Clock, cfg *config.Config, leaps LeapConfig, now time.Time) {
	t.Helper()
	change, err := c.Prepare(cfg, leaps)
	if err != nil {
		t.Fatal(err)
	}
	change.Commit(now)
}

// leapTable has a leap second at the end of a month, and is valid for a year.
func leapTable(t *testing.T, text string) *leap.Table {
	t.Helper()
	table, err := leap.Parse("test", []byte(text), leap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

const (
	before2017 = "#@ 3928521600\n2272060800 10\n3644697600 36\n"
	since2017  = before2017 + "3692217600 37\n"
)

// What the driver was given at the first start tells of the table of the last
// reload, and is read again a day later.
func TestLeapTableOfTheLastReload(t *testing.T) {
	c, cfg := silent(t), testConfig(t, config.ClockDiscipline)
	now := time.Date(2016, 12, 10, 0, 0, 0, 0, time.UTC)
	commit(t, c, cfg, LeapConfig{Table: leapTable(t, before2017)}, now)
	month, tai := c.LeapSeconds().Month, c.LeapSeconds().TAI // as the driver and reference clocks have them
	if kind, _, known := month(now); !known || kind != ntp.LeapNone {
		t.Fatalf("first table: %v %v", kind, known)
	}
	reads := 0
	next := LeapConfig{Table: leapTable(t, since2017), Load: func(time.Time) (*leap.Table, error) {
		reads++
		return nil, errors.New("gone")
	}}
	steering := c.Steering()
	commit(t, c, cfg, next, now)
	if c.Steering() != steering {
		t.Error("a reload that changes nothing of the discipline replaced it")
	}
	if kind, was, known := month(now); !known || kind != ntp.LeapInsert || was != 36 {
		t.Errorf("after a reload: %v, TAI %d, %v", kind, was, known)
	}
	if offset, ok := tai(now.AddDate(0, 1, 0).UnixNano()); !ok || offset != 37*time.Second {
		t.Errorf("TAI after the leap second: %v %v", offset, ok)
	}
	c.LeapSeconds().Refresh(now.Add(time.Hour))
	if reads != 0 {
		t.Error("read again within the hour")
	}
	c.LeapSeconds().Refresh(now.Add(25 * time.Hour))
	c.LeapSeconds().Refresh(now.Add(26 * time.Hour)) // a day later again, not once a second
	if kind, _, _ := month(now); reads != 1 || kind != ntp.LeapInsert {
		t.Errorf("%d reads, then %v: what cannot be read leaves what was", reads, kind)
	}
}

// exchange is a good one, as of now.
func exchange() source.Sample {
	at := ntp.TimestampFromTime(time.Now())
	base, _ := clock.ReadOnlySystem().Read()
	return source.Sample{At: at, T1: at, T2: at, T3: at, T4: at, Raw1: base.Raw - 1e3, Raw4: base.Raw,
		Header: ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 1, ReferenceID: 1}}
}

// A sample says itself whether it is provisional, and nothing is served as long
// as one of a source in use was.
func TestProvisionalSamples(t *testing.T) {
	c := silent(t)
	commit(t, c, testConfig(t, config.ClockDiscipline), LeapConfig{}, time.Now())
	s := c.Steering()
	add := func(addr string) *Source {
		f, err := s.Add("test", discipline.SourceConfig{MinPoll: 1, MaxPoll: 4}, clock.SourceInfo{Address: netip.MustParseAddr(addr)}, new(ntp.PeerEvents))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	good, doubtful := add("192.0.2.1"), add("192.0.2.2")
	good.Sample(exchange(), false)
	if s.Provisional() {
		t.Error("provisional without a provisional sample")
	}
	doubtful.Sample(exchange(), true)
	good.Sample(exchange(), false)
	state := &ntp.ClockState{Stratum: 2, Precision: -20}
	if !s.Provisional() || c.toServe(state, time.Now()).Synchronised() {
		t.Error("a provisional sample is in use, and the clock is served")
	}
	doubtful.Leave(false)
	if !s.Provisional() {
		t.Error("a source that a reload may take up again is forgotten")
	}
	again := add("192.0.2.2")
	again.Sample(exchange(), false)
	if s.Provisional() || !c.toServe(state, time.Now()).Synchronised() {
		t.Error("still provisional after the source was confirmed")
	}
	again.Sample(exchange(), true)
	again.Leave(true)
	if s.Provisional() {
		t.Error("provisional by a source that is gone")
	}
}

// What selection asks of sources changes in every mode; what a steered clock
// keeps does not, and says so.
func TestSelectionChanges(t *testing.T) {
	for _, mode := range []string{config.ClockObserve, config.ClockDiscipline} {
		c, cfg := silent(t), testConfig(t, mode)
		commit(t, c, cfg, LeapConfig{}, time.Now())
		steering := c.Steering()
		f, err := steering.Add("test", discipline.SourceConfig{MinPoll: 1, MaxPoll: 4}, clock.SourceInfo{Name: "a"}, new(ntp.PeerEvents))
		if err != nil {
			t.Fatal(err)
		}
		next := *cfg
		next.Clock.MaxDistance = time.Millisecond // below that of any exchange
		commit(t, c, &next, LeapConfig{}, time.Now())
		distant := func() source.Sample {
			x := exchange()
			x.Header.RootDispersion = ntp.ShortFromDuration(10 * time.Millisecond)
			return x
		}
		f.Sample(distant(), false)
		if r, _ := f.Report(); r.Samples != 0 {
			t.Errorf("%s: a sample beyond clock.max_distance is used", mode)
		}
		commit(t, c, cfg, LeapConfig{}, time.Now())
		f.Sample(distant(), false)
		if r, _ := f.Report(); r.Samples != 1 || c.Steering() != steering {
			t.Errorf("%s: after the way back %d samples", mode, r.Samples)
		}
		next = *cfg
		next.Clock.StartSlewPPM = 17
		change, err := c.Prepare(&next, LeapConfig{})
		if (err != nil) != (mode == config.ClockDiscipline) {
			t.Errorf("%s: another discipline: %v", mode, err)
		}
		if err == nil && change.Steering() == steering {
			t.Errorf("%s: another discipline is not made", mode)
		}
		change.Abort()
		if c.Steering() != steering {
			t.Errorf("%s: an aborted change did something", mode)
		}
	}
}
