package silence

import (
	"fmt"
	"time"

	"ntsbridge/bridge/ntp"
)

// ntpd judges ntpd 4.2, which tells whom it follows in each request.
func (j *judging) ntpd() (Judgement, bool) {
	up := &j.Client.Upstream
	switch {
	case j.Client.Hosts > 1 || j.polls(j.since(j.m.Last), movedPolls):
		return Judgement{}, false // what it told is old, or another's
	case !up.Told || up.Reference == 0:
		return j.unknown("ntpd was not synchronised yet: it has just started"), true
	case up.Leap == ntp.LeapUnknown && (up.Stratum == 0 || up.Stratum >= 16):
		return Judgement{Verdict: Hurt, Certain: true, Since: up.Reference,
			Evidence: "ntpd says itself that it is not synchronised any more (leap indicator 3, no stratum)"}, true
	case j.poll == 0:
		return j.unknown("its poll interval is not known yet"), true
	}
	age := j.m.Last - min(up.Reference, j.m.Last)
	words := fmt.Sprintf("its clock was set %v before its last request, %d polls of %v",
		time.Duration(age)*time.Second, age/j.poll, j.m.Interval)
	if j.Ours != nil && j.Ours(up.RefID) {
		return j.ntpdOurs(age, words), true
	}
	return j.ntpdAnother(age, words), true
}

// ntpdOurs judges an ntpd that says that it follows this server.
func (j *judging) ntpdOurs(age uint32, words string) Judgement {
	recent := j.m.Unanswered == 0 && j.since(j.m.Served) <= returnTime
	switch {
	case !j.polls(age, followPolls):
		return Judgement{Verdict: FollowsUs, Certain: true, Evidence: "it follows this server; " + words, Since: j.m.First}
	case recent && !j.polls(age, returnPolls):
		return j.unknown("it was answered again less than a minute ago, and has to fill its filter; %s", words)
	case !j.polls(age, hurtPolls):
		return j.unknown("it followed this server last; %s: more than %d, and not yet more than %d", words, followPolls, hurtPolls)
	case j.m.Unanswered == 0:
		return j.unknown("it is answered, and does not use the answers; %s", words)
	}
	return Judgement{Verdict: Hurt, Since: j.Client.Upstream.Reference, Certain: j.m.Unanswered >= lostPolls,
		Evidence: "it followed this server, and nobody since; " + words}
}

// ntpdAnother judges an ntpd that says that it follows another server.
func (j *judging) ntpdAnother(age uint32, words string) Judgement {
	switch {
	case j.polls(age, anotherPolls):
		return j.unknown("it follows another server, of a longer poll, or nobody any more; %s", words)
	case j.m.Unanswered < lostPolls:
		return Judgement{Verdict: HasAnother, Certain: true, Evidence: "it follows another server; " + words, Since: j.m.First}
	case j.Before != nil && j.Before.Upstream.Told && j.Before.Upstream.RefID == j.Client.Upstream.RefID:
		return Judgement{Verdict: HasAnother, Certain: true, Since: j.Before.First,
			Evidence: "it follows the server that it followed before it was refused; " + words}
	}
	return Judgement{Verdict: FailedOver, Certain: j.Before != nil && j.Before.Upstream.Told, Since: j.m.Served,
		Evidence: "it follows another server now; " + words}
}

// ntpdrs judges ntpd-rs without NTS.
func (j *judging) ntpdrs() (Judgement, bool) {
	quiet := j.since(j.m.Last)
	switch {
	case j.m.Kisses > 0 && j.m.Last <= j.m.Kissed+j.poll && j.polls(quiet, lostPolls):
		return Judgement{Verdict: Hurt, Certain: true, Since: j.m.Kissed,
			Evidence: "it stopped asking after a kiss: ntpd-rs without NTS does not come back until it is restarted"}, true
	case j.m.Unanswered >= lostPolls && j.m.Interval == ntpdrsFirst*time.Second && j.slowerBefore():
		return Judgement{Verdict: LostUs, Certain: true, Since: j.m.Served,
			Evidence: "it made its source anew after 8 losses: its poll is back at 16 s"}, true
	case j.m.Unanswered >= lostPolls && j.m.Interval == ntpdrsFirst*time.Second:
		return Judgement{Verdict: LostUs, Since: j.m.Served,
			Evidence: "8 losses, and a poll of 16 s: it made its source anew, unless it was restarted or always polled so"}, true
	}
	return Judgement{}, false
}

