package keyring

import (
	"strings"

	"ntsbridge/bridge/access"
)

// Without returns the ranges of keys.trusted without a key; named is false if
// they are not about single keys, or do not have it.
func Without(list []access.KeyRange, id uint32) (left []access.KeyRange, named bool) {
	for _, r := range list {
		switch {
		case r == access.AllKeys:
			return list, false
		case id < r.Low || id > r.High:
			left = append(left, r)
			continue
		}
		named = true
		if r.Low < id {
			left = append(left, access.KeyRange{Low: r.Low, High: id - 1})
		}
		if id < r.High {
			left = append(left, access.KeyRange{Low: id + 1, High: r.High})
		}
	}
	return left, named
}

// Ranges returns ranges as a configuration has them.
func Ranges(list []access.KeyRange) string {
	words := make([]string, len(list))
	for i, r := range list {
		words[i] = r.String()
	}
	return strings.Join(words, ", ")
}
