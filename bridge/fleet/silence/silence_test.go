package silence

import (
	"fmt"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

const (
	ours   = 0x0a000001
	theirs = 0x0a000009
	now    = 1_800_000_000
	start  = now - 30*86400 // when everybody was first seen
	poll   = 64             // s
)

// world makes a case of one client with one means; the client asks on, and was
// answered U requests ago.
func world(program string, unanswered uint16, change func(c *Case, m *inventory.Means)) *Case {
	k := &inventory.Client{First: start, Last: now - 10, Hosts: 1, Addresses: 1}
	k.Means = []inventory.Means{{Kind: ntp.KindNone, Program: program, First: start, Last: now - 10, Answered: 1000,
		Served: now - 10 - uint32(unanswered)*poll, Unanswered: unanswered, Interval: poll * time.Second}}
	c := &Case{Client: k, Now: now, Watched: start - 86400, Ours: func(refid uint32) bool { return refid == ours }}
	if change != nil {
		change(c, &k.Means[0])
	}
	return c
}

// follows gives ntpd somebody whom it follows, since when.
func follows(refid, age uint32) func(*Case, *inventory.Means) {
	return func(c *Case, m *inventory.Means) {
		c.Client.Upstream = inventory.Upstream{Told: true, Stratum: 3, RefID: refid, Reference: m.Last - age}
	}
}

func and(list ...func(*Case, *inventory.Means)) func(*Case, *inventory.Means) {
	return func(c *Case, m *inventory.Means) {
		for _, f := range list {
			f(c, m)
		}
	}
}

// quiet makes a client silent by every means, and lets it be answered until then.
func quiet(seconds uint32) func(*Case, *inventory.Means) {
	return func(c *Case, m *inventory.Means) {
		c.Client.Last, m.Last = now-seconds, now-seconds
		m.Served = m.Last - uint32(m.Unanswered)*poll
	}
}

func refused(from, to uint32) func(*Case, *inventory.Means) {
	return func(c *Case, _ *inventory.Means) { c.Refused = append(c.Refused, Span{from, to}) }
}

func kissed(seconds uint32) func(*Case, *inventory.Means) {
	return func(_ *Case, m *inventory.Means) { m.Kisses, m.Kissed = 1, now-seconds }
}

func kind(k ntp.Kind) func(*Case, *inventory.Means) {
	return func(_ *Case, m *inventory.Means) { m.Kind = k }
}

func interval(d time.Duration) func(*Case, *inventory.Means) {
	return func(_ *Case, m *inventory.Means) { m.Interval = d }
}

// exchange is an NTS-KE so many seconds after the last packet.
func exchange(after uint32, result inventory.HandshakeResult) func(*Case, *inventory.Means) {
	return func(c *Case, m *inventory.Means) {
		c.Client.KE = inventory.KeyExchange{Handshakes: 1, Last: m.Last + after, Result: result}
		c.Client.Last = max(c.Client.Last, c.Client.KE.Last)
	}
}

// movesTo adds NTS since so many seconds, and lets the old means be silent as
// long.
func movesTo(since uint32) func(*Case, *inventory.Means) {
	return func(c *Case, m *inventory.Means) {
		m.Last, m.Served = now-since, now-since
		c.Client.Last = now - 5
		c.Client.KE = inventory.KeyExchange{Handshakes: 1, Last: now - since, Result: inventory.HandshakeAgreed}
		c.Client.Means = append(c.Client.Means, inventory.Means{Kind: ntp.KindNTS, Key: 15, Proved: true, First: now - since + 2,
			Last: now - 5, Served: now - 5, Answered: 30, Interval: poll * time.Second, Program: inventory.Chrony})
	}
}

func TestJudge(t *testing.T) {
	ntpd, rs, sync := inventory.Ntpd, inventory.NtpdRs, inventory.Timesyncd
	hosts := func(c *Case, _ *inventory.Means) { c.Client.Hosts = 2 }
	unsynchronised := func(c *Case, _ *inventory.Means) {
		c.Client.Upstream.Leap, c.Client.Upstream.Stratum = ntp.LeapUnknown, 0
	}
	before := func(refid uint32, d time.Duration) func(*Case, *inventory.Means) {
		return func(c *Case, m *inventory.Means) {
			b := *c.Client
			b.Upstream = inventory.Upstream{Told: true, Stratum: 3, RefID: refid, Reference: now - 5000}
			b.Means = []inventory.Means{*m}
			b.Means[0].Interval = d
			c.Before = &b
		}
	}
	for _, x := range []struct {
		name       string
		program    string
		unanswered uint16
		change     func(*Case, *inventory.Means)
		want       Verdict
		certain    bool
	}{
		{"ntpd follows us", ntpd, 0, follows(ours, 9*poll), FollowsUs, true},
		{"ntpd follows us, at the limit", ntpd, 0, follows(ours, 12*poll), FollowsUs, true},
		{"ntpd beyond it", ntpd, 0, follows(ours, 13*poll+1), CannotTell, false},
		{"ntpd follows us still while refused", ntpd, 9, follows(ours, 9*poll), FollowsUs, true},
		{"ntpd refused, not yet hurt", ntpd, 24, follows(ours, 32*poll), CannotTell, false},
		{"ntpd hurt", ntpd, 25, follows(ours, 33*poll), Hurt, true},
		{"ntpd old, but few losses", ntpd, 3, follows(ours, 33*poll), Hurt, false},
		{"ntpd answered, and not using it", ntpd, 0, and(follows(ours, 60*poll)), CannotTell, false},
		{"ntpd just served again", ntpd, 0, follows(ours, 52*poll), CannotTell, false},
		{"ntpd hurt for certain", ntpd, 20, and(follows(ours, 25*poll), unsynchronised), Hurt, true},
		{"ntpd at its start", ntpd, 0, func(c *Case, _ *inventory.Means) {
			c.Client.Upstream = inventory.Upstream{Told: true, Leap: ntp.LeapUnknown, RefID: 'I'<<24 | 'N'<<16 | 'I'<<8 | 'T'}
		}, CannotTell, false},
		{"ntpd follows another", ntpd, 0, follows(theirs, 16*poll), HasAnother, true},
		{"ntpd follows another, 7 losses", ntpd, 7, follows(theirs, 3*poll), HasAnother, true},
		{"ntpd failed over", ntpd, 8, follows(theirs, 3*poll), FailedOver, false},
		{"ntpd failed over, compared", ntpd, 8, and(follows(theirs, 3*poll), before(ours, poll*time.Second)), FailedOver, true},
		{"ntpd followed it before", ntpd, 8, and(follows(theirs, 3*poll), before(theirs, poll*time.Second)), HasAnother, true},
		{"ntpd follows another no more", ntpd, 30, follows(theirs, 17*poll+1), CannotTell, false},
		{"ntpd behind NAT", ntpd, 9, and(follows(theirs, 3*poll), hosts), CannotTell, false},
		{"ntpd behind NAT, answered", ntpd, 0, and(follows(theirs, 3*poll), hosts), Answered, true},
		{"ntpd's word is old", ntpd, 0, and(follows(ours, 3*poll), quiet(5*poll)), CannotTell, false},

		{"chrony answered", inventory.Chrony, 0, nil, Answered, true},
		{"chrony refused", inventory.Chrony, 20, nil, CannotTell, false},
		{"chrony that follows another", inventory.Chrony, 6, and(interval(4*poll*time.Second), before(0, poll*time.Second)), HasAnother, true},
		{"chrony, too late to tell", inventory.Chrony, 8, and(interval(4*poll*time.Second), before(0, poll*time.Second)), CannotTell, false},
		{"chrony, one step of its poll", inventory.Chrony, 6, and(interval(2*poll*time.Second), before(0, poll*time.Second)), CannotTell, false},
		{"chrony, answered, of a longer poll", inventory.Chrony, 0, and(interval(4*poll*time.Second), before(0, poll*time.Second)), Answered, true},
		{"ntpsec refused", inventory.Ntpsec, 20, nil, CannotTell, false},
		{"openntpd refused", inventory.OpenNTPD, 20, nil, CannotTell, false},
		{"busybox refused", inventory.Busybox, 20, nil, CannotTell, false},

		{"ntpd-rs lost us", rs, 8, and(interval(16*time.Second), before(0, 64*time.Second)), LostUs, true},
		{"ntpd-rs polled at 16 s before", rs, 8, and(interval(16*time.Second), before(0, 16*time.Second)), LostUs, false},
		{"ntpd-rs, 7 losses", rs, 7, interval(16 * time.Second), CannotTell, false},
		{"ntpd-rs at another poll", rs, 8, nil, CannotTell, false},
		{"ntpd-rs kissed", rs, 1, and(quiet(9*poll), kissed(9*poll)), Hurt, true},
		{"ntpd-rs kissed, and long gone", rs, 1, and(quiet(86400), kissed(86400)), Hurt, true},
		{"ntpd-rs kissed a moment ago", rs, 1, and(quiet(3*poll), kissed(3*poll)), CannotTell, false},
		{"ntpd-rs kissed, and goes on", rs, 1, kissed(9 * poll), CannotTell, false},

		{"timesyncd failed over", sync, 3, and(quiet(3*poll), refused(now-600, 0)), FailedOver, true},
		{"timesyncd silent after 3 losses, nobody refused it", sync, 3, quiet(3 * poll), FailedOver, false},
		{"timesyncd, 2 losses", sync, 2, and(quiet(3*poll), refused(now-600, 0)), CannotTell, false},
		{"timesyncd still asks", sync, 4, refused(now-600, 0), CannotTell, false},
		{"timesyncd kissed", sync, 1, and(quiet(3*poll), kissed(3*poll)), FailedOver, true},
		{"timesyncd failed over days ago", sync, 3, and(quiet(3*86400), refused(now-3*86400-200, 0)), FailedOver, true},

		{"NTS answered", inventory.Chrony, 0, kind(ntp.KindNTS), Answered, true},
		{"NTS, 8 losses", inventory.Chrony, 8, kind(ntp.KindNTS), CannotTell, false},
		{"NTS out of cookies", inventory.Chrony, 8, and(kind(ntp.KindNTS), quiet(2*poll), exchange(poll, inventory.HandshakeAgreed)),
			OutOfCookies, true},
		{"NTS out of cookies, late", inventory.Ntpsec, 8, and(kind(ntp.KindNTS), quiet(20*poll), exchange(3*poll, inventory.HandshakeAgreed)),
			OutOfCookies, false},
		{"NTS, KE after 7 losses", inventory.Chrony, 7, and(kind(ntp.KindNTS), quiet(2*poll), exchange(poll, inventory.HandshakeAgreed)),
			CannotTell, false},
		{"NTS hurt", inventory.NtpdRs, 8, and(kind(ntp.KindNTS), quiet(3*poll), exchange(poll, inventory.HandshakeRefused)), Hurt, true},
		{"NTS hurt, long ago", inventory.Ntpsec, 8, and(kind(ntp.KindNTS), quiet(86400), exchange(poll, inventory.HandshakeTLS)), CannotTell, false},

		{"moved", inventory.Chrony, 0, movesTo(2 * 86400), Moved, true},
		{"moved, within a day", inventory.Chrony, 0, movesTo(5 * poll), Moved, false},
		{"moved ntpd", ntpd, 0, and(follows(ours, poll), movesTo(2*86400)), Moved, true},
		{"not silent for long enough", inventory.Chrony, 0, movesTo(4 * poll), Answered, true},
		{"moved, behind NAT", inventory.Chrony, 0, and(movesTo(2*86400), hosts), CannotTell, false},
		{"old means goes on", inventory.Chrony, 0, and(movesTo(86400), func(c *Case, _ *inventory.Means) { c.Client.Means[0].Last = now - 3 }), Answered, true},

		{"off", inventory.Chrony, 0, quiet(7201), SwitchedOff, true},
		{"off, not yet", inventory.Chrony, 0, quiet(7200), CannotTell, false},
		{"off, of a long poll", inventory.Chrony, 0, and(interval(1024*time.Second), quiet(20*1024)), CannotTell, false},
		{"off, of a long poll, for certain", inventory.Chrony, 0, and(interval(1024*time.Second), quiet(20*1024+1)), SwitchedOff, true},
		{"ntpd off", ntpd, 0, and(follows(ours, poll), quiet(8000)), SwitchedOff, true},
		{"openntpd after an alarm", inventory.OpenNTPD, 0, quiet(3300), CannotTell, false},
		{"ntpsec without cookies", inventory.Ntpsec, 0, and(kind(ntp.KindNTS), quiet(4096)), CannotTell, false},
		{"chrony waits after failed NTS-KE", inventory.Chrony, 0, and(kind(ntp.KindNTS), quiet(9000), func(c *Case, _ *inventory.Means) {
			c.Client.KE = inventory.KeyExchange{Failures: 3, Last: now - 9000, Result: inventory.HandshakeTLS}
		}), CannotTell, false},
		{"silence began in a refusal", inventory.Chrony, 0, and(quiet(86400), refused(now-86400, 0)), CannotTell, false},
		{"silence began after one", inventory.Chrony, 0, and(quiet(86400), refused(now-90000, now-86400-5*poll)), CannotTell, false},
		{"silence began long after one", inventory.Chrony, 0, and(quiet(86400), refused(now-200000, now-100000)), SwitchedOff, true},
		{"last request was not answered", inventory.Chrony, 1, quiet(86400), CannotTell, false},
		{"not watched", inventory.Chrony, 0, and(quiet(86400), func(c *Case, _ *inventory.Means) { c.Watched = now - 3600 }), CannotTell, false},
		{"cron's ntpdate", inventory.Ntpdate, 0, and(interval(0), quiet(86400)), CannotTell, false},
		{"cron's rdate", inventory.SNTP, 0, and(interval(time.Hour), quiet(30*86400)), CannotTell, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			got := Judge(world(x.program, x.unanswered, x.change), 0)
			if got.Verdict != x.want || got.Certain != x.certain {
				t.Errorf("%v, certain %v, want %v, %v: %s", got.Verdict, got.Certain, x.want, x.certain, got.Evidence)
			}
			if got.Evidence == "" {
				t.Error("no evidence")
			}
		})
	}
}

