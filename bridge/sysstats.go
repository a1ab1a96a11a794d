package bridge

import (
	"time"

	"ntsbridge/bridge/follow/statlog"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
)

// systemStatistics writes the counters of the server each hour, as ntpd does:
// what came since the last line.
type systemStatistics struct {
	began, next time.Time
	last        statlog.System
}

const statisticsInterval = time.Hour

// write writes a line when it is time.
func (s *systemStatistics) write(now time.Time, to *statlog.Log, c func() *server.Counters) {
	if s.began.IsZero() {
		s.began, s.next = now, now.Add(statisticsInterval)
	}
	if to == nil || now.Before(s.next) {
		return
	}
	s.next = now.Add(statisticsInterval)
	sum := systemLine(c())
	line := sum
	line.At, line.Uptime = now, now.Sub(s.began)
	for _, f := range []struct{ line, last *uint64 }{
		{&line.Received, &s.last.Received}, {&line.Answered, &s.last.Answered}, {&line.Current, &s.last.Current},
		{&line.Older, &s.last.Older},
		{&line.Denied, &s.last.Denied}, {&line.BadForm, &s.last.BadForm}, {&line.BadAuth, &s.last.BadAuth},
		{&line.Declined, &s.last.Declined}, {&line.Limited, &s.last.Limited}, {&line.Kissed, &s.last.Kissed},
	} {
		*f.line -= min(*f.last, *f.line)
	}
	s.last = sum
	to.System(&line)
}

// systemLine sorts what a server counted by ntpd's words.
func systemLine(c *server.Counters) (s statlog.System) {
	s.Received = c.Received
	for kind := range c.Actions {
		s.Answered += c.Actions[kind][ntp.Answer]
		s.Kissed += c.Actions[kind][ntp.KissRate] + c.Actions[kind][ntp.KissDeny] + c.Actions[kind][ntp.KissRestrict]
		for version := range c.Packets[kind] {
			for reason, n := range c.Packets[kind][version] {
				if version == 4 {
					s.Current += n
				} else {
					s.Older += n
				}
				switch ntp.Reason(reason) {
				case ntp.ReasonShort, ntp.ReasonMalformed, ntp.ReasonVersion, ntp.ReasonMode, ntp.ReasonBadField:
					s.BadForm += n
				case ntp.ReasonDenied, ntp.ReasonAuthRequired, ntp.ReasonMulticastSource:
					s.Denied += n
				case ntp.ReasonRateLimited:
					s.Limited += n
				case ntp.ReasonUnknownKey, ntp.ReasonKeyAddress, ntp.ReasonBadMAC, ntp.ReasonUnknownCookie, ntp.ReasonBadAuthenticator,
					ntp.ReasonCryptoNAK, ntp.ReasonNTPDCookie:
					s.BadAuth += n
				case ntp.ReasonNotEnabled, ntp.ReasonBudget, ntp.ReasonTooLarge:
					s.Declined += n
				}
			}
		}
	}
	return s
}
