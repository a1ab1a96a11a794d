package silence

import (
	"fmt"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// Verdict is what is to be thought of a client.
type Verdict uint8

// The verdicts; the package comment has their criteria.
const (
	CannotTell Verdict = iota
	Answered
	FollowsUs
	HasAnother
	FailedOver
	LostUs
	Hurt
	OutOfCookies
	Moved
	SwitchedOff
	verdicts
)

var verdictNames = [verdicts]string{"cannot be told", "answered", "follows us", "has another server", "failed over", "lost us", "hurt",
	"out of cookies", "moved to NTS", "switched off"}

// String returns the verdict in words.
func (v Verdict) String() string {
	if v < verdicts {
		return verdictNames[v]
	}
	return "invalid"
}

// Alternative reports whether a client with this verdict has time from
// elsewhere, or from us by NTS: it does not lose anything by a refusal.
func (v Verdict) Alternative() bool { return v == HasAnother || v == FailedOver || v == Moved }

// Judgement is a verdict with its evidence.
type Judgement struct {
	Verdict Verdict
	// Certain is false where the survey names a false alarm that is not excluded
	// yet; Evidence says which.
	Certain  bool
	Evidence string
	// Since is when what the verdict says began, seconds since 1970; 0: not known.
	Since uint32
	// Again is when it is worth to judge again; 0: when something new is seen.
	Again uint32
}

// Span is a time in which a client was refused, seconds since 1970. To is 0
// while it goes on.
type Span struct{ From, To uint32 }

// The limits of the survey, in polls but for those that say otherwise.
const (
	lostPolls     = 8  // unanswered in a row: nobody shows anything before
	followPolls   = 12 // R of an ntpd that follows us, at most
	anotherPolls  = 16 // R of an ntpd that follows another
	hurtPolls     = 32 // R of an ntpd that nobody serves, more than; see the package comment
	returnPolls   = 52 // R just after an answer came again
	movedPolls    = 4
	offPolls      = 20
	offLeast      = 2 * 3600 // s
	keyPolls      = 2        // from the last loss to NTS-KE
	afterPolls    = 12       // after a refusal, in which its effects show
	ntpdrsFirst   = 16       // s, ntpd-rs's first poll
	timesyncdTry  = 3        // losses until it goes to its next server
	timesyncdLong = 47       // s, how long they take
	natWait       = 24 * 3600
	returnTime    = 60 // s, in which R says nothing after an answer came again
)

// Case is what a judgement rests on.
type Case struct {
	Client *inventory.Client
	// Before is the same client when the refusal began, to compare with; nil: not
	// known.
	Before  *inventory.Client
	Refused []Span // when the means was refused, in order
	Climb   *Climb // of a chronyd that was looked at while it was refused; nil: none
	Now     uint32 // seconds since 1970
	Watched uint32 // since when the inventory has watched without a gap
	// Ours reports whether a reference identifier is that of an address of ours.
	Ours func(refid uint32) bool
}

// Judge judges one means, by its place in Client.Means.
func Judge(c *Case, means int) Judgement {
	j := judging{Case: c, m: &c.Client.Means[means], at: means}
	j.poll = uint32(j.m.Interval / time.Second)
	for _, step := range []func() (Judgement, bool){j.moved, j.gone, j.several, j.byProgram, j.silent} {
		if result, ok := step(); ok {
			return result
		}
	}
	if j.m.Unanswered == 0 {
		return Judgement{Verdict: Answered, Certain: true, Evidence: "it asks, and shows no other server", Since: j.m.Served}
	}
	return j.unknown("%d unanswered in a row; %s looks alike whether it has another server or not", j.m.Unanswered, j.program())
}

// judging is one judgement at work.
type judging struct {
	*Case
	m    *inventory.Means
	at   int
	poll uint32 // s, 0: not known
}

func (j *judging) unknown(format string, values ...any) Judgement {
	return Judgement{Verdict: CannotTell, Evidence: fmt.Sprintf(format, values...)}
}

func (j *judging) program() string {
	if j.m.Program == "" {
		return "a client of an unknown program"
	}
	return j.m.Program
}

// Shows tells whether a client would show in its packets that it is hurt, or by
// its silence that it has gone elsewhere: classic ntpd, which says in each whom
// it follows, systemd-timesyncd, and clients of NTS.
// The others ask on alike whether they have time from elsewhere or from nobody.
func Shows(c *inventory.Client, means int) bool {
	m := &c.Means[means]
	switch {
	case m.Kind == ntp.KindNTS:
		return true
	case max(c.Hosts, c.Addresses) > 1:
		return false // one host's packets say nothing of the others
	}
	return m.Program == inventory.Ntpd && c.Upstream.Told || m.Program == inventory.Timesyncd
}

// byProgram asks what is known of the client's program.
func (j *judging) byProgram() (Judgement, bool) {
	switch {
	case j.m.Kind == ntp.KindNTS:
		return j.nts()
	case j.m.Program == inventory.Ntpd:
		return j.ntpd()
	case j.m.Program == inventory.NtpdRs:
		return j.ntpdrs()
	case j.m.Program == inventory.Chrony:
		return j.chrony()
	case j.m.Program == inventory.Timesyncd:
		return j.timesyncd()
	}
	return Judgement{}, false
}

// since returns how long ago a time was, 0 if it is to come.
func (j *judging) since(t uint32) uint32 { return j.Now - min(t, j.Now) }

// polls tells whether a time is longer than so many polls; false if the poll
// is not known.
func (j *judging) polls(seconds, n uint32) bool {
	return j.poll > 0 && uint64(seconds) > uint64(n)*uint64(j.poll)
}

// refusedAt reports whether a time lies in a refusal or in its after-effects.
func (j *judging) refusedAt(t uint32) bool {
	for _, s := range j.Refused {
		// The last request before a refusal was answered as any other: the silence
		// begins with the next one, within two polls.
		begins := s.From - min(s.From, 2*j.poll)
		if t >= begins && (s.To == 0 || t <= s.To+afterPolls*j.poll) {
			return true
		}
	}
	return false
}

// several stops where the last request of one host would judge others.
func (j *judging) several() (Judgement, bool) {
	if n := max(j.Client.Hosts, j.Client.Addresses); n > 1 && j.m.Unanswered > 0 {
		return j.unknown("at least %d hosts are behind the address: what one shows says nothing of the others", n), true
	}
	return Judgement{}, false
}
