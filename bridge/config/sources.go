package config

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// Source is a server, or a pool of them, that this host asks for time. With
// clock.mode: discipline the clock follows it; else its answers are measured
// and shown.
type Source struct {
	// Server is a name or an address. Required.
	Server string `mapstructure:"server" required:"true"`
	// Mode is client (ask the server), pool (a name with several addresses, of
	// which max_sources are used and bad ones replaced), peer (symmetric active:
	// each asks the other) or broadcast (listen to the server's broadcasts). The
	// last two must be authenticated by a symmetric key or Autokey. Default:
	// client.
	Mode string `mapstructure:"mode" oneof:"client pool peer broadcast"`
	// MaxSources is how many addresses of a pool are used at once. Default: 4.
	// Range: 1 to 16.
	MaxSources int `mapstructure:"max_sources" range:"1..16" unit:"addresses"`
	// Family is which addresses of a name are used: any, ipv4 or ipv6. A name
	// may be in the list once for ipv4 and once for ipv6. Default: any.
	Family string `mapstructure:"family" oneof:"any ipv4 ipv6"`
	// Group is the multicast group that the server broadcasts to. Mode
	// broadcast only. Default: empty, a broadcast address.
	Group netip.Addr `mapstructure:"group"`
	// Port is its NTP port; with NTS what NTS-KE says goes before. Default:
	// 123. Range: 1 to 65535.
	Port int `mapstructure:"port" range:"1..65535" unit:"UDP port"`
	// LocalAddress is the address that requests leave from (chrony's
	// bindacqaddress). Default: empty, the kernel's choice.
	LocalAddress netip.Addr `mapstructure:"local_address"`
	// Auth is how its answers must be authenticated: none, symmetric, autokey
	// or nts. Default: none.
	Auth ntp.Kind `mapstructure:"auth"`
	// Key is the identifier of the symmetric key, which must be trusted.
	// Default: 0, none. Range: 0 to 4294967295.
	Key int `mapstructure:"key" range:"0..4294967295" unit:"key identifier"`
	// Ident is the Autokey group whose identity the server must prove (ntpd's
	// ident of a server line). Default: empty, not checked: then anybody can
	// be the server.
	Ident string `mapstructure:"ident"`
	// NTSPort is the port of its NTS-KE server. Default: 4460. Range: 1 to
	// 65535.
	NTSPort int `mapstructure:"nts_port" range:"1..65535" unit:"TCP port"`
	// TrustedCertificates are PEM files of the certificates that NTS trusts, or
	// directories of such files; the word system stands for those of the
	// system. One may stand without a list.
	// Default: empty, those of the system.
	TrustedCertificates []string `mapstructure:"trusted_certificates" path:"file" word:"system" single:"true"`
	// AEADs are the algorithms for NTS in order of preference. Default: empty,
	// those of nts.aeads.
	AEADs []AEAD `mapstructure:"aeads"`
	// Version is the NTP version of requests. Default: 4. Range: 1 to 4.
	Version int `mapstructure:"version" range:"1..4" unit:"version"`
	// MinPoll is the shortest poll interval. Default: 6. Range: -6 to 17.
	MinPoll int `mapstructure:"minpoll" range:"-6..17" unit:"log2 s"`
	// MaxPoll is the longest poll interval. Default: 10. Range: -6 to 17.
	MaxPoll int `mapstructure:"maxpoll" range:"-6..17" unit:"log2 s"`
	// IBurst begins with four requests 2 s apart and goes on at intervals that
	// double up to MinPoll. Default: false.
	IBurst bool `mapstructure:"iburst"`
	// Burst sends several requests at every poll. Default: false.
	Burst bool `mapstructure:"burst"`
	// Presend sends, from this poll exponent on, a request whose answer is not
	// used two seconds before the one that counts, so that all caches on the
	// path are filled (chrony's presend). Default: 0, never. Range: 0 to 17.
	Presend int `mapstructure:"presend" range:"0..17" unit:"log2 s"`
	// Interleaved asks in interleaved mode (chrony's xleave), whose answers
	// carry the better transmit timestamp. Default: false.
	Interleaved bool `mapstructure:"interleaved"`
	// HardwareTimestamps uses those of the network interface where it has them
	// (chrony's hwtimestamp), else the kernel's. Default: false.
	HardwareTimestamps bool `mapstructure:"hardware_timestamps"`
	// Prefer uses it alone, with others that are preferred, while it agrees
	// with the majority. Default: false.
	Prefer bool `mapstructure:"prefer"`
	// NoSelect measures it and never follows it. Default: false.
	NoSelect bool `mapstructure:"noselect"`
	// Trust takes sources that disagree with it for wrong; several trusted ones
	// vote among themselves (chrony's trust). Default: false.
	Trust bool `mapstructure:"trust"`
	// Require updates the clock only while one source with this option agrees
	// (chrony's require). Default: false.
	Require bool `mapstructure:"require"`
	// Offset is added to its time, to correct a known error. Default: 0.
	// Range: -3600 to 3600.
	Offset float64 `mapstructure:"offset" range:"-3600..3600" unit:"s"`
	// Asymmetry is the part of the delay by which the way back is longer
	// than half. Default: 0. Range: -0.5 to 0.5.
	Asymmetry float64 `mapstructure:"asymmetry" range:"-0.5..0.5" unit:"fraction"`
	// MaxDelay is the round-trip delay above which an answer is not used.
	// Default: 3s. Range: 1us to 1000s.
	MaxDelay time.Duration `mapstructure:"max_delay" range:"1us..1000s" unit:"time"`
	// MaxDelayRatio does not use answers whose delay is more than so many times
	// the least one seen (chrony's maxdelayratio). Default: 0, no limit. Range:
	// 0 to 1000000.
	MaxDelayRatio float64 `mapstructure:"max_delay_ratio" range:"0..1000000" unit:"factor"`
	// MaxDelayDevRatio does the same for the increase of the delay over the
	// deviation of the offsets (chrony's maxdelaydevratio). The filter weighs
	// answers by their delay already. Default: 0, no limit. Range: 0 to 1000000.
	MaxDelayDevRatio float64 `mapstructure:"max_delay_dev_ratio" range:"0..1000000" unit:"factor"`
	// MinStratum is taken for its stratum if it claims a lower one (chrony's
	// minstratum). Default: 0. Range: 0 to 15.
	MinStratum int `mapstructure:"min_stratum" range:"0..15" unit:"stratum"`
}

