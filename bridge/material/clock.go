package material

import (
	"fmt"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
)

// clock says what time is served.
func (k *loader) clock() {
	c := &k.config.Clock
	if c.Mode == config.ClockDiscipline {
		k.discipline()
		return
	}
	if c.Mode == config.ClockLocal {
		k.Clock = fmt.Sprintf("system clock whatever its state, stratum %d, reference %v", c.Stratum, c.RefID)
		if c.Stratum < 5 {
			k.find(Warning, "clock.stratum", "stratum %d is claimed for a clock that nothing checks; write 10 or more", c.Stratum)
		}
		return
	}
	k.Clock = fmt.Sprintf("system clock while the kernel calls it synchronised (error up to %s), stratum %d, reference %v",
		config.FormatDuration(c.MaxError), c.Stratum, c.RefID)
	if c.FallbackStratum > 0 {
		k.Clock += fmt.Sprintf("; otherwise as it is, stratum %d", c.FallbackStratum)
	}
}

// discipline says what the clock will follow.
func (k *loader) discipline() {
	c := &k.config.Clock
	var authenticated, others int
	for i := range k.config.Sources {
		s := &k.config.Sources[i]
		if s.NoSelect {
			continue
		}
		n := 1
		if s.Mode == config.ModePool {
			n = s.MaxSources
		}
		if s.Auth == ntp.KindSymmetric || s.Auth == ntp.KindNTS {
			authenticated += n
		} else {
			others += n
		}
	}
	clocks := 0
	for i := range k.config.ReferenceClocks {
		if r := &k.config.ReferenceClocks[i]; !r.NoSelect && !r.Local {
			clocks++
		}
	}
	k.Clock = fmt.Sprintf("system clock, set and steered by this daemon: %d authenticated sources, %d others, %d reference clocks",
		authenticated, others, clocks)
	total := authenticated + others + clocks
	if total == 0 { // nor an error of the configuration: there is a fallback
		k.Clock = fmt.Sprintf("system clock, set by hand (ntsbridge settime): there is no source, and it is served as it is, stratum %d",
			c.FallbackStratum)
		return
	}
	if total < c.MinSources {
		k.find(NotServed, "clock.min_sources", "%d sources must agree and there are %d; lower it, or add sources", c.MinSources, total)
	} else if total == 2 {
		k.find(Warning, "sources",
			"of two sources that disagree nobody can tell the wrong one: then the clock follows neither; add a third, or four")
	}
	if authenticated == 0 && clocks == 0 {
		k.find(Warning, "sources",
			"no source is authenticated: whoever can forge packets can set the clock; use auth: nts or a symmetric key")
	}
	if c.AuthSelect == "require" && authenticated == 0 && clocks == 0 {
		k.find(NotServed, "clock.auth_select", "require needs an authenticated source, and there is none; add one, or write mix")
	}
	if c.FallbackStratum > 0 {
		k.Clock += fmt.Sprintf("; without them as it is, stratum %d", c.FallbackStratum)
	}
}
