package gate

import (
	"time"

	"ntsbridge/bridge/fleet/plan"
)

func (e *Evaluation) betterMeans(g *plan.Gates) Result {
	if e.members == 0 {
		return e.result(BetterMeans, true, nil, "the group has no client that was seen lately (%d longer ago)", e.away)
	}
	share := float64(e.better) / float64(e.members)
	// Of few clients none may be missing: 99 % of 20 is all of them.
	return e.result(BetterMeans, share >= g.BetterShare, &e.worse,
		"%d of %d clients (%.4g%%) have had better means for %d days, wanted are %.4g%%; %d more were not seen for long",
		e.better, e.members, 100*share, g.BetterDays, 100*g.BetterShare, e.away)
}

func (e *Evaluation) quietDays(g *plan.Gates) Result {
	since := e.days(g.QuietDays)
	if e.watchedSince > since {
		return e.result(QuietDays, false, &e.quiet, "%d clients used %v in the last %d days, of which only %v were watched without a gap",
			e.quiet.n, e.step.Means, g.QuietDays, e.ago(e.watchedSince))
	}
	return e.result(QuietDays, e.quiet.n == 0, &e.quiet, "%d clients used %v in the last %d days", e.quiet.n, e.step.Means, g.QuietDays)
}

func (e *Evaluation) watched(g *plan.Gates) Result {
	if e.watchedSince == 0 || len(e.facts.Watched) == 0 {
		return e.result(Watched, false, nil, "the inventory is not watching")
	}
	return e.result(Watched, e.watchedSince <= e.days(g.WatchedDays), nil,
		"watched for %v without a gap of more than %v, wanted are %d days", e.ago(e.watchedSince), g.LongestGap, g.WatchedDays)
}

func (e *Evaluation) noForgotten(g *plan.Gates) Result {
	full := &e.facts.Full
	if full.LastForgotten == 0 && full.LastMeans == 0 {
		return e.result(NoForgotten, true, nil, "nobody was forgotten for want of room")
	}
	since := e.days(max(g.WatchedDays, g.QuietDays, g.BetterDays, 1))
	last := max(full.LastForgotten, full.LastMeans)
	return e.result(NoForgotten, last < since, nil, "%d clients and %d means were forgotten for want of room, the last one %s: raise fleet.clients",
		full.Forgotten, full.Means, date(last))
}

func (e *Evaluation) anotherServer(g *plan.Gates) Result {
	if g.AnotherServer == plan.AnotherOfMute {
		return e.result(AnotherServer, e.alone.n == 0, &e.alone,
			"of %d clients to be refused %d would not show that they are hurt (chrony, ntpsec, SNTP), and %d of these show no other server and no better means",
			e.refused, e.asked, e.alone.n)
	}
	return e.result(AnotherServer, e.alone.n == 0, &e.alone,
		"of %d clients to be refused %d show no other server and no better means", e.refused, e.alone.n)
}

func (e *Evaluation) headroom(g *plan.Gates) Result {
	if e.facts.Certificate.IsZero() {
		return e.result(KEHeadroom, false, nil, "NTS is off: there is nothing to move to")
	}
	if e.exchanges == 0 {
		return e.result(KEHeadroom, true, nil, "no client that the step refuses uses NTS-KE")
	}
	if e.facts.KECapacity == 0 {
		return e.result(KEHeadroom, false, nil, "how many NTS-KE handshakes a second are possible was not measured yet")
	}
	room := e.facts.KECapacity / e.exchanges
	return e.result(KEHeadroom, room >= g.KEHeadroom, nil,
		"the step may bring %.3g NTS-KE a second, %.3g are possible: %.3g times, wanted are %.3g", e.exchanges, e.facts.KECapacity, room, g.KEHeadroom)
}

func (e *Evaluation) certificate(g *plan.Gates) Result {
	end := e.facts.Certificate
	if end.IsZero() {
		return e.result(KECertificate, false, nil, "NTS is off: there is no certificate")
	}
	left := end.Sub(e.facts.Now.Add(e.step.Takes))
	return e.result(KECertificate, left >= time.Duration(g.CertificateDays)*24*time.Hour, nil,
		"a certificate ends %s, %.1f days after the step, wanted are %d", end.UTC().Format(time.DateOnly), left.Hours()/24, g.CertificateDays)
}

// ContinuousSince returns since when the inventory has watched without a gap
// that is longer than allowed; 0: it is not watching.
func ContinuousSince(watched []Interval, now uint32, gap time.Duration) uint32 {
	longest := uint32(gap / time.Second)
	if n := len(watched); n == 0 || now > watched[n-1].End && now-watched[n-1].End > max(longest, 60) {
		return 0
	}
	at := len(watched) - 1
	for at > 0 && watched[at].Start <= watched[at-1].End+longest {
		at--
	}
	return watched[at].Start
}

func date(t uint32) string { return time.Unix(int64(t), 0).UTC().Format(time.RFC3339) }
