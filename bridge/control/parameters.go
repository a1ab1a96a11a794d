package control

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// parameter is one of the query of a URL.
type parameter struct {
	name, summary string
	kind          string   // of JSON: string, integer, boolean
	many          bool     // it may stand there several times
	words         []string // all that it may be; empty: anything
}

// describe is a parameter as OpenAPI has it.
func (p *parameter) describe() object {
	schema := object{"type": p.kind}
	if len(p.words) > 0 {
		schema["enum"] = p.words
	}
	if p.many {
		schema = object{"type": "array", "items": schema}
	}
	return object{"name": p.name, "in": "query", "description": p.summary, "schema": schema}
}

// checkQuery refuses what the description does not have: a filter with a slip in
// it would answer something else than what was asked.
func (t *route) checkQuery(r *http.Request) error {
	if t.anyQuery {
		return nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badQuery("query", "write % as %25 and ; as %3B", "the query cannot be read: %v", err)
	}
	for name, values := range q {
		i := slices.IndexFunc(t.query, func(p parameter) bool { return p.name == name })
		if i < 0 {
			return badQuery("query", "leave it out; "+t.parameters(), "%s knows no parameter %.40q", t.path, name)
		}
		if err := t.query[i].check(values); err != nil {
			return err
		}
	}
	return nil
}

// parameters tells which there are.
func (t *route) parameters() string {
	if len(t.query) == 0 {
		return "there are none"
	}
	var names []string
	for _, p := range t.query {
		names = append(names, p.name)
	}
	return "there are " + strings.Join(names, ", ")
}

func (p *parameter) check(values []string) error {
	if len(values) > 1 && !p.many {
		return badQuery(p.name, "give it once", "%s is given %d times", p.name, len(values))
	}
	for _, v := range values {
		_, err := strconv.ParseInt(v, 10, 64)
		switch {
		case len(p.words) > 0 && !slices.Contains(p.words, v):
			return badQuery(p.name, "use one of "+strings.Join(p.words, ", "), "%s=%.40q is none of %s", p.name, v,
				strings.Join(p.words, ", "))
		case p.kind == "integer" && v != "" && err != nil:
			return badQuery(p.name, "use digits alone", "%s=%.40q is no number", p.name, v)
		}
	}
	return nil
}

// badQuery is an error of a query of who asks.
func badQuery(place, remedy, format string, args ...any) error {
	return statusError{fmt.Errorf(format, args...), http.StatusBadRequest, place, remedy}
}
