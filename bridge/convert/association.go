package convert

import (
	"cmp"
	"errors"
	"fmt"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"slices"
)

// Association is a source of time as far as it can be compared: how it is
// reached, authenticated, polled and chosen. A reference clock has its unit or
// device for a server, and its driver for a mode.
type Association struct {
	Server, Mode, Auth              string
	Key                             uint32
	MinPoll, MaxPoll                int
	IBurst, Prefer, NoSelect, Trust bool
}

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

// Meaning is what a configuration makes the server do, beside its access
// rules, as far as ntp.conf and chrony.conf can say it.
type Meaning struct {
	Associations []Association
	Broadcasts   []Association // MinPoll and MaxPoll are the interval
	Trusted      string        // keys, as symkey.TrustedSet prints them
	Mode         string        // of the clock
	Stratum      int           // of mode local
	Fallback     int           // stratum without a source; 0: none
}

// ProveMeaning compares a configuration that was read back with what the input
// means. It returns an error if any source or broadcast is missing, added, or
// authenticated, polled or chosen in another way, or if the trusted keys or the
// strata differ.
func (r *Result) ProveMeaning(read Meaning) error {
	want := r.meaning
	if err := sameAssociations("sources", want.Associations, read.Associations); err != nil {
		return err
	}
	if err := sameAssociations("broadcasts", want.Broadcasts, read.Broadcasts); err != nil {
		return err
	}
	switch {
	case want.Trusted != read.Trusted:
		return fmt.Errorf("the result trusts the keys %q, and the input %q; %w", read.Trusted, want.Trusted, errMistake)
	case want.Mode != read.Mode || want.Mode == "local" && want.Stratum != read.Stratum || want.Fallback != read.Fallback:
		return fmt.Errorf("the result has clock.mode %s with the strata %d and %d, and the input means %s with %d and %d; %w",
			read.Mode, read.Stratum, read.Fallback, want.Mode, want.Stratum, want.Fallback, errMistake)
	}
	return nil
}

// errMistake says that the converter contradicts itself.
var errMistake = errors.New("nothing is written; this is a mistake of ntsbridge, please report it")

func sameAssociations(what string, want, got []Association) error {
	want, got = slices.Clone(want), slices.Clone(got)
	for _, list := range [][]Association{want, got} {
		slices.SortFunc(list, func(a, b Association) int {
			return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Mode, b.Mode), cmp.Compare(a.Auth, b.Auth))
		})
	}
	for i, a := range want {
		if i >= len(got) || got[i] != a {
			return fmt.Errorf("the %s of the result are not those of the input, from %s on; %w", what, spell.Printable(a.Server), errMistake)
		}
	}
	if len(got) > len(want) {
		return fmt.Errorf("the result has %d %s more than the input; %w", len(got)-len(want), what, errMistake)
	}
	return nil
}
