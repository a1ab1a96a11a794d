package ntp

import "time"

// unixEpoch is the Unix epoch in seconds of NTP era 0 (RFC 5905, section 6).
const unixEpoch = 2208988800

// Timestamp is the NTP timestamp format: 32 bits of seconds since the start
// of the era (the first on 1 January 1900) and 32 bits of fraction
// (RFC 5905, section 6). Zero means "unknown".
type Timestamp uint64

// TimestampFromUnix returns the timestamp of a Unix time given as seconds and
// nanoseconds (0 to 999999999). The era is lost.
func TimestampFromUnix(sec, nsec int64) Timestamp {
	frac := (uint64(nsec)<<32 + 500_000_000) / 1_000_000_000
	return Timestamp(uint64(sec+unixEpoch)<<32 + frac)
}

// TimestampFromTime returns the timestamp of t. The era is lost.
func TimestampFromTime(t time.Time) Timestamp {
	return TimestampFromUnix(t.Unix(), int64(t.Nanosecond()))
}

// Seconds returns the seconds of the era, the unit in which Autokey dates
// its values (RFC 5906, section 10).
func (t Timestamp) Seconds() uint32 { return uint32(t >> 32) }

// Time returns the instant of t that lies within 68 years of pivot, which
// decides the era.
func (t Timestamp) Time(pivot time.Time) time.Time {
	delta := int64(t - TimestampFromTime(pivot))
	sec := delta >> 32
	nsec := (delta & 0xffffffff) * 1_000_000_000 >> 32
	return pivot.Add(time.Duration(sec)*time.Second + time.Duration(nsec))
}

// Sub returns t-u as a duration; both must lie within 68 years of each other.
func (t Timestamp) Sub(u Timestamp) time.Duration {
	delta := int64(t - u)
	return time.Duration(delta>>32)*time.Second +
		time.Duration((delta&0xffffffff)*1_000_000_000>>32)
}

// Add returns t+d.
func (t Timestamp) Add(d time.Duration) Timestamp {
	sec, rest := d/time.Second, d%time.Second
	return t + Timestamp(int64(sec)<<32) + Timestamp((int64(rest)<<32)/int64(time.Second))
}

// Short is the NTP short format: seconds in 16.16 fixed point, 0 to just
// below 65536 s (RFC 5905, section 6). Root delay and root dispersion use it.
type Short uint32

// ShortFromDuration returns d in short format, rounded up, so that an error
// bound stays a bound; negative is 0, above the range is the largest value.
func ShortFromDuration(d time.Duration) Short {
	if d <= 0 {
		return 0
	}
	if d >= 65536*time.Second {
		return 1<<32 - 1
	}
	sec, rest := uint64(d/time.Second), uint64(d%time.Second)
	v := sec<<16 + (rest<<16+999_999_999)/1_000_000_000
	return Short(min(v, 1<<32-1))
}

// Duration returns s as a duration, 0 to just below 65536 s.
func (s Short) Duration() time.Duration {
	return time.Duration(uint64(s) * 1_000_000_000 >> 16)
}
