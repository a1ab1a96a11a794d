package control

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// chronyWriter writes chrony's structures.
type chronyWriter struct{ bytes.Buffer }

func (w *chronyWriter) put(fields ...any) {
	for _, f := range fields {
		if err := binary.Write(w, binary.BigEndian, f); err != nil {
			panic(err) // a field without a fixed size
		}
	}
}

// floats writes numbers in chrony's format.
func (w *chronyWriter) floats(all ...float64) {
	for _, v := range all {
		w.put(chronyFloat(v))
	}
}

// chrony's format of numbers: 7 bits of exponent, 25 of coefficient, both
// signed.
const (
	chronyFraction    = 24 // bits of the coefficient beside its sign
	chronyMaxExponent = 62
	chronyMinExponent = -65
)

// chronyFloat returns a number in chrony's format. What is too large becomes
// the largest; no number is 0.
func chronyFloat(v float64) uint32 {
	if math.IsNaN(v) {
		return 0
	}
	limit := math.Ldexp(1-math.Ldexp(1, -chronyFraction), chronyMaxExponent)
	fraction, exponent := math.Frexp(min(max(v, -limit), limit))
	if exponent < chronyMinExponent {
		return 0
	}
	c := int32(math.Round(math.Ldexp(fraction, chronyFraction)))
	if c == 0 {
		return 0
	}
	if c == 1<<chronyFraction || c == -1<<chronyFraction {
		c, exponent = c/2, exponent+1
	}
	return uint32(exponent+1)<<25 | uint32(c)&(1<<25-1)
}

// named writes the reference identifier that the source would be, and its
// address, which a clock has not.
func (w *chronyWriter) named(q *chronyQuestion, name, address string) {
	if address == "" && q.clock(name) {
		w.put(letters(name), [chronyAddressLen]byte{})
		return
	}
	id := uint32(0)
	if a, err := netip.ParseAddr(address); err == nil {
		id = ntp.ReferenceID(a)
	}
	w.put(id, q.address(name, address))
}

func (w *chronyWriter) source(q *chronyQuestion, s *Source) {
	modes := []SourceMode{ModeServer, ModePeer, ModeReferenceClock}
	states := []SourceState{StateSelected, StateUnusable, StateFalseticker, StateTooVariable, StateCombined, StateNotCombined}
	w.put(q.address(s.Name, s.Address), int16(s.Poll), uint16(s.Stratum), uint16(slices.Index(states, s.State)),
		uint16(slices.Index(modes, s.Mode)), uint16(0), uint16(s.Reach), uint32(s.LastRx))
	w.floats(s.Measured, s.Offset, s.Error)
}

func (w *chronyWriter) stats(q *chronyQuestion, s *SourceStats) {
	deviation, skew := s.spread()
	w.named(q, s.Name, s.Address)
	w.put(uint32(s.Samples), uint32(s.Runs), uint32(s.Span))
	w.floats(deviation, s.Frequency, skew, s.Offset, s.Error)
}

// auth writes how a source is authenticated. chronyc has no word for Autokey,
// which is shown as what it protects against: nothing.
func (w *chronyWriter) auth(_ *chronyQuestion, a *AuthData) {
	if a.Mode == AuthAutokey {
		a = &AuthData{Mode: AuthNone, Last: -1}
	}
	modes := []AuthMode{AuthNone, AuthSymmetric, AuthNTS}
	w.put(uint16(max(slices.Index(modes, a.Mode), 0)), a.Type, a.KeyID, uint16(a.KeyLength), uint16(a.Attempts), uint32(a.Last),
		uint16(a.Cookies), uint16(a.CookieLength), uint16(a.NAKs), uint16(0))
}

func (w *chronyWriter) selects(q *chronyQuestion, s *SelectData) {
	w.named(q, s.Name, s.Address)
	authenticated, score := uint8(0), 1.0 // chrony's of a source that was never compared
	if s.Authenticated {
		authenticated = 1
	}
	if s.Score != nil {
		score = *s.Score
	}
	w.put(s.state()[0], authenticated, uint8(s.Leap), uint8(0), s.Configured.bits(), s.Effective.bits(), uint32(s.LastRx))
	w.floats(score, s.Low, s.High)
}

func (o Options) bits() (v uint16) {
	for i, set := range []bool{o.NoSelect, o.Prefer, o.Trust, o.Require} {
		if set {
			v |= 1 << i
		}
	}
	return v
}

func (w *chronyWriter) time(t time.Time) {
	w.put(uint32(t.Unix()>>32), uint32(t.Unix()), uint32(t.Nanosecond()))
}

