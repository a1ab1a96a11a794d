package config

import "time"

// Clock is where served time comes from.
type Clock struct {
	// Mode is observe (the system clock as another program disciplines it,
	// trusted while the kernel says it is synchronised), local (the system
	// clock whatever the kernel says) or discipline (this daemon sets and
	// steers the system clock by its sources). Default: observe.
	Mode string `mapstructure:"mode" oneof:"observe local discipline"`
	// Stratum is what is served while the clock is trusted, if the program that
	// disciplines it does not tell its own. Modes observe and local. Default: 10.
	// Range: 1 to 15.
	Stratum int `mapstructure:"stratum" range:"1..15" unit:"stratum"`
	// FallbackStratum is served while the clock is not synchronised, so that
	// clients stay together on it (chrony's local stratum, ntpd's orphan mode).
	// Default: 0, none: the alarm is served. Range: 0 to 15.
	FallbackStratum int `mapstructure:"fallback_stratum" range:"0..15" unit:"stratum"`
	// Orphan lets servers of the same fallback stratum that ask each other
	// agree on one of them to follow (chrony's local orphan). Mode discipline
	// only. Default: false.
	Orphan bool `mapstructure:"orphan"`
	// FallbackDistance is the root distance beyond which the clock counts as
	// not synchronised for the fallback (chrony's local distance). Mode
	// discipline only, as the next three. Default: 1s. Range: 1us to 16s.
	FallbackDistance time.Duration `mapstructure:"fallback_distance" range:"1us..16s" unit:"time"`
	// FallbackActivate is a root distance that the clock must have come below
	// once before the fallback is served (chrony's local activate). Default:
	// 0s, none: a clock that was never right is served too. Range: 0s to 16s.
	FallbackActivate time.Duration `mapstructure:"fallback_activate" range:"0s..16s" unit:"time"`
	// FallbackWait is how long the clock must have been not synchronised
	// before the fallback is served (chrony's local waitsynced). Default: 0s.
	// Range: 0s to 240h.
	FallbackWait time.Duration `mapstructure:"fallback_wait" range:"0s..240h" unit:"time"`
	// FallbackWaitStart is the same while the clock was never synchronised
	// since the start (chrony's local waitunsynced). Default: 0s. Range: 0s to
	// 240h.
	FallbackWaitStart time.Duration `mapstructure:"fallback_wait_start" range:"0s..240h" unit:"time"`
	// RefID is the reference identifier that is served in modes observe and
	// local: up to four ASCII letters, or an IPv4 address. Default: LOCL.
	RefID RefID `mapstructure:"refid"`
	// MinDispersion is the least root dispersion that is served. Mode
	// discipline knows better and takes the clock's precision. Default: 1ms.
	// Range: 0s to 16s.
	MinDispersion time.Duration `mapstructure:"min_dispersion" range:"0s..16s" unit:"time"`
	// MaxError is the estimated error above which the clock is not trusted and
	// the alarm is served (leap 3, stratum 16). Mode observe only. Default: 1s.
	// Range: 1ms to 16s.
	MaxError time.Duration `mapstructure:"max_error" range:"1ms..16s" unit:"time"`
	// MaxDistance is the root distance above which a source is not followed and
	// the clock is not called synchronised (chrony's maxdistance). Mode
	// discipline only. Default: 3s. Range: 1ms to 16s.
	MaxDistance time.Duration `mapstructure:"max_distance" range:"1ms..16s" unit:"time"`
	// DriftPPM is how fast the root dispersion grows between two looks at the
	// clock. Default: 15. Range: 0.001 to 500 (parts per million).
	DriftPPM float64 `mapstructure:"drift_ppm" range:"0.001..500" unit:"ppm"`
	// Ask is which programs tell, in mode observe, what they follow: auto,
	// chronyd, ntpd or none. Default: auto.
	Ask string `mapstructure:"ask" oneof:"auto chronyd ntpd none"`

	Step   ClockStep   `mapstructure:"step"`
	Smooth ClockSmooth `mapstructure:"smooth"`
	// Panic is the offset above which the clock is left alone and the alarm is
	// served (ntpd's panic threshold). Default: 1000s. Range: 0s, none, or 1ms
	// to 876000h.
	Panic time.Duration `mapstructure:"panic" range:"0s..876000h" unit:"time"`
	// PanicOnce allows one larger step at the start (ntpd -g). Default: false.
	PanicOnce bool `mapstructure:"panic_once"`
	// PanicExit ends the daemon at such an offset, as ntpd does, for a service
	// manager that tells somebody. Default: false.
	PanicExit bool `mapstructure:"panic_exit"`
	// MaxChange is the largest correction that is made after the start
	// (chrony's maxchange); above it the clock is left alone. Default: 0s, as
	// panic. Range: 0s to 876000h.
	MaxChange time.Duration `mapstructure:"max_change" range:"0s..876000h" unit:"time"`
	// MaxSlewPPM is how fast an offset is slewed away, beside the frequency.
	// Default: 500. Range: 1 to 90000, which is what the kernel can do.
	MaxSlewPPM float64 `mapstructure:"max_slew_ppm" range:"1..90000" unit:"ppm"`
	// StartSlewPPM is the same until the first offset is corrected, so that
	// the clock is right soon, and later where the clock is far off: after a
	// suspend, when somebody set it, or by the word of several sources. Then
	// the alarm is served meanwhile. The default is chrony's. Default: 83333.
	// Range: 1 to 90000.
	StartSlewPPM float64 `mapstructure:"start_slew_ppm" range:"1..90000" unit:"ppm"`
	// MaxDriftPPM is the largest frequency error of the oscillator that is
	// corrected (chrony's maxdrift); of one beyond it the alarm is served.
	// Boards and virtual machines are off by up to 2000. Default: 10000. Range:
	// 1 to 50000.
	MaxDriftPPM float64 `mapstructure:"max_drift_ppm" range:"1..50000" unit:"ppm"`
	// MinSources is how many sources must agree. Default: 1. Range: 1 to 64.
	MinSources int `mapstructure:"min_sources" range:"1..64" unit:"sources"`
	// AuthSelect is how authenticated and other servers go together (chrony's
	// authselectmode): mix (where both are configured, most of the authenticated
	// ones and reference clocks must agree, and others with them), require
	// (authenticated ones and reference clocks only), prefer (others only while
	// no authenticated one is usable) or ignore. Autokey counts as not
	// authenticated; a reference clock alone never makes servers count for less.
	// Default: mix.
	AuthSelect string `mapstructure:"auth_select" oneof:"mix require prefer ignore"`
	// NoCertTimeCheck is for how many first updates of the clock the dates of
	// certificates are not looked at, for machines whose clock is wrong at the
	// start (chrony's nocerttimecheck). The time must then lie within the
	// certificates' dates and a majority of at least three NTS sources must
	// agree on it, and NTS-KE is done again strictly before anything is
	// served. Default: 0. Range: 0 to 100.
	NoCertTimeCheck int `mapstructure:"nocerttimecheck" range:"0..100" unit:"updates"`
	// DriftFile is a drift file of ntpd or chronyd: read at the first start,
	// kept up to date in its form, so that one can go back. Default: empty,
	// none; ntsbridge's own is in the state directory.
	DriftFile string `mapstructure:"drift_file" path:"file"`
	// Process is the Unix socket of a process that sets the clock for this one,
	// which then needs no right to: `ntsbridge clock`. Mode discipline only.
	// Default: empty, this process sets the clock itself.
	Process string `mapstructure:"process" path:"file"`
	Leap    Leap   `mapstructure:"leap"`
}

