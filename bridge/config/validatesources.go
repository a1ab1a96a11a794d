package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/ntp"
)

// validateSources refuses what would ask for less authentication than the
// words of a source say.
func (c *Config) validateSources(j *judge) {
	seen := make(map[string][]string) // the families with which a server is asked
	for i := range c.Sources {
		s := &c.Sources[i]
		path := fmt.Sprintf("sources[%d]", i)
		id := fmt.Sprintf("%s port %d", strings.ToLower(s.Server), s.Port)
		family := cmp.Or(s.Family, FamilyAny) // none is written by who is no file
		switch err := ServerName(s.Server); {
		case err != nil:
			j.refuse(path+".server", "%v", err)
		case slices.ContainsFunc(seen[id], func(f string) bool { return f == family || f == FamilyAny || family == FamilyAny }):
			j.refuse(path+".server", "%.60q is in the list twice; delete one, or give each a family of its own", s.Server)
		}
		seen[id] = append(seen[id], family)
		if a, err := netip.ParseAddr(s.Server); err == nil && family != FamilyAny && a.Unmap().Is4() != (family == FamilyIPv4) {
			j.refuse(path+".family", "%v is no address of %s; delete the line", a, family)
		}
		if (s.Key != 0) != (s.Auth == ntp.KindSymmetric) {
			j.refuse(path+".key", "a key identifier and auth: symmetric go together; write both, or neither")
		}
		if s.Ident != "" && s.Auth != ntp.KindAutokey {
			j.refuse(path+".ident", "is for auth: autokey; write that, or delete the line")
		}
		if len(s.TrustedCertificates) > 0 && s.Auth != ntp.KindNTS {
			j.refuse(path+".trusted_certificates", "is for auth: nts; write that, or delete the line")
		}
		if s.Auth == ntp.KindAutokey && c.Autokey.KeysDir == "" {
			j.refuse(path+".auth", "autokey needs key files of this host; write autokey.keysdir")
		}
		if len(s.AEADs) > 0 && s.Auth != ntp.KindNTS {
			j.refuse(path+".aeads", "is for auth: nts; write that, or delete the line")
		}
		if s.MinPoll > s.MaxPoll {
			j.refuse(path+".minpoll", "%d is above maxpoll %d; lower it, or raise maxpoll", s.MinPoll, s.MaxPoll)
		}
		c.validateChoice(j, path, s)
		c.validateMode(j, path, s)
	}
	for i := range c.Passive.Keys {
		if len(c.Keys.Trusted) == 0 && len(c.Keys.Files) > 0 {
			j.refuse(fmt.Sprintf("passive.keys[%d]", i), "no key is trusted; name it in keys.trusted too")
			break
		}
	}
}

// validateChoice checks how a source may be chosen.
func (c *Config) validateChoice(j *judge, path string, s *Source) {
	if s.NoSelect && (s.Prefer || s.Trust || s.Require) {
		j.refuse(path+".noselect", "contradicts prefer, trust and require; delete it, or those")
	}
	if c.Clock.AuthSelect == "require" && c.Clock.Mode == ClockDiscipline && s.Require &&
		s.Auth != ntp.KindSymmetric && s.Auth != ntp.KindNTS {
		j.refuse(path+".require", "clock.auth_select: require never uses this source, so the clock would never be set; "+
			"authenticate it by nts or a symmetric key, or delete the line")
	}
	if s.Interleaved && s.Auth == ntp.KindAutokey {
		j.refuse(path+".interleaved", "does not go with auth: autokey; delete the line")
	}
	if a := s.LocalAddress; a.IsValid() && (s.Family == "ipv4" && !a.Is4() || s.Family == "ipv6" && a.Is4()) {
		j.refuse(path+".local_address", "%v is not of family %s; correct one of them", a, s.Family)
	}
}

// leastPanic is the least offset above which a clock can be left alone.
const leastPanic = time.Millisecond

// validateClock checks what mode discipline needs, and what only it has.
func (c *Config) validateClock(j *judge) {
	k := &c.Clock
	if k.Leap.Table == "none" && k.Leap.File != "" {
		j.refuse("clock.leap.file", "is not read with clock.leap.table: none; delete one of the two")
	}
	if k.Panic > 0 && k.Panic < leastPanic {
		j.refuse("clock.panic", "%s is below what the clock can be set to; write 0s for none, or 1ms and more", FormatDuration(k.Panic))
	}
	if k.Mode != ClockDiscipline {
		return
	}
	selectable := 0
	for i := range c.Sources {
		if !c.Sources[i].NoSelect {
			selectable++
		}
	}
	for i := range c.ReferenceClocks {
		if !c.ReferenceClocks[i].NoSelect && !c.ReferenceClocks[i].Local {
			selectable++
		}
	}
	if selectable == 0 && k.FallbackStratum == 0 {
		j.refuse("clock.mode", "discipline needs sources to follow, and none is in sources or reference_clocks; "+
			"add one, or write observe or local, or, for a clock that is set by hand, clock.fallback_stratum")
	}
	if k.Orphan && k.FallbackStratum == 0 {
		j.refuse("clock.orphan", "needs a stratum; write clock.fallback_stratum, such as 10")
	}
	if k.Leap.Smear > 0 && k.Leap.Mode == "ignore" {
		j.refuse("clock.leap.smear", "smears what the system clock gets, which is nothing with clock.leap.mode: ignore; write system")
	}
}