// chrony judges chronyd by how fast it asks less often: after each loss of the
// source that it follows it goes a tenth of the way to the next longer poll, of
// any other a fourth. Two steps within seven losses are too many for the one that
// it follows, wherever it had been on the way. What it shows later is in Climb. At
// its longest poll it shows nothing, and it never shows for certain that it has
// nobody.
func (j *judging) chrony() (Judgement, bool) {
	if j.Climb.HasAnother() && j.m.Unanswered > 0 {
		return Judgement{Verdict: HasAnother, Certain: true, Since: j.m.Served,
			Evidence: "it follows this server still, which chrony does with a silent one only while another answers: its poll grows once in " +
				"ten losses, not in four"}, true
	}
	if j.m.Unanswered == 0 || j.m.Unanswered >= lostPolls || j.m.Interval < 4*j.intervalBefore() || j.intervalBefore() == 0 {
		return Judgement{}, false
	}
	return Judgement{Verdict: HasAnother, Certain: true, Since: j.m.Served,
		Evidence: fmt.Sprintf("its poll went from %v to %v within %d losses: chrony does that with a source that it does not follow",
			j.intervalBefore(), j.m.Interval, j.m.Unanswered)}, true
}

// intervalBefore is the poll of the means when the refusal began, 0: not known.
func (j *judging) intervalBefore() time.Duration {
	if j.Before == nil {
		return 0
	}
	for i := range j.Before.Means {
		if b := &j.Before.Means[i]; b.Kind == j.m.Kind && b.Key == j.m.Key {
			return b.Interval
		}
	}
	return 0
}

// slowerBefore reports whether the means had a longer poll when the refusal
// began.
func (j *judging) slowerBefore() bool { return j.intervalBefore() > j.m.Interval }

// timesyncd judges systemd-timesyncd, which goes to its next server for good
// after three losses or one kiss.
func (j *judging) timesyncd() (Judgement, bool) {
	quiet := j.since(j.m.Last)
	losses := j.m.Unanswered >= timesyncdTry
	kissed := j.m.Kisses > 0 && j.m.Last <= j.m.Kissed+1
	if !losses && !kissed || quiet <= max(timesyncdLong, 2*j.poll) {
		return Judgement{}, false
	}
	what := fmt.Sprintf("silent after %d losses", j.m.Unanswered)
	if kissed {
		what = "silent after a kiss"
	}
	return Judgement{Verdict: FailedOver, Since: j.m.Last, Certain: j.refusedAt(j.m.Last) || kissed,
		Evidence: what + ": systemd-timesyncd asks its next server then, and does not come back while that one answers"}, true
}

// nts judges a client of NTS, which has eight cookies.
func (j *judging) nts() (Judgement, bool) {
	ke := &j.Client.KE
	if j.m.Unanswered < lostPolls || ke.Last < j.m.Served {
		return Judgement{}, false
	}
	certain := j.m.Answered > 0 && !j.polls(ke.Last-min(ke.Last, j.m.Last), keyPolls)
	if failed := ke.Result; ke.Last >= j.m.Last && failed != 0 && failed.String() != "agreed" {
		return Judgement{Verdict: Hurt, Certain: certain, Since: j.m.Served,
			Evidence: fmt.Sprintf("its cookies are used up after %d losses, and NTS-KE failed (%v)", j.m.Unanswered, failed)}, true
	}
	if ke.Last >= j.m.Last {
		return Judgement{Verdict: OutOfCookies, Certain: certain, Since: ke.Last,
			Evidence: fmt.Sprintf("NTS-KE after %d losses: its cookies were used up", j.m.Unanswered)}, true
	}
	return Judgement{}, false
}