// ReferenceClock is a clock at this machine, read by one of four drivers.
// Others, such as serial receivers, are read by gpsd, which passes their time on
// through shm or sock.
type ReferenceClock struct {
	// Driver is shm (shared memory as gpsd and ntpd's type 28 use it), sock
	// (a socket as gpsd and chrony use it), pps (/dev/pps0) or phc (a PTP
	// hardware clock, /dev/ptp0). Required.
	Driver string `mapstructure:"driver" oneof:"shm sock pps phc" required:"true"`
	// Unit is the segment of driver shm. Default: 0. Range: 0 to 255.
	Unit int `mapstructure:"unit" range:"0..255" unit:"number"`
	// Device is the device of pps and phc, or the socket that sock makes.
	// Default: empty.
	Device string `mapstructure:"device" path:"file"`
	// RefID is what it is called and, while it is the best source, served as:
	// up to four ASCII letters. Default: empty, such as SHM0 or PPS1.
	RefID RefID `mapstructure:"refid"`
	// Stratum is its own. Default: 0. Range: 0 to 14.
	Stratum int `mapstructure:"stratum" range:"0..14" unit:"stratum"`
	// Poll is the interval of the samples. Default: 4. Range: -6 to 12.
	Poll int `mapstructure:"poll" range:"-6..12" unit:"log2 s"`
	// DriverPoll is the interval of the readings of which a sample is made.
	// Default: 0. Range: -6 to 12.
	DriverPoll int `mapstructure:"driver_poll" range:"-6..12" unit:"log2 s"`
	// Offset is added to its time, to correct a known error. Default: 0.
	// Range: -3600 to 3600.
	Offset float64 `mapstructure:"offset" range:"-3600..3600" unit:"s"`
	// Delay bounds its error: half of it is part of the root distance. Default:
	// 1us. Range: 0s to 10s.
	Delay time.Duration `mapstructure:"delay" range:"0s..10s" unit:"time"`
	// Precision is the deviation of its readings. Default: 1us. Range: 1ns to
	// 1s.
	Precision time.Duration `mapstructure:"precision" range:"1ns..1s" unit:"time"`
	// Lock is the refid of the reference clock that numbers the seconds of
	// this one, which only marks them (pps). Default: empty, any source.
	Lock RefID `mapstructure:"lock"`
	// Rate is how often a second it marks. Default: 1. Range: 1 to 1000.
	Rate int `mapstructure:"rate" range:"1..1000" unit:"Hz"`
	// Clear takes the clear edge of a pps instead of the assert edge. Default:
	// false.
	Clear bool `mapstructure:"clear"`
	// Width is how long its pulses are, to tell the edges apart where the
	// device stamps both (chrony's width). Default: 0s, it stamps one. Range: 0s
	// to 1s.
	Width time.Duration `mapstructure:"width" range:"0s..1s" unit:"time"`
	// MaxLockAge is how many pulses old the reading of the clock in lock may
	// be (chrony's maxlockage). Default: 2. Range: 1 to 1000000.
	MaxLockAge int `mapstructure:"max_lock_age" range:"1..1000000" unit:"pulses"`
	// Filter is how many readings a sample is made of at most (chrony's
	// filter). Default: 64. Range: 1 to 256.
	Filter int `mapstructure:"filter" range:"1..256" unit:"readings"`
	// MaxDispersion drops samples whose readings spread more (chrony's
	// maxdispersion). Default: 0s, none. Range: 0s to 16s.
	MaxDispersion time.Duration `mapstructure:"max_dispersion" range:"0s..16s" unit:"time"`
	// ExternalPPS takes the pulses that a phc stamps on Pin instead of its time
	// (chrony's extpps); Lock says which clock numbers them. Default: false.
	ExternalPPS bool `mapstructure:"external_pps"`
	// Channel stamps them (chrony's channel). Default: 0. Range: 0 to 255.
	Channel int `mapstructure:"channel" range:"0..255" unit:"number"`
	// Pin is made the input of the channel (chrony's pin). Default: -1, it is
	// left as it is. Range: -1 to 255.
	Pin int `mapstructure:"pin" range:"-1..255" unit:"number"`
	// NoCrossTimestamps reads a phc without the processor's cross timestamps
	// (chrony's nocrossts). Default: false.
	NoCrossTimestamps bool `mapstructure:"no_cross_timestamps"`
	// Local says that its time is anything, but its rate better than that of
	// this machine's oscillator, as of an oven or an atomic clock that runs
	// free: it is never followed, and keeps the rate of the clock (chrony's
	// local). Only the part of the second counts. One clock may have it, which
	// should have a shorter poll than all others. Default: false.
	Local bool `mapstructure:"local"`
	// PPS says that shm or sock only mark seconds too. Default: false.
	PPS bool `mapstructure:"pps"`
	// TAI says that its time is TAI, as of most PTP clocks. Default: false.
	TAI bool `mapstructure:"tai"`
	// Prefer, NoSelect, Trust and Require are as in sources. Defaults: false.
	Prefer   bool `mapstructure:"prefer"`
	NoSelect bool `mapstructure:"noselect"`
	Trust    bool `mapstructure:"trust"`
	Require  bool `mapstructure:"require"`
}

