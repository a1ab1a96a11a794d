package bridge

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/netif"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/nts"
)

// clientLen is about what the inventory needs for a client, octets.
const clientLen = 250

// figures are those of ntpq's lists.
func (b *Bridge) figures() *control.Counts {
	served := b.server.Counters()
	c := &control.Counts{Uptime: time.Since(b.started), IO: ioCounts(b.server.Listening(), served), System: systemCounts(served),
		Keys: keyCounts(served), Timer: control.TimerCounts{Overruns: b.overruns.Load()}}
	c.Keys.Keys = b.parts.Load().state.Keys.Len()
	if k := new(unix.Timex); unixAdjtimex(k) == nil {
		c.Kernel = k
	}
	size := b.fleet.Size()
	c.MRU = control.MRUCounts{Enabled: size.Room > 0, Clients: size.Clients, Most: b.mostClients(size.Clients), Room: size.Room,
		ClientLen: clientLen, Retention: b.parts.Load().cfg.Fleet.Retention, Crowded: size.Full.Strangers}
	c.NTS = b.ntsCounts(served)
	b.addSources(c)
	return c
}

// unixAdjtimex reads the kernel's clock, which needs no permission.
func unixAdjtimex(k *unix.Timex) error {
	_, err := unix.Adjtimex(k)
	return err
}

// mostClients is the largest number of clients so far.
func (b *Bridge) mostClients(now int) int {
	for {
		most := b.most.Load()
		if int64(now) <= most || b.most.CompareAndSwap(most, int64(now)) {
			return int(max(most, int64(now)))
		}
	}
}

func systemCounts(served *server.Counters) control.SystemCounts {
	line := systemLine(served)
	s := control.SystemCounts{Received: line.Received, Current: line.Current, Older: line.Older, BadForm: line.BadForm,
		BadAuth: line.BadAuth, Declined: line.Declined, Denied: line.Denied, Limited: line.Limited, Kissed: line.Kissed,
		Queries: served.Modes[ntp.ModeControl]}
	s.Older -= min(s.Queries, s.Older) // ntpd does not count them there
	for kind := range served.Packets {
		for _, n := range served.Packets[kind][1] {
			s.Version1 += n
		}
	}
	return s
}

func ioCounts(listened []server.Listened, served *server.Counters) control.IOCounts {
	c := control.IOCounts{Received: served.Received, Sent: served.Sent(), SendFailed: served.SendErrors,
		Dropped: served.SlowDropped + served.SignDropped}
	for i := range listened {
		l := &listened[i]
		c.Buffers += uint64(l.Buffers)
		c.Dropped += l.Dropped
		c.Wakeups += l.Wakeups
		c.Useful += l.Wakeups - min(l.Idle, l.Wakeups)
	}
	return c
}

func keyCounts(served *server.Counters) (k control.KeyCounts) {
	signed := &served.Packets[ntp.KindSymmetric]
	for version := range signed {
		for reason, n := range signed[version] {
			k.Lookups += n
			switch ntp.Reason(reason) {
			case ntp.ReasonUnknownKey:
				k.Unknown += n
			case ntp.ReasonOK, ntp.ReasonBadMAC, ntp.ReasonKeyAddress:
				k.Decoded += n
			}
		}
	}
	k.Encrypted = served.Actions[ntp.KindSymmetric][ntp.Answer]
	return k
}

// ntsCounts are the server's part of ntsinfo; nil: NTS is off.
func (b *Bridge) ntsCounts(served *server.Counters) *control.NTSCounts {
	if b.ke == nil {
		return nil
	}
	c := &control.NTSCounts{ServerGood: served.Actions[ntp.KindNTS][ntp.Answer], Old: served.OldSecret[ntp.KindNTS]}
	for version := range served.Packets[ntp.KindNTS] {
		for reason, n := range served.Packets[ntp.KindNTS][version] {
			switch ntp.Reason(reason) {
			case ntp.ReasonOK:
			case ntp.ReasonUnknownCookie:
				c.Undecoded += n
				c.ServerBad += n
			default:
				c.ServerBad += n
			}
		}
	}
	c.ServerSent = c.ServerGood + served.Actions[ntp.KindNTS][ntp.NTSNAK]
	c.Current = c.ServerGood - min(c.Old, c.ServerGood)
	ke := b.ke.Counters()
	c.KEGood = ke.Outcomes[nts.Agreed]
	c.KENoTLS = ke.HandshakeTimeout + ke.HandshakeClosed + ke.HandshakeLeft + ke.HandshakeAlert + ke.HandshakeFailed + ke.HandshakeNoALPN
	c.KEBad = ke.ExchangeTimeout + ke.ExchangeClosed
	for outcome, n := range ke.Outcomes {
		if nts.Outcome(outcome) != nts.Agreed {
			c.KEBad += n
		}
	}
	for _, n := range ke.Cookies {
		c.Issued += n
	}
	return c
}

