package silence

import (
	"fmt"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// moved finds a legacy client that is a client of NTS by now.
func (j *judging) moved() (Judgement, bool) {
	if j.m.Kind == ntp.KindNTS || j.Client.KE.Handshakes == 0 {
		return Judgement{}, false
	}
	nts := -1
	longest := j.poll
	for i := range j.Client.Means {
		if m := &j.Client.Means[i]; m.Kind == ntp.KindNTS && m.Proved && m.Last > j.m.Last {
			longest = max(longest, uint32(m.Interval/time.Second))
			if nts < 0 || m.Last > j.Client.Means[nts].Last {
				nts = i
			}
		}
	}
	if nts < 0 || longest == 0 {
		return Judgement{}, false
	}
	quiet := j.since(j.m.Last)
	if quiet <= movedPolls*longest {
		return Judgement{}, false
	}
	words := fmt.Sprintf("NTS packets since %v, and none by the old means for %v",
		time.Duration(j.since(j.Client.Means[nts].First))*time.Second, time.Duration(quiet)*time.Second)
	switch {
	case j.Client.Hosts > 1 || j.Client.Addresses > 1:
		return j.unknown("%s; but several hosts are behind the address", words), true
	case j.since(j.Client.Means[nts].Last) > offPolls*longest:
		return j.unknown("it came by NTS, and is silent now by every means"), true
	case quiet < natWait:
		return Judgement{Verdict: Moved, Since: j.m.Last, Again: j.m.Last + natWait,
			Evidence: words + "; certain after 24 h: it may be a trial beside the old one, or another host"}, true
	}
	return Judgement{Verdict: Moved, Certain: true, Since: j.m.Last, Evidence: words}, true
}

// gone finds a client that was switched off.
func (j *judging) gone() (Judgement, bool) {
	least := max(offPolls*j.poll, offLeast)
	quiet := j.since(j.Client.Last)
	if quiet <= least {
		return Judgement{}, false
	}
	long := time.Duration(quiet) * time.Second
	// What is known of the program goes before.
	if result, ok := j.byProgramGone(); ok {
		return result, true
	}
	switch {
	case j.Watched > j.Client.Last:
		return j.unknown("nothing at all for %v, but the inventory was not watching all the time", long), true
	case j.refusedAt(j.m.Last) || j.refusedAt(j.Client.Last):
		return j.unknown("nothing at all for %v, but the silence began in a refusal", long), true
	case j.m.Unanswered > 0:
		return j.unknown("nothing at all for %v, but its last request was not answered", long), true
	case j.poll == 0 || oneShot(j.m.Program):
		return j.unknown("nothing at all for %v, but it may be a program that asks once when it is called", long), true
	case j.m.Kind == ntp.KindNTS && j.Client.KE.Failures > 0 && j.Client.KE.Result != inventory.HandshakeAgreed:
		return j.unknown("nothing at all for %v, but NTS-KE failed last, and clients wait for long after that", long), true
	}
	return Judgement{Verdict: SwitchedOff, Certain: true, Since: j.Client.Last,
		Evidence: fmt.Sprintf("nothing at all for %v; its last request was answered", long)}, true
}

// byProgramGone are the silences that have a better explanation.
func (j *judging) byProgramGone() (Judgement, bool) {
	switch {
	case j.m.Kind != ntp.KindNTS && j.m.Program == inventory.NtpdRs && j.m.Kisses > 0:
		return j.ntpdrs()
	case j.m.Program == inventory.Timesyncd:
		return j.timesyncd()
	}
	return Judgement{}, false
}

// oneShot are programs that cron or people start.
func oneShot(program string) bool {
	switch program {
	case inventory.Ntpdate, inventory.Sntp, inventory.Ntpdig, inventory.SNTP, inventory.Arduino:
		return true
	}
	return false
}

// silent is a silence that is too short to be called anything.
func (j *judging) silent() (Judgement, bool) {
	quiet := j.since(j.m.Last)
	if j.poll == 0 || !j.polls(quiet, movedPolls) {
		return Judgement{}, false
	}
	last := "answered"
	if j.m.Unanswered > 0 {
		last = "not answered"
	}
	result := j.unknown("silent for %v by this means, %d polls; its last request was %s", time.Duration(quiet)*time.Second,
		quiet/j.poll, last)
	if !j.refusedAt(j.m.Last) {
		result.Again = j.Client.Last + max(offPolls*j.poll, offLeast) + 1
	}
	return result, true
}
