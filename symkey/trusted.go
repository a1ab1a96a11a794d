package symkey

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// TrustedSet is an immutable set of key identifiers, ntpd's trustedkey. The
// zero value is empty: nothing is trusted.
type TrustedSet struct {
	all    bool
	ranges []idRange // sorted, not overlapping and not adjacent
}

// idRange is low to high, both included.
type idRange struct{ low, high uint32 }

// TrustAll is the set of all identifiers: chronyd trusts every key in its file.
var TrustAll = TrustedSet{all: true}

// ParseTrusted reads key identifiers, 1 to 2^32-1, and ranges of them. Each
// item holds any number of "7", "1-9" and ntpd's "1 ... 9" (ntp.conf(5),
// trustedkey); blanks around the dots may be left out, parentheses around a
// range may be there, commas may separate. A range may also be spread over
// three items, as the words of a line. No item gives the empty set.
func ParseTrusted(items []string) (TrustedSet, error) {
	text := strings.Join(items, " ")
	text = strings.NewReplacer("...", " - ", "-", " - ", "(", " ", ")", " ", ",", " ").Replace(text)
	words := strings.Fields(text)
	var ranges []idRange
	for i := 0; i < len(words); {
		low, err := parseID(words[i])
		if err != nil {
			return TrustedSet{}, err
		}
		r := idRange{low, low}
		i++
		if i < len(words) && words[i] == "-" {
			if i+1 == len(words) {
				return TrustedSet{}, fmt.Errorf("trusted keys: range %d - has no end; write it as %d-%d", low, low, low)
			}
			if r.high, err = parseID(words[i+1]); err != nil {
				return TrustedSet{}, err
			}
			i += 2
		}
		if r.high < r.low {
			return TrustedSet{}, fmt.Errorf("trusted keys: range %d-%d runs backwards; write it as %d-%d", r.low, r.high, r.high, r.low)
		}
		ranges = append(ranges, r)
	}
	return TrustedSet{ranges: merge(ranges)}, nil
}

func parseID(word string) (uint32, error) {
	id, err := strconv.ParseUint(word, 10, 32)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, fmt.Errorf("trusted keys: %.20q is not a key identifier; write numbers and ranges such as 7 or 1-9", word)
	}
	if err != nil || id == 0 {
		return 0, fmt.Errorf("trusted keys: %.20q is out of range; key identifiers are 1 to 4294967295", word)
	}
	return uint32(id), nil
}

// merge sorts ranges and joins those that touch.
func merge(ranges []idRange) []idRange {
	slices.SortFunc(ranges, func(a, b idRange) int { return cmp.Compare(a.low, b.low) })
	var out []idRange
	for _, r := range ranges {
		if n := len(out); n > 0 && uint64(r.low) <= uint64(out[n-1].high)+1 {
			out[n-1].high = max(out[n-1].high, r.high)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Contains reports whether id is in the set. The identifier 0 never is.
func (t TrustedSet) Contains(id uint32) bool {
	if t.all || id == 0 {
		return id != 0
	}
	_, found := slices.BinarySearchFunc(t.ranges, id, func(r idRange, id uint32) int {
		switch {
		case r.high < id:
			return -1
		case r.low > id:
			return 1
		}
		return 0
	})
	return found
}

// String writes the set so that ParseTrusted reads it, such as "1-9 12"; the
// set of all is "all", which ParseTrusted does not read.
func (t TrustedSet) String() string {
	if t.all {
		return "all"
	}
	var words []string
	for _, r := range t.ranges {
		word := strconv.FormatUint(uint64(r.low), 10)
		if r.high > r.low {
			word += "-" + strconv.FormatUint(uint64(r.high), 10)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