func (w *chronyWriter) tracking(t *Tracking) {
	w.put(uint32(t.ReferenceID))
	if t.ReferenceAddress == "" {
		w.put([chronyAddressLen]byte{})
	} else {
		a, _ := netip.ParseAddr(t.ReferenceAddress)
		w.put(chronyIP(a))
	}
	w.put(uint16(t.Stratum), uint16(t.Leap))
	w.time(t.referenceUnix())
	w.floats(-t.SystemOffset, t.LastOffset, t.RMSOffset, t.Frequency, t.Residual, t.Skew, t.RootDelay, t.RootDispersion, t.UpdateInterval)
}

// activity writes how many NTP sources are asked, how many are not to be, and
// how many have no address yet.
func (w *chronyWriter) activity(list []SourceSnapshot) {
	var online, offline, unresolved uint32
	for i := range list {
		s := &list[i]
		switch {
		case s.Clock != nil || !s.Timed():
		case s.Status == nil || !s.Status.Server.IsValid():
			unresolved++
		case s.Offline:
			offline++
		default:
			online++
		}
	}
	w.put(online, offline, uint32(0), uint32(0), unresolved)
}

// stampLetters are chrony's for who took a timestamp.
var stampLetters = map[source.StampKind]byte{source.StampDaemon: 'D', source.StampKernel: 'K', source.StampHardware: 'H'}

// chronyTests are the bits of the tests that an answer has passed; Interleaved
// and Authenticated follow above them.
const (
	chronyTests         = 0x3ff
	chronyInterleaved   = 0x4000
	chronyAuthenticated = 0x8000
)

// ntpData writes the last measurement of a source; kernel adds the counts of
// timestamps, which chronyc 4.3 does not know.
func (w *chronyWriter) ntpData(s *SourceSnapshot, kernel bool) {
	status := s.Status
	m := status.Last
	if m == nil {
		m = &source.Sample{}
	}
	h := &m.Header
	w.put(chronyIP(status.Server.Addr()), s.chronyLocal(), status.Server.Port(),
		uint8(h.Leap), h.Version, uint8(h.Mode), h.Stratum, h.Poll, h.Precision)
	w.floats(h.RootDelay.Duration().Seconds(), h.RootDispersion.Duration().Seconds())
	w.put(h.ReferenceID)
	if h.Reference == 0 {
		w.time(time.Unix(0, 0))
	} else {
		w.time(h.Reference.Time(time.Now()))
	}
	w.floats(m.Offset.Seconds(), m.Delay.Seconds(), m.Dispersion.Seconds(), m.T3.Sub(m.T2).Seconds(), 0)
	good := uint32(status.Received - min(status.Received, status.Refused))
	tx, rx := stampLetters[m.TX], stampLetters[m.RX]
	if status.Last == nil {
		tx, rx = 0, 0
	}
	w.put(ntpFlags(status), tx, rx, uint32(status.Sent), uint32(status.Received), good, good)
	if !kernel {
		w.put([3]uint32{})
		return
	}
	w.put(uint32(status.Kernel), uint32(status.Kernel), uint32(status.Hardware), uint32(status.Hardware), [4]uint32{})
}

// chronyLocal is the address of this side: none before there is a measurement.
func (s *SourceSnapshot) chronyLocal() []byte {
	switch {
	case s.Status.Last == nil:
		return make([]byte, chronyAddressLen)
	case s.Status.Local.IsValid():
		return chronyIP(s.Status.Local)
	case s.Local.IsValid():
		return chronyIP(s.Local)
	case s.Status.Server.Addr().Is6():
		return chronyIP(netip.IPv6Unspecified())
	}
	return chronyIP(netip.IPv4Unspecified())
}

func ntpFlags(s *source.Status) (flags uint16) {
	if s.Last == nil {
		return 0
	}
	flags = chronyTests
	if s.Last.Interleaved {
		flags |= chronyInterleaved
	}
	if s.Last.Kind == ntp.KindSymmetric || s.Last.Kind == ntp.KindNTS {
		flags |= chronyAuthenticated
	}
	return flags
}

func (s *ServerStats) chrony() [17]uint64 {
	return [17]uint64{s.NTPReceived, s.KEAccepted, s.CommandReceived, s.NTPDropped, s.KEDropped, s.CommandDropped, s.LogDropped,
		s.Authenticated, s.Interleaved, uint64(s.TimestampsHeld), s.TimestampSpan, s.DaemonRXTimestamps, s.DaemonTXTimestamps,
		s.KernelRXTimestamps, s.KernelTXTimestamps, s.HardwareRX, s.HardwareTX}
}

// server4 writes the counters as chronyc 4.6 knows them.
func (w *chronyWriter) server4(s *ServerStats) { w.put(s.chrony(), [4]uint64{}) }

// server3 writes so many of them as older ones do, in 32 bits.
func (w *chronyWriter) server3(s *ServerStats, n int) {
	all := s.chrony()
	for _, v := range all[:n] {
		w.put(uint32(v))
	}
}