// validateReferenceClocks checks what a driver needs, and that names are
// unique.
func (c *Config) validateReferenceClocks(j *judge) {
	seen := make(map[string]bool)
	names, called := make(map[string]bool), make(map[string]bool)
	local := false
	for i := range c.ReferenceClocks {
		names[c.ReferenceClocks[i].Name()] = true
	}
	for i := range c.ReferenceClocks {
		k := &c.ReferenceClocks[i]
		path := fmt.Sprintf("reference_clocks[%d]", i)
		id := fmt.Sprintf("%s %d %s", k.Driver, k.Unit, k.Device)
		switch {
		case seen[id]:
			j.refuse(path+".driver", "the same clock is in the list twice; delete one")
		case called[k.Name()] && k.Driver != "":
			j.refuse(path+".refid", "another reference clock is called %s too; set a refid of its own", k.Name())
		}
		called[k.Name()] = true
		seen[id] = true
		switch {
		case k.Driver == "":
			j.refuse(path+".driver", "is missing; write shm, sock, pps or phc")
		case k.Driver == DriverSHM && k.Device != "":
			j.refuse(path+".device", "is not for driver shm; write unit, and delete this line")
		case k.Driver != DriverSHM && k.Device == "":
			j.refuse(path+".device", "is missing; write such as /dev/pps0, /dev/ptp0 or /run/chrony.ttyS0.sock")
		case k.Driver != DriverSHM && k.Unit != 0:
			j.refuse(path+".unit", "is for driver shm; write device, and delete this line")
		}
		if k.DriverPoll > k.Poll {
			j.refuse(path+".driver_poll", "%d is above poll %d; lower it", k.DriverPoll, k.Poll)
		}
		if k.Lock != 0 && (!names[k.Lock.String()] || k.Lock.String() == k.Name()) {
			j.refuse(path+".lock", "no other reference clock has the refid %v; write that of the clock that numbers the seconds", k.Lock)
		}
		if k.NoSelect && (k.Prefer || k.Trust || k.Require) {
			j.refuse(path+".noselect", "contradicts prefer, trust and require; delete it, or those")
		}
		if !k.Local {
			continue
		}
		switch {
		case local:
			j.refuse(path+".local", "another reference clock has it too; one keeps the rate of the clock: delete the other")
		case k.Prefer || k.Trust || k.Require || k.Lock != 0 || k.TAI:
			j.refuse(path+".local", "its time is never followed: delete it, or prefer, trust, require, lock and tai")
		}
		local = true
	}
}

// validateMode checks what a source in another mode than client needs: there,
// whoever can forge a packet could set the time.
func (c *Config) validateMode(j *judge, path string, s *Source) {
	if s.Group.IsValid() && (s.Mode != ModeBroadcast || !s.Group.IsMulticast()) {
		j.refuse(path+".group", "must be a multicast address, with mode: broadcast; write both, or delete the line")
	}
	if s.Mode == ModeClient || s.Mode == ModePool {
		return
	}
	if s.Interleaved || s.Burst || s.Presend != 0 {
		j.refuse(path+".mode", "interleaved, burst and presend are for modes client and pool; delete those lines")
	}
	if s.Auth != ntp.KindSymmetric && s.Auth != ntp.KindAutokey {
		j.refuse(path+".auth", "mode: %s must be authenticated, or anybody could forge its packets; "+
			"write auth: symmetric and a key, or auth: autokey, or mode: client", s.Mode)
	}
	if s.Mode == ModePeer && s.Auth == ntp.KindAutokey && !c.Autokey.Enabled {
		j.refuse(path+".auth", "a peer with autokey also asks this host; write autokey.enabled: true")
	}
	if s.Mode == ModeBroadcast && len(c.Server.Listen) > 0 && !slices.ContainsFunc(c.Server.FixedAddresses(), anyAddress) {
		j.refuse(path+".mode", `broadcasts come to an unspecified address only; add "0.0.0.0:123" or "[::]:123" to server.listen`)
	}
}

func anyAddress(a netip.AddrPort) bool { return a.Addr().IsUnspecified() }

// validateBroadcast checks what this host sends to networks.
func (c *Config) validateBroadcast(j *judge) {
	seen := make(map[netip.AddrPort]bool)
	for i := range c.Broadcast {
		b := &c.Broadcast[i]
		path := fmt.Sprintf("broadcast[%d]", i)
		to := netip.AddrPortFrom(b.Destination, uint16(b.Port))
		switch {
		case !b.Destination.IsValid():
			j.refuse(path+".destination", "is missing; write a broadcast or multicast address")
		case b.Destination.Is6() && !b.Destination.IsMulticast() || b.Destination.IsUnspecified():
			j.refuse(path+".destination", "%v is neither a broadcast nor a multicast address", b.Destination)
		case seen[to]:
			j.refuse(path+".destination", "%v is in the list twice; delete one", b.Destination)
		}
		seen[to] = true
		switch b.Auth {
		case ntp.KindSymmetric, ntp.KindAutokey:
			if (b.Key != 0) != (b.Auth == ntp.KindSymmetric) {
				j.refuse(path+".key", "a key identifier and auth: symmetric go together; write both, or neither")
			}
		default:
			j.refuse(path+".auth", "broadcasts must be authenticated, or clients believe anybody's; write symmetric and a key, or autokey")
		}
		if b.Auth == ntp.KindAutokey && !c.Autokey.Enabled {
			j.refuse(path+".auth", "clients of an autokey broadcast also ask this host; write autokey.enabled: true")
		}
	}
}
