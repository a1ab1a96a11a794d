package config

import (
	"fmt"
	"maps"
	"strings"
)

// judge gathers what is wrong with a whole configuration.
type judge struct {
	origins  origins
	bad      map[string]bool // paths that could not even be read
	problems Problems
	file     string // for what stands nowhere
}

// newJudge begins with what the texts say.
func newJudge(trees []*Tree) *judge {
	j := &judge{origins: make(origins), bad: make(map[string]bool)}
	for i, t := range trees {
		if i == 0 {
			j.file = t.name
		}
		for path := range t.origins {
			if f, ok := optionAt(path); i > 0 && ok && !isScalar(f.typ) {
				j.forget(path) // a later list replaces it
			}
		}
		maps.Copy(j.origins, t.origins)
		maps.Copy(j.bad, t.bad)
		j.problems = append(j.problems, t.problems...)
	}
	return j
}

// forget drops the items of a list.
func (j *judge) forget(list string) {
	maps.DeleteFunc(j.origins, func(path string, _ Origin) bool { return strings.HasPrefix(path, list+"[") })
	maps.DeleteFunc(j.bad, func(path string, _ bool) bool { return strings.HasPrefix(path, list+"[") })
}

// note notes a problem of an option.
func (j *judge) note(path, format string, args ...any) {
	at := j.origins.of(path)
	if at.File == "" {
		at.File = j.file
	}
	j.problems = append(j.problems, Problem{at.File, at.Line, path, fmt.Sprintf(format, args...)})
}

// refuse notes a problem of meaning, unless something at that place could not
// even be read: then it would only be a consequence.
func (j *judge) refuse(path, format string, args ...any) {
	for bad := range j.bad {
		if within(bad, path) || within(path, bad) {
			return
		}
	}
	j.note(path, format, args...)
}

// within reports whether path is outer or lies inside it.
func within(outer, path string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
