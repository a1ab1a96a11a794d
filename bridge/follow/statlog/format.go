package statlog

import (
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// chronyTime is how chronyd writes the time.
const chronyTime = "2006-01-02 15:04:05"

// The headings of chronyd 4.3.
var headings = map[string]string{
	Measurements: "   Date (UTC) Time     IP Address   L St 123 567 ABCD  LP RP Score    Offset  Peer del. Peer disp.  Root del. Root disp. Refid     MTxRx",
	Statistics:   "   Date (UTC) Time     IP Address    Std dev'n Est offset  Offset sd  Diff freq   Est skew  Stress  Ns  Bs  Nr  Asym",
	Tracking:     "   Date (UTC) Time     IP Address   St   Freq ppm   Skew ppm     Offset L Co  Offset sd Rem. corr. Root delay Root disp. Max. error",
	Refclocks:    "   Date (UTC) Time         Refid  DP L P  Raw offset   Cooked offset      Disp.",
}

func (m *Measurement) name() string { return nameOf(m.Address, m.Name) }

func nameOf(a netip.Addr, name string) string {
	if a.IsValid() {
		return a.String()
	}
	return name
}

// leapLetter is chronyd's letter of a leap indicator.
func leapLetter(l ntp.Leap) byte { return "N+-?"[l&3] }

func bit(b bool) byte {
	if b {
		return '1'
	}
	return '0'
}

// measurement is a line of chronyd's measurements.log. Only answers that passed
// the tests of packets get here, so that those are ones.
func (m *Measurement) measurement() string {
	mode := byte('B')
	if m.Interleaved {
		mode = 'I'
	}
	return fmt.Sprintf("%s %-15s %c %2d 111 11%c 111%c  %2d %2d %4.2f %10.3e %10.3e %10.3e %10.3e %10.3e %08X %d%c %c %c\n",
		m.At.UTC().Format(chronyTime), m.name(), leapLetter(m.Header.Leap), m.Header.Stratum, bit(!m.Loop), bit(m.Accepted),
		m.Poll, m.Header.Poll, 1.0, m.Offset, m.Delay, m.Spread, m.Header.RootDelay.Duration().Seconds(),
		m.Header.RootDispersion.Duration().Seconds(), m.Header.ReferenceID, m.Header.Version, mode, m.TX, m.RX)
}

// statistics is a line of chronyd's statistics.log. What only its regression
// has (stress, the best sample, runs, asymmetry) is 0.
func (m *Measurement) statistics() string {
	s := &m.Source
	return fmt.Sprintf("%s %-15s %10.3e %10.3e %10.3e %10.3e %10.3e %7.1e %3d %3d %3d %5.2f\n", m.At.UTC().Format(chronyTime), m.name(),
		s.Jitter, 0-s.Estimate, s.Deviation, s.Frequency, s.Skew, 0.0, s.Samples, 0, 0, 0.0)
}

// refclock is a line of chronyd's refclocks.log: a sample that was made of
// readings.
func (m *Measurement) refclock() string {
	return fmt.Sprintf("%s.%06d %-4s   - %c -       -       %13.6e %10.3e\n", m.At.UTC().Format(chronyTime), m.At.Nanosecond()/1000, m.Name,
		leapLetter(m.Header.Leap), m.Offset, m.Spread)
}

// tracking is a line of chronyd's tracking.log. Frequency and offset are
// positive where the clock is fast, what remains to be corrected where it is
// slow.
func (u *Update) tracking() string {
	return fmt.Sprintf("%s %-15s %2d %10.3f %10.3f %10.3e %c %2d %10.3e %10.3e %10.3e %10.3e %10.3e\n", u.At.UTC().Format(chronyTime),
		nameOf(u.Address, u.Name), u.Stratum, u.Frequency*1e6, u.Skew*1e6, u.Offset, leapLetter(u.Leap), u.Sources, u.Deviation,
		u.Remaining,
		u.RootDelay, u.RootDispersion, u.Bound)
}

// mjd is the date and time of ntpd's files: the modified Julian day and the
// seconds of the day.
func mjd(t time.Time) string {
	const epoch = 40587 // of Unix time
	s := t.Unix()
	day, second := s/86400, s%86400
	if second < 0 {
		day, second = day-1, second+86400
	}
	return fmt.Sprintf("%d %d.%03d", epoch+day, second, t.Nanosecond()/1e6)
}

// loopstats is a line of ntpd's loopstats: offset, frequency correction in
// ppm, jitter, wander in ppm and the exponent of the time constant. Offset and
// correction are positive where the clock is slow.
func (u *Update) loopstats() string {
	return fmt.Sprintf("%s %.9f %.3f %.9f %.6f %d\n", mjd(u.At), 0-u.Offset, 0-u.Frequency*1e6, u.Jitter, u.Skew*1e6, u.Poll)
}

// clockAddress is what ntpd calls a reference clock: its driver's address.
func (m *Measurement) clockAddress() string {
	if m.Address.IsValid() {
		return m.Address.String()
	}
	return m.Name
}

// status is ntpd's status word of a peer: configured, authenticated, reached,
// how it is selected, how many events there were and which was the last.
func (m *Measurement) status() int {
	status := 0x80
	if m.Authenticated {
		status |= 0x60
	}
	if m.Source.Reach {
		status |= 0x10
	}
	return (status|int(m.Source.Selected&7))<<8 | int(m.Source.Event)
}

// peerstats is a line of ntpd's peerstats.
func (m *Measurement) peerstats() string {
	return fmt.Sprintf("%s %s %x %.9f %.9f %.9f %.9f\n", mjd(m.At), m.clockAddress(), m.status(), m.Offset, m.Delay, m.Spread,
		m.Source.Jitter)
}

// rawstats is a line of ntpd's rawstats.
func (m *Measurement) rawstats() string {
	h := &m.Header
	local := "-"
	if m.Local.IsValid() {
		local = m.Local.String()
	}
	refid := fmt.Sprintf("%d.%d.%d.%d", byte(h.ReferenceID>>24), byte(h.ReferenceID>>16), byte(h.ReferenceID>>8), byte(h.ReferenceID))
	if h.Stratum < 2 {
		refid = "." + ntpText(h.ReferenceID) + "."
	}
	return fmt.Sprintf("%s %s %s %s %s %s %s %d %d %d %d %d %d %.6f %.6f %s\n", mjd(m.At), m.clockAddress(), local,
		fraction(m.T[0]), fraction(m.T[1]), fraction(m.T[2]), fraction(m.T[3]), h.Leap, h.Version, h.Mode, h.Stratum, h.Poll, h.Precision,
		h.RootDelay.Duration().Seconds(), h.RootDispersion.Duration().Seconds(), refid)
}

// fraction is a timestamp with nine digits.
func fraction(t ntp.Timestamp) string {
	nano := (uint64(t&0xffffffff)*1e9 + 1<<31) >> 32
	return fmt.Sprintf("%d.%09d", uint64(t>>32)+nano/1e9, nano%1e9)
}

// ntpText is a reference identifier of letters.
func ntpText(id uint32) string {
	b := make([]byte, 0, 4)
	for shift := 24; shift >= 0; shift -= 8 {
		if c := byte(id >> shift); c > ' ' && c < 0x7f {
			b = append(b, c)
		}
	}
	return string(b)
}

// clockstats is a line of ntpd's clockstats: what a reference clock said.
func (m *Measurement) clockstats() string {
	return fmt.Sprintf("%s %s %s %.9f %.9f\n", mjd(m.At), m.Name, fraction(m.T[2]), m.Offset, m.Spread)
}

// sysstats is a line of ntpd's sysstats.
func (s *System) sysstats() string {
	return fmt.Sprintf("%s %d %d %d %d %d %d %d %d %d %d %d\n", mjd(s.At), int64(s.Uptime.Seconds()), s.Received, s.Answered, s.Current,
		s.Older, s.Denied, s.BadForm, s.BadAuth, s.Declined, s.Limited, s.Kissed)
}