// addSources adds what associations did.
func (b *Bridge) addSources(c *control.Counts) {
	for _, s := range b.sources.Snapshot() {
		st := s.Status
		if st == nil {
			continue
		}
		c.Timer.Sent += st.Sent
		c.System.Processed += st.Good
		if s.HostMode == ntp.ModeClient { // by a socket of its own
			c.IO.Sent += st.Sent
			c.IO.Received += st.Received
		}
		switch s.Auth {
		case ntp.KindSymmetric:
			c.Keys.Encrypted += st.Sent
			c.Keys.Decoded += st.Received
			c.Keys.Lookups += st.Sent + st.Received
		case ntp.KindNTS:
			if c.NTS == nil {
				c.NTS = new(control.NTSCounts)
			}
			c.NTS.ClientSent += st.Sent
			c.NTS.ClientGood += st.Received - min(st.Refused, st.Received)
			c.NTS.ClientBad += st.Refused
			if s.NTS != nil {
				c.NTS.ProbesGood += uint64(s.NTS.KeyID)
			}
		}
	}
}

// listening are the addresses that are listened on, as ntpd shows its own.
func (b *Bridge) listening() (list []control.InterfaceVariables) {
	own, _ := netif.Own()
	associations := b.snapshot().Associations()
	for _, l := range b.server.Listening() {
		v := control.InterfaceVariables{Address: l.Address, Received: l.Received, Sent: l.Sent, Failed: l.Failed,
			Groups: l.Groups, Up: time.Since(l.Since)}
		v.Name, v.Flags = interfaceOf(l.Address.Addr(), own)
		for i := range associations {
			if d := associations[i].Destination.Addr(); d.IsValid() && uses(d, l.Address.Addr()) {
				v.Peers++
			}
		}
		list = append(list, v)
	}
	return list
}

// uses tells whether a local address is served by a listen address.
func uses(local, listen netip.Addr) bool {
	return local.WithZone("") == listen.WithZone("") || listen.IsUnspecified() && local.Is4() == listen.Is4()
}

// interfaceOf returns the name of the interface that has an address, and
// ntpd's flags of it.
func interfaceOf(a netip.Addr, own []netif.Address) (name string, flags control.InterfaceFlags) {
	switch {
	case a.IsUnspecified() && a.Is4():
		return "v4wildcard", control.InterfaceUp | control.InterfaceBroadcast | control.InterfaceWildcard
	case a.IsUnspecified():
		return "v6wildcard", control.InterfaceUp | control.InterfaceWildcard
	}
	flags = control.InterfaceUp
	if a.IsLoopback() {
		flags |= control.InterfaceLoopback
	}
	for _, o := range own {
		if o.Addr.WithZone("") == a.WithZone("") {
			name = o.Interface
			break
		}
	}
	if i, err := net.InterfaceByName(name); err == nil {
		if a.Is4() && i.Flags&net.FlagBroadcast != 0 {
			flags |= control.InterfaceBroadcast
		}
		if i.Flags&net.FlagMulticast != 0 {
			flags |= control.InterfaceMulticast
		}
	}
	if name == "" {
		name = "-" // the address has gone
	}
	return name, flags
}

// restrictions are the access rules in force.
func (b *Bridge) restrictions() (list []control.RestrictionVariables) {
	rules, hits := b.server.Hits()
	for i := range rules {
		list = append(list, control.RestrictionVariables{Rule: rules[i], Hits: hits[i]})
	}
	return list
}

// authority is who may ask for everything.
func (b *Bridge) authority() control.Authority {
	p := b.parts.Load()
	return control.Authority{Keys: p.state.Keys, Control: uint32(p.cfg.Keys.Control)}
}
