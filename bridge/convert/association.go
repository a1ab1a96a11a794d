package convert

import (
	"ntsbridge/bridge/convert/report"
)

// compareSources makes the account.
func (c *conversion) compareSources() {
	s := &report.SourceComparison{Followed: c.model.followed}
	for _, src := range c.model.sources {
		if src.refclock != nil && src.refclock.driver == localDriver {
			continue
		}
		s.Configured++
		if src.left == "" {
			s.Written++
		} else {
			s.LeftOut = append(s.LeftOut, c.leftOut(src))
		}
	}
	c.report.Sources = s
}
