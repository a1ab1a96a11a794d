package config

import (
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// Ports without an address given: the protocols' own, or high ones for a
// process that may not open low ones.
const (
	PortNTP           = 123
	PortNTPUser       = 11123
	PortNTSKE         = 4460
	PortNTSKEUser     = 14460
	RateNone          = "none" // of access rules: not limited
	formatAuto        = "auto" // of key files
	defaultMinVersion = 1
)

// SignSocket is where Debian's and Fedora's Samba have the socket of ntp_signd.
const SignSocket = "/var/lib/samba/ntp_signd/socket"

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		Sandbox: "enforce",
		Log:     Log{Level: "info"},
		Server: Server{
			Batch:    32,
			DSCP:     46,
			FreeBind: true, Timestamping: "kernel", Fastpath: FastpathOff,
			Interleaved: Interleaved{Enabled: true, Entries: 65536},
			MSSNTP:      MSSNTP{Socket: SignSocket, Timeout: time.Second, Rate: 200},
		},
		Clock: Clock{
			Mode:          "observe",
			Stratum:       10,
			RefID:         RefID(ntp.KissCode("LOCL")),
			MinDispersion: time.Millisecond,
			MaxError:      time.Second,
			DriftPPM:      15,
			MaxDistance:   3 * time.Second, Smooth: ClockSmooth{MaxWanderPPM: 0.01},
			FallbackDistance: time.Second,
			Ask:              "auto",
			Step:             ClockStep{Threshold: time.Second, Updates: 3, Stepout: 300 * time.Second},
			Panic:            1000 * time.Second,
			MaxSlewPPM:       500,
			StartSlewPPM:     83333,
			MaxDriftPPM:      10000,
			MinSources:       1,
			AuthSelect:       "mix",
			Leap:             Leap{Table: "auto", Mode: "system", Shape: "linear", Placement: "around"},
		},
		Access: Access{Default: defaultRule()},
		RateLimit: RateLimit{
			Clients:    65536,
			IPv4Prefix: 32,
			IPv6Prefix: 64,
			Limits:     []Limit{defaultLimit("default")},
		},
		Keys:       Keys{Generate: true},
		Passive:    Passive{Max: 16},
		Statistics: Statistics{Rotate: "none", Link: true, Banner: 32},
		Fleet:      defaultFleet(),
		API:        API{Connections: 64},
		Page:       Page{Local: PageRead},
		Chronyc:    Chronyc{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		Autokey: Autokey{
			Digest: "MD5",
			Seed:   SeedOwn,
			Budget: AutokeyBudget{
				CPU: 0.25, Burst: time.Second,
				ClientCPU: 0.02, ClientBurst: 200 * time.Millisecond, Clients: 4096,
				Excess: 64 << 10,
			},
		},
		NTS: NTS{
			Enabled:  true,
			Generate: true,
			ACME:     ACME{Challenge: ChallengeHTTP},
			AEADs:    []AEAD{30, 15, 16, 17},
			Cookies:  Cookies{Rotation: 24 * time.Hour, Kept: 7},
			Limits: KELimits{
				Connections: 512, PerPrefix: 32, Interval: 100 * time.Millisecond, Burst: 100,
				Clients: 16384, Timeout: 5 * time.Second,
			},
		},
	}
}

// defaultRule is what an access rule has where it says nothing.
func defaultRule() AccessRule {
	return AccessRule{
		Action:     "allow",
		Kiss:       "none",
		Kinds:      []ntp.Kind{ntp.KindNone, ntp.KindSymmetric, ntp.KindAutokey, ntp.KindNTS},
		MinVersion: defaultMinVersion,
		Rate:       RateNone,
	}
}

// defaultLimit is what a limit has where it says nothing.
func defaultLimit(name string) Limit {
	return Limit{Name: name, Interval: 8 * time.Second, Burst: 8, Leak: 0.25, Kiss: true}
}

// Modes of sources.
const (
	ModeClient    = "client"
	ModePool      = "pool"
	ModePeer      = "peer"
	ModeBroadcast = "broadcast"
)

// defaultBroadcast is what a broadcast has where it says nothing.
func defaultBroadcast() Broadcast {
	return Broadcast{Port: PortNTP, Auth: ntp.KindSymmetric, Poll: 6, TTL: 3, Version: 4}
}

// defaultSource is what a source has where it says nothing.
func defaultSource() Source {
	return Source{Mode: ModeClient, MaxSources: 4, Family: "any", Port: PortNTP, NTSPort: PortNTSKE, Version: 4,
		MinPoll: 6, MaxPoll: 10, MaxDelay: 3 * time.Second}
}

// Drivers of reference clocks.
const (
	DriverSHM  = "shm"
	DriverSOCK = "sock"
	DriverPPS  = "pps"
	DriverPHC  = "phc"
)

// defaultReferenceClock is what a reference clock has where it says nothing.
func defaultReferenceClock() ReferenceClock {
	return ReferenceClock{Poll: 4, Rate: 1, MaxLockAge: 2, Filter: 64, Pin: -1, Delay: time.Microsecond, Precision: time.Microsecond}
}

// What Autokey's cookies are made from.
const (
	SeedOwn  = "own"
	SeedZero = "zero-compatible"
)

// Modes of the clock.
const (
	ClockObserve    = "observe"
	ClockLocal      = "local"
	ClockDiscipline = "discipline"
)
