package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"time"

	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/ntp"
)

// The writing half of chrony's protocol: what a user with permission tells.

// Errors of commands that chronyc has words for.
var (
	// ErrUnknownSource: no source has that name or address.
	ErrUnknownSource = errors.New("no source has that name or address")
	// ErrKnownSource: there is one already.
	ErrKnownSource = errors.New("there is such a source already")
	// ErrNotEnabled: this daemon is not configured for it.
	ErrNotEnabled = errors.New("not enabled in this daemon")
)

func chronyStatusOf(err error) chronyStatus {
	switch {
	case err == nil:
		return chronyDone
	case errors.Is(err, ErrUnknownSource):
		return chronyNoSource
	case errors.Is(err, ErrKnownSource):
		return chronyKnown
	case errors.Is(err, ErrNotEnabled):
		return chronyOff
	}
	return chronyFailed
}

// do tells the daemon.
func (q *chronyQuestion) do(c *Command) (chronyStatus, uint16) {
	if q.Do == nil {
		return chronyOff, tellNothing
	}
	c.By = q.by
	return chronyStatusOf(q.Do(c)), tellNothing
}

// tells is a command without anything more.
func tells(name string) func(*chronyQuestion, *chronyWriter) (chronyStatus, uint16) {
	return func(q *chronyQuestion, _ *chronyWriter) (chronyStatus, uint16) { return q.do(&Command{Name: name}) }
}

// chronyFamily returns the family of an address in a packet, 0: unspecified.
func chronyFamily(b []byte) uint16 { return binary.BigEndian.Uint16(b[16:]) }

// chronyAddr reads an address of a packet; false: it is none.
func chronyAddr(b []byte) (a netip.Addr, ok bool) {
	switch chronyFamily(b) {
	case chronyIPv4:
		return netip.AddrFrom4([4]byte(b)), true
	case chronyIPv6:
		return netip.AddrFrom16([16]byte(b)).Unmap(), true
	}
	return netip.Addr{}, false
}

// named returns by which name the source with an address of a packet is told
// to the daemon: its address, or the name of one that has none yet.
func (q *chronyQuestion) named(b []byte) (string, bool) {
	q.load()
	for i := range q.Sources {
		if s := &q.Sources[i]; s.Mode != ModeReferenceClock && bytes.Equal(q.address(s.Name, s.Address), b[:chronyAddressLen]) {
			if s.Address != "" {
				return s.Address, true
			}
			return s.Name, true
		}
	}
	return "", false
}

// masked returns the sources that a mask and an address name, as chronyd takes
// them: without an address all, without a mask the one.
func (q *chronyQuestion) masked(mask, address []byte) (names []string) {
	if chronyFamily(address) == 0 {
		return []string{""}
	}
	if chronyFamily(mask) == 0 || chronyFamily(address) == chronyID {
		if name, ok := q.named(address); ok {
			return []string{name}
		}
		return nil
	}
	q.load()
	for i := range q.Sources {
		s := &q.Sources[i]
		a, err := netip.ParseAddr(s.Address)
		if err != nil {
			continue
		}
		at := chronyIP(a)
		same := chronyFamily(at) == chronyFamily(address)
		for n := range 16 {
			same = same && at[n]&mask[n] == address[n]&mask[n]
		}
		if same {
			names = append(names, s.Address)
		}
	}
	return names
}

// each is online, offline and burst.
func (q *chronyQuestion) each(*chronyWriter) (chronyStatus, uint16) {
	c := Command{Name: map[uint16]string{askOnline: CommandOnline, askOffline: CommandOffline, askBurst: CommandBurst}[q.number]}
	if q.number == askBurst {
		c.Good = int(int32(binary.BigEndian.Uint32(q.data[2*chronyAddressLen:])))
		c.Max = int(int32(binary.BigEndian.Uint32(q.data[2*chronyAddressLen+4:])))
	}
	names := q.masked(q.data[:chronyAddressLen], q.data[chronyAddressLen:2*chronyAddressLen])
	status := chronyNoSource
	for _, name := range names {
		one := c
		one.Source = name
		if one, _ := q.do(&one); status != chronyFailed {
			status = one
		}
	}
	return status, tellNothing
}

// modify changes an option of a source.
func (q *chronyQuestion) modify(*chronyWriter) (chronyStatus, uint16) {
	name, ok := q.named(q.data)
	if !ok {
		return chronyNoSource, tellNothing
	}
	value := binary.BigEndian.Uint32(q.data[chronyAddressLen:])
	whole, number := int(int32(value)), parseChronyFloat(value)
	options := map[string]any{}
	switch q.number {
	case askMinPoll:
		options["minpoll"] = whole
	case askMaxPoll:
		options["maxpoll"] = whole
	case askMinStratum:
		options["min_stratum"] = whole
	case askMaxDelay:
		options["max_delay"] = duration(number).String()
	case askMaxDelayRatio:
		options["max_delay_ratio"] = number
	case askMaxDelayDevRatio:
		options["max_delay_dev_ratio"] = number
	case askOffset: // behind the reference identifier of a clock
		options["offset"] = parseChronyFloat(binary.BigEndian.Uint32(q.data[chronyAddressLen+4:]))
	}
	return q.do(&Command{Name: CommandModify, Source: name, Options: options})
}