// ClockSmooth bounds how the served time may move while it follows the system
// clock after a step or a fast slew. Peers get the clock as it is.
type ClockSmooth struct {
	// MaxRatePPM is by how much the rate of the served time may differ from
	// the true one. Default: 0, the served time is the system clock's. Range: 0
	// to 2000.
	MaxRatePPM float64 `mapstructure:"max_rate_ppm" range:"0..2000" unit:"ppm"`
	// MaxWanderPPM is by how much that difference may change each second.
	// Default: 0.01. Range: 0.0001 to 100.
	MaxWanderPPM float64 `mapstructure:"max_wander_ppm" range:"0.0001..100" unit:"ppm/s"`
}

// ClockStep is when the clock may be stepped (chrony's makestep).
type ClockStep struct {
	// Threshold is the least offset that is stepped. Default: 1s. Range: 0s,
	// never, to 240000h.
	Threshold time.Duration `mapstructure:"threshold" range:"0s..240000h" unit:"time"`
	// Updates is how many first updates of the clock may step. Default: 3.
	// Range: 0 to 1000000.
	Updates int `mapstructure:"updates" range:"0..1000000" unit:"updates"`
	// AnyTime allows steps later too, after the offset stood for stepout.
	// Default: false.
	// Three answers must say so, of two sources where three are followed.
	AnyTime bool `mapstructure:"any_time"`
	// Stepout is how long it must have stood (ntpd's tinker stepout). Default:
	// 300s. Range: 0s to 24h.
	Stepout time.Duration `mapstructure:"stepout" range:"0s..24h" unit:"time"`
}

// Leap is about leap seconds.
type Leap struct {
	// Table is where leap seconds are looked up: auto (file if there is one,
	// or else the system's time zone database), or none (the sources' word).
	// Default: auto.
	Table string `mapstructure:"table" oneof:"auto none"`
	// File is a leap-seconds.list, whose hash is checked, or a compiled zone
	// such as right/UTC. Default: empty, what the system has.
	File string `mapstructure:"file" path:"file"`
	// Mode is how the system clock gets one: system (the kernel inserts it),
	// step, slew (slowly, afterwards) or ignore (chrony's leapsecmode). Mode
	// discipline only. Default: system.
	Mode string `mapstructure:"mode" oneof:"system step slew ignore"`
	// Smear is the length of the time over which a leap second is smeared in
	// what clients are served, around it; they are not told of it then. Others
	// must not be mixed with such a server. Default: 0s, none. Range: 0s to 48h.
	Smear time.Duration `mapstructure:"smear" range:"0s..48h" unit:"time"`
	// Shape is how it is smeared: linear, or cosine (ntpd's). Default: linear.
	Shape string `mapstructure:"shape" oneof:"linear cosine"`
	// Placement is where it is smeared: before (ends at the leap second, as
	// ntpd), around (half before, half after, as public servers) or after.
	// Default: around.
	Placement string `mapstructure:"placement" oneof:"around before after"`
}