// Name is what the clock is called: its refid, or else three letters of the
// driver with the last digit of the unit or device.
func (k *ReferenceClock) Name() string {
	if k.RefID != 0 {
		return k.RefID.String()
	}
	letters := strings.ToUpper(k.Driver)
	number := strconv.Itoa(k.Unit)
	if k.Driver != DriverSHM {
		number = "0"
		if n := len(k.Device); n > 0 && k.Device[n-1] >= '0' && k.Device[n-1] <= '9' {
			number = k.Device[n-1:]
		}
	}
	name := letters[:min(3, len(letters))] + number
	if len(name) > 4 {
		name = name[:2] + name[len(name)-2:]
	}
	return name
}

// Passive is whether hosts that no source names may begin symmetric
// associations with this one (symmetric passive), by a packet with a MAC of a
// trusted symmetric key. Without, such packets are answered as ntpd answers
// them under nopeer, and nothing is kept.
type Passive struct {
	// Enabled accepts them where an access rule lets symmetric keys pass.
	// Default: false.
	Enabled bool `mapstructure:"enabled"`
	// Keys are the symmetric key identifiers that may begin one. Default:
	// empty, every trusted key. Range: 1 to 4294967295.
	Keys []access.KeyRange `mapstructure:"keys"`
	// Max is how many there may be at once. Default: 16. Range: 1 to 1024.
	Max int `mapstructure:"max" range:"1..1024" unit:"associations"`
}

// Broadcast is a network or multicast group that the time is sent to. Who
// listens cannot tell an old packet from a new one well; where it can be had,
// polling is better.
type Broadcast struct {
	// Destination is the broadcast or multicast address, for link-local
	// multicast with a zone. Required.
	Destination netip.Addr `mapstructure:"destination" required:"true"`
	// Port is where the clients listen. Default: 123. Range: 1 to 65535.
	Port int `mapstructure:"port" range:"1..65535" unit:"UDP port"`
	// Auth is how the packets are authenticated: symmetric or autokey.
	// Default: symmetric.
	Auth ntp.Kind `mapstructure:"auth"`
	// Key is the identifier of the symmetric key, which must be trusted.
	// Default: 0, none. Range: 0 to 4294967295.
	Key int `mapstructure:"key" range:"0..4294967295" unit:"key identifier"`
	// Poll is the interval of the packets. Default: 6. Range: 1 to 17.
	Poll int `mapstructure:"poll" range:"1..17" unit:"log2 s"`
	// TTL is how many routers a packet may pass, and one. Default: 3. Range: 1
	// to 255.
	TTL int `mapstructure:"ttl" range:"1..255" unit:"hops"`
	// Version is the NTP version of the packets. Default: 4. Range: 1 to 4.
	Version int `mapstructure:"version" range:"1..4" unit:"version"`
}