// TestNeverOffAfterRefusal goes through all programs, silences and refusals:
// a silence that began in a refusal is never called "switched off".
func TestNeverOffAfterRefusal(t *testing.T) {
	for _, program := range []string{"", inventory.Chrony, inventory.Ntpd, inventory.Ntpsec, inventory.NtpdRs, inventory.OpenNTPD,
		inventory.Timesyncd, inventory.Busybox, inventory.W32time, inventory.SNTP} {
		for _, unanswered := range []uint16{0, 1, 3, 8, 40} {
			for _, silence := range []uint32{60, 3000, 7300, 86400, 20 * 86400} {
				for _, k := range []ntp.Kind{ntp.KindNone, ntp.KindSymmetric, ntp.KindAutokey, ntp.KindNTS} {
					c := world(program, unanswered, and(kind(k), follows(ours, 100), quiet(silence), refused(now-silence-1, 0)))
					if got := Judge(c, 0); got.Verdict == SwitchedOff {
						t.Errorf("%s, %d losses, silent for %d s: %s", program, unanswered, silence, got.Evidence)
					}
				}
			}
		}
	}
}

func TestVerdictNames(t *testing.T) {
	seen := map[string]bool{}
	for v := range verdicts + 1 {
		if seen[v.String()] || v.String() == "" {
			t.Errorf("%d is called %q", v, v)
		}
		seen[fmt.Sprint(v)] = true
	}
}
