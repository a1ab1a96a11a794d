package refclock

import (
	"strings"
	"testing"
	"time"
)

func system() SystemClock { return SystemClock{Synchronised: true} }

func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		driver Driver
		path   string
		unit   int
		refID  string
		name   string
		id     uint32
	}{
		{SHM, "", 2, "SHM2", "SHM 2", 0x53484d32},
		{SHM, "", 130, "SH30", "SHM 130", 0x53483330},
		{SOCK, "/run/chrony.ttyS3.sock", 0, "SOC0", "SOCK /run/chrony.ttyS3.sock", 0x534f4330},
		{PPS, "/dev/pps1", 0, "PPS1", "PPS /dev/pps1", 0x50505331},
		{PHC, "/dev/ptp0", 0, "PHC0", "PHC /dev/ptp0", 0x50484330},
		{PHC, "eth3", 0, "PHC3", "PHC eth3", 0x50484333},
	} {
		cfg := DefaultConfig(c.driver)
		cfg.Path, cfg.Unit, cfg.System = c.path, c.unit, system
		clock, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		s := clock.Status()
		if clock.RefID() != c.refID || clock.ReferenceID() != c.id || s.Name != c.name || s.Poll != 4 || clock.Delay() != 1 {
			t.Errorf("%v %s: %s %#x %+v", c.driver, c.path, clock.RefID(), clock.ReferenceID(), s)
		}
	}
	for unit, want := range map[int]uint32{0: 0o600, 1: 0o600, 2: 0o666} {
		clock, err := New(Config{Driver: SHM, Unit: unit})
		if err != nil || uint32(clock.cfg.Perm) != want {
			t.Errorf("unit %d: mode %#o, %v", unit, uint32(clock.cfg.Perm), err)
		}
	}
	short, err := New(Config{Driver: SHM, RefID: "GPS"})
	if err != nil || short.ReferenceID() != 0x47505300 {
		t.Errorf("%v", err)
	}
}

// Each mistake is refused with the name of the clock, of the option, and with
// what to do.
func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		want   string
		driver Driver
		change func(*Config)
	}{
		{"driver: 0 is none; choose", 0, func(*Config) {}},
		{"SHM 300: unit", SHM, func(c *Config) { c.Unit = 300 }},
		{"SHM -1: unit", SHM, func(c *Config) { c.Unit = -1 }},
		{"path: shared memory has none", SHM, func(c *Config) { c.Path = "/x" }},
		{"perm", SHM, func(c *Config) { c.Perm = 0o444 }},
		{"perm", SHM, func(c *Config) { c.Perm = 0o4666 }},
		{"SOCK run/x.sock: path", SOCK, func(c *Config) { c.Path = "run/x.sock" }},
		{"at most 107", SOCK, func(c *Config) { c.Path = "/" + strings.Repeat("x", 107) }},
		{"such as /dev/pps0", PPS, func(c *Config) { c.Path = "" }},
		{"such as /dev/ptp0", PHC, func(c *Config) { c.Path = "" }},
		{"such as /dev/ptp0", PHC, func(c *Config) { c.Path = "dev/ptp0" }},
		{"clear", PHC, func(c *Config) { c.Clear = true }},
		{"nocrossts", PPS, func(c *Config) { c.NoCrossTimestamps = true }},
		{"refid: \"GPSSS\"", SHM, func(c *Config) { c.RefID = "GPSSS" }},
		{"refid", SHM, func(c *Config) { c.RefID = "G S" }},
		{"refid", SHM, func(c *Config) { c.RefID = "Gü" }},
		{"lock", SOCK, func(c *Config) { c.Lock = "TOOLONG" }},
		{"lock: only a clock of pulses", SHM, func(c *Config) { c.Lock = "GPS" }},
		{"is this clock itself", PPS, func(c *Config) { c.RefID, c.Lock = "PPS", "PPS" }},
		{"lock: nothing numbers", PPS, func(c *Config) { c.System = nil }},
		{"lock: nothing numbers", SHM, func(c *Config) { c.Pulse, c.System = true, nil }},
		{"stratum: 15", SHM, func(c *Config) { c.Stratum = 15 }},
		{"poll: 13", SHM, func(c *Config) { c.Poll = 13 }},
		{"poll: -7", SHM, func(c *Config) { c.Poll = -7 }},
		{"dpoll: 5", SHM, func(c *Config) { c.DPoll = 5 }},
		{"dpoll: -7", SHM, func(c *Config) { c.DPoll = -7 }},
		{"filter: 257", SHM, func(c *Config) { c.Filter = 257 }},
		{"filter: -1", SHM, func(c *Config) { c.Filter = -1 }},
		{"delay", SHM, func(c *Config) { c.Delay = 4 * time.Second }},
		{"delay", SHM, func(c *Config) { c.Delay = -1 }},
		{"precision", SHM, func(c *Config) { c.Precision = 2 * time.Second }},
		{"maxdispersion", SHM, func(c *Config) { c.MaxDispersion = -1 }},
		{"offset", SHM, func(c *Config) { c.Offset = 25 * time.Hour }},
		{"rate", PPS, func(c *Config) { c.Rate = 1001 }},
		{"maxlockage", PPS, func(c *Config) { c.MaxLockAge = -1 }},
		{"width: 1s is not shorter", PPS, func(c *Config) { c.Width = time.Second }},
		{"width", PPS, func(c *Config) { c.Width, c.Rate = 250*time.Millisecond, 5 }},
		{"width: only pulses", SHM, func(c *Config) { c.Width = time.Millisecond }},
		{"tai: needs a table", PHC, func(c *Config) { c.TAI = true }},
		{"tai: pulses have no", PHC, func(c *Config) { c.TAI, c.Pulse = true, true }},
	} {
		cfg := DefaultConfig(c.driver)
		cfg.System = system
		switch c.driver {
		case SOCK:
			cfg.Path = "/run/x.sock"
		case PPS:
			cfg.Path = "/dev/pps0"
		case PHC:
			cfg.Path = "/dev/ptp0"
		}
		c.change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "refclock") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestLink(t *testing.T) {
	clock := func(d Driver, path string, refID, lock string) *Clock {
		cfg := DefaultConfig(d)
		cfg.Path, cfg.RefID, cfg.Lock, cfg.System = path, refID, lock, system
		c, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	nmea, pps := clock(SHM, "", "NMEA", ""), clock(PPS, "/dev/pps0", "PPS", "NMEA")
	if err := Link(pps, nmea); err != nil || pps.numberer != nmea {
		t.Errorf("%v", err)
	}
	for want, clocks := range map[string][]*Clock{
		"no reference clock has the refid NMEA":    {pps},
		"refid: NMEA is that of SHM 0, too":        {nmea, clock(SHM, "", "NMEA", "")},
		"lock: the clocks are locked in a circle;": {clock(PPS, "/dev/pps0", "A", "B"), clock(PPS, "/dev/pps1", "B", "A")},
	} {
		if err := Link(clocks...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestRunUnlinked(t *testing.T) {
	cfg := DefaultConfig(PPS)
	cfg.Path, cfg.Lock = "/dev/pps0", "NMEA"
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "not linked") {
		t.Errorf("%v", err)
	}
}