// duration keeps a number of seconds within what one can be.
func duration(seconds float64) time.Duration {
	const most = float64(math.MaxInt64 / 2)
	return time.Duration(min(max(seconds*1e9, -most), most))
}

// selectOptions changes how a source is selected.
func (q *chronyQuestion) selectOptions(*chronyWriter) (chronyStatus, uint16) {
	name, ok := q.named(q.data)
	if !ok {
		return chronyNoSource, tellNothing
	}
	mask, set := binary.BigEndian.Uint32(q.data[chronyAddressLen+4:]), binary.BigEndian.Uint32(q.data[chronyAddressLen+8:])
	options := map[string]any{}
	for i, option := range []string{"noselect", "prefer", "trust", "require"} {
		if bit := uint32(1) << i; mask&bit != 0 {
			options[option] = set&bit != 0
		}
	}
	return q.do(&Command{Name: CommandModify, Source: name, Options: options})
}

// allow is allow and deny, of a network or everybody.
func (q *chronyQuestion) allow(*chronyWriter) (chronyStatus, uint16) {
	c := Command{Name: CommandAllow, All: q.number == askAllowAll || q.number == askDenyAll}
	if q.number == askDeny || q.number == askDenyAll {
		c.Name = CommandDeny
	}
	bits := int32(binary.BigEndian.Uint32(q.data[chronyAddressLen:]))
	a, ok := chronyAddr(q.data)
	switch {
	case ok:
		p, err := a.Prefix(int(bits))
		if err != nil {
			return chronyBadSubnet, tellNothing
		}
		c.Source = p.String()
	case chronyFamily(q.data) != 0:
		return chronyBadSubnet, tellNothing
	}
	return q.do(&c)
}

// addPlaces are the places of what is said of a source that is added, octets
// from the head on (candm.h: REQ_NTP_Source). Up to 296 there is one order.
const (
	addType, addName, addPort, addMinPoll, addMaxPoll, addPresend, addMinStratum = 0, 4, 260, 264, 268, 272, 276
	addPollTarget, addVersion, addMaxSources, addMinSamples, addMaxSamples       = 280, 284, 288, 292, 296
)

type addPlaces struct {
	maxUnreach, filter, key, ntsPort, certSet, retry             int // 0: not in this request
	maxDelay, maxDelayRatio, maxDelayDevRatio, quantile, minimum int
	asymmetry, offset, flags                                     int
	bits                                                         map[string]uint32 // of the flags, that differ
}

var (
	// chronyc's up to 4.6.
	addOlder = addPlaces{key: 300, ntsPort: 304, maxDelay: 308, maxDelayRatio: 312, maxDelayDevRatio: 316, minimum: 320, asymmetry: 324,
		offset: 328, flags: 332, filter: 336, certSet: 340, quantile: 344,
		bits: map[string]uint32{"extfield": 0x9800, "ipv4": 0x2000, "ipv6": 0x4000}}
	// Those from 4.7 on.
	addNewer = addPlaces{maxUnreach: 300, filter: 304, key: 308, ntsPort: 312, certSet: 316, retry: 320, maxDelay: 324, maxDelayRatio: 328,
		maxDelayDevRatio: 332, quantile: 336, minimum: 340, asymmetry: 344, offset: 348, flags: 352,
		bits: map[string]uint32{"extfield": 0xffffe000, "ipv4": 0x800, "ipv6": 0x1000}}
)

// The bits of its flags that all have in one place.
const (
	addOnline, addAutoOffline, addIBurst, addPrefer, addNoSelect, addTrust = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
	addRequire, addInterleaved, addBurst, addNTS, addCopy                  = 0x40, 0x80, 0x100, 0x200, 0x400
)

// What chronyc sends where nothing was said of an option.
const (
	chronyDefaultVersion   = 0
	chronyDefaultMaxDelay  = 3.0
	chronyDefaultDevRatio  = 10.0
	chronyDefaultAsymmetry = 1.0
	chronyInactiveKey      = 0
	chronyPresendNever     = 100
	chronyDefaultTarget    = 8
	chronyDefaultSamples   = math.MaxUint32 // as in its configuration
	chronyDefaultUnreach   = 100000
	chronyDefaultRetry     = 19
)

// addition is a request to add a source.
type addition struct {
	addPlaces
	data []byte
}

func (a *addition) word(at int) uint32   { return binary.BigEndian.Uint32(a.data[at:]) }
func (a *addition) float(at int) float64 { return parseChronyFloat(a.word(at)) }
func (a *addition) has(flag uint32) bool { return a.word(a.flags)&flag != 0 }

