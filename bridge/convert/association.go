package convert

import (
	"cmp"
	"fmt"
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

// LeftOut is a source that is not in the output.
type LeftOut struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Source string `json:"source"`
	Why    string `json:"why"`
}

// SourceComparison is the account of the sources: each that the daemon was
// told of is followed, or left out for a reason.
type SourceComparison struct {
	Configured int       `json:"configured"` // lines, but those of the local clock
	Written    int       `json:"written"`
	Followed   int       `json:"followed"` // of those written, what the clock may follow
	LeftOut    []LeftOut `json:"left_out,omitempty"`
}

// verdict says the result in words.
func (s *SourceComparison) verdict() string {
	text := fmt.Sprintf("%d of %d are in the output, %d can be followed", s.Written, s.Configured, s.Followed)
	if len(s.LeftOut) > 0 {
		return text + ": read why others are left out"
	}
	return text
}

// compareSources makes the account.
func (c *conversion) compareSources() {
	s := &SourceComparison{Followed: c.model.followed}
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

// ProveSources compares the sources of a configuration that was read back with
// those of the input. It returns an error if any is missing, added, or
// authenticated, polled or chosen in another way than the input says.
func (r *Result) ProveSources(written []Association) error {
	want, got := slices.Clone(r.associations), slices.Clone(written)
	for _, list := range [][]Association{want, got} {
		slices.SortFunc(list, func(a, b Association) int {
			return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Mode, b.Mode), cmp.Compare(a.Auth, b.Auth))
		})
	}
	if slices.Equal(want, got) {
		return nil
	}
	for i, a := range want {
		if i >= len(got) || got[i] != a {
			return fmt.Errorf("the sources of the result are not those of the input, from %s on, and nothing is written; this is a mistake of ntsbridge, please report it", a.Server)
		}
	}
	return fmt.Errorf("the result has %d sources more than the input, and nothing is written; this is a mistake of ntsbridge, please report it", len(got)-len(want))
}