// add adds a source.
func (q *chronyQuestion) add(*chronyWriter) (chronyStatus, uint16) {
	a := addition{addOlder, q.data}
	if q.number == askAdd5 {
		a.addPlaces = addNewer
	}
	name, _, whole := bytes.Cut(q.data[addName:addPort], []byte{0})
	kind, ok := map[uint32]string{1: "client", 2: "peer", 3: "pool"}[a.word(addType)]
	switch {
	case !ok:
		return chronyInvalid, tellNothing
	case len(name) == 0 || !whole || spell.Printable(string(name)) != string(name):
		return chronyBadName, tellNothing
	case a.has(addCopy) || a.word(a.certSet) != 0: // what is served, and who is trusted
		return chronyOff, tellNothing
	}
	options := map[string]any{"mode": kind, "port": int(a.word(addPort)), "minpoll": int(int32(a.word(addMinPoll))),
		"maxpoll": int(int32(a.word(addMaxPoll)))}
	a.numbers(options)
	a.switches(options)
	status, _ := q.do(&Command{Name: CommandAdd, Source: string(name), Options: options, Without: a.without()})
	if status == chronyDone && !a.has(addOnline) {
		q.do(&Command{Name: CommandOffline, Source: string(name)})
	}
	return status, tellNothing
}

// switches sets options that are there or not, and how it is authenticated.
func (a *addition) switches(options map[string]any) {
	for option, bit := range map[string]uint32{"iburst": addIBurst, "prefer": addPrefer, "noselect": addNoSelect, "trust": addTrust,
		"require": addRequire, "interleaved": addInterleaved, "burst": addBurst} {
		if a.has(bit) {
			options[option] = true
		}
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		if a.has(a.bits[family]) {
			options["family"] = family
		}
	}
	switch {
	case a.has(addNTS):
		options["auth"], options["nts_port"] = ntp.KindNTS.String(), int(a.word(a.ntsPort))
	case a.word(a.key) != chronyInactiveKey:
		options["auth"], options["key"] = ntp.KindSymmetric.String(), int(a.word(a.key))
	}
}

// numbers sets options that are not what chronyc has by default.
func (a *addition) numbers(options map[string]any) {
	if v := a.word(addPresend); v < chronyPresendNever {
		options["presend"] = int(v)
	}
	if v := a.word(addMinStratum); v != 0 {
		options["min_stratum"] = int(v)
	}
	if v := a.word(addVersion); v != chronyDefaultVersion {
		options["version"] = int(v)
	}
	if v := a.word(addMaxSources); options["mode"] == "pool" {
		options["max_sources"] = int(v)
	}
	if v := a.float(a.maxDelay); v != chronyDefaultMaxDelay {
		options["max_delay"] = duration(v).String()
	}
	if v := a.float(a.maxDelayRatio); v != 0 {
		options["max_delay_ratio"] = v
	}
	if v := a.float(a.maxDelayDevRatio); v != 0 && v != chronyDefaultDevRatio {
		options["max_delay_dev_ratio"] = v
	}
	if v := a.float(a.asymmetry); v != chronyDefaultAsymmetry {
		options["asymmetry"] = v
	}
	if v := a.float(a.offset); v != 0 {
		options["offset"] = v
	}
}

// without names the options that were asked for and that this daemon does not
// have: those of chrony's own weighing, and what it sends beside.
func (a *addition) without() (names []string) {
	for _, o := range []struct {
		name  string
		place int
		usual uint32
	}{
		{"polltarget", addPollTarget, chronyDefaultTarget}, {"minsamples", addMinSamples, chronyDefaultSamples},
		{"maxsamples", addMaxSamples, chronyDefaultSamples}, {"filter", a.filter, 0}, {"maxdelayquant", a.quantile, 0},
		{"mindelay", a.minimum, 0}, {"maxunreach", a.maxUnreach, chronyDefaultUnreach}, {"maxntsretry", a.retry, chronyDefaultRetry},
	} {
		if o.place != 0 && a.word(o.place) != o.usual {
			names = append(names, o.name)
		}
	}
	if a.has(addAutoOffline) {
		names = append(names, "auto_offline")
	}
	if a.has(a.bits["extfield"]) {
		names = append(names, "extfield")
	}
	return names
}

// remove deletes a source.
func (q *chronyQuestion) remove(*chronyWriter) (chronyStatus, uint16) {
	name, ok := q.named(q.data)
	if !ok {
		return chronyNoSource, tellNothing
	}
	return q.do(&Command{Name: CommandDelete, Source: name})
}

// setTime sets the clock, and says by how much it was off.
func (q *chronyQuestion) setTime(w *chronyWriter) (chronyStatus, uint16) {
	seconds := int64(binary.BigEndian.Uint32(q.data))<<32 | int64(binary.BigEndian.Uint32(q.data[4:]))
	to := time.Unix(seconds, int64(binary.BigEndian.Uint32(q.data[8:])))
	off := time.Until(to).Seconds()
	status, _ := q.do(&Command{Name: CommandSetTime, Time: to})
	w.floats(off, 0, 0)
	return status, tellSetTime
}

// parseChronyFloat reads a number in chrony's format.
func parseChronyFloat(v uint32) float64 {
	exponent, coefficient := int32(v)>>25, int32(v<<7)>>7
	return math.Ldexp(float64(coefficient), int(exponent)-chronyFraction-1)
}
