package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/steer"
)

// The paths of the local API that are about the migration.
const (
	pathFleet        = "/v1/fleet"
	pathFleetPlan    = "/v1/fleet/plan"
	pathFleetHistory = "/v1/fleet/history"
)

// maxFleetLen bounds a request about the migration, octets: a plan and more.
const maxFleetLen = 8 << 20

// Fleet is where answers about the migration come from; nil functions say that
// the daemon keeps no inventory, which it rests on.
type Fleet struct {
	Status   func(brief bool) *steer.Status
	Declared func() string
	// Seat tells where a means of what comes from a prefix stands; nil: nowhere.
	Seat func(p netip.Prefix, m plan.Means, key uint32) *steer.Seat
	// Ask does what somebody asks, who is known by the credentials of the socket.
	Ask     func(who string, r *migration.Request) (*migration.Answer, error)
	History func(see func(*history.Entry) error) (history.End, error)
}

// routes are what is answered about the migration.
func (v *Fleet) routes() []*route {
	list := []*route{
		{method: http.MethodGet, path: pathFleet, summary: "Where the migration stands", answers: map[string]any{kindJSON: steer.Status{}},
			query: []parameter{{name: "brief", summary: "without clients, and without what the next steps would be", kind: "string"}},
			serve: v.status},
		{method: http.MethodGet, path: pathFleetPlan, summary: "The text of the declared plan, empty if there is none",
			answers: map[string]any{kindJSON: ""},
			serve:   func(w http.ResponseWriter, r *http.Request) error { return sendValue(w, r, v.Declared()) }},
		{method: http.MethodPost, path: pathFleet, told: true, failed: http.StatusConflict,
			summary: "Check, compare or declare a plan; advance, hold, resume or roll back. check, diff and key-gate need the role read, " +
				"everything else write",
			body: migration.Request{}, bodyMax: maxFleetLen, answers: map[string]any{kindJSON: migration.Answer{}}, serve: v.ask},
		{method: http.MethodGet, path: pathFleetHistory, summary: "What was done and by whom, a line for each entry",
			query: []parameter{
				{name: "limit", summary: "at most so many, 1 to 1000; Link has the next ones. Without limit and cursor: all", kind: "integer"},
				{name: "cursor", summary: "number of the entry behind which to begin", kind: "integer"}},
			answers: map[string]any{kindNDJSON: history.Entry{}}, serve: v.entries},
	}
	for _, t := range list {
		t.role, t.lasting = remote.Read, true
	}
	return served(list, func() bool { return v.Status != nil }, ErrNoInventory)
}

// status sends where the migration stands. Its tag is weak: the time at which
// it was asked is not part of it.
func (v *Fleet) status(w http.ResponseWriter, r *http.Request) error {
	s := *v.Status(r.URL.Query().Has("brief"))
	body, err := json.Marshal(&s)
	if err != nil {
		return err
	}
	s.Time = time.Time{}
	timeless, err := json.Marshal(&s)
	if err != nil {
		return err
	}
	return sendBody(w, r, body, "W/"+strongTag(timeless))
}

// asksOnly are the requests that change nothing.
var asksOnly = []string{migration.Check, migration.Diff, migration.KeyGate}

func (v *Fleet) ask(w http.ResponseWriter, r *http.Request) error {
	var q migration.Request
	if err := readBody(r, &q); err != nil {
		return err
	}
	if !slices.Contains(migration.Words, q.Do) {
		words := strings.Join(migration.Words, ", ")
		return badQuery("do", "use one of "+words, "do %.40q is none of %s", q.Do, words)
	}
	if !slices.Contains(asksOnly, q.Do) && !remote.MayWrite(r.Context()) {
		return statusError{fmt.Errorf("%s may read, and %.40q needs the role write", askerOf(r.Context()), q.Do), http.StatusForbidden,
			"role", "use a token or a certificate that may write"}
	}
	a, err := v.Ask(askerOf(r.Context()), &q)
	if err != nil {
		return err
	}
	return sendValue(w, r, a)
}

// entries sends the history as it is in the file, so that whoever reads it can
// verify it. Entries are only ever added, so that their numbers are cursors.
func (v *Fleet) entries(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if q.Has("limit") || q.Has("cursor") {
		return v.someEntries(w, r)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	begun := false
	_, err := v.History(func(e *history.Entry) error {
		begun = true
		text, err := json.Marshal(e)
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	})
	if err != nil && begun {
		panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
	}
	return err
}

// someEntries sends a part of the history.
func (v *Fleet) someEntries(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	size, after, err := partOfHistory(q)
	if err != nil {
		return badRequest{err}
	}
	var body bytes.Buffer
	out, last, more := json.NewEncoder(&body), after, false
	out.SetEscapeHTML(true) // as in the file
	_, err = v.History(func(e *history.Entry) error {
		if e.Number <= after {
			return nil
		}
		if e.Number > after+size {
			more = true
			return nil
		}
		last = e.Number
		return out.Encode(e)
	})
	if err != nil {
		return err
	}
	if more {
		q.Set("limit", fmt.Sprint(size))
		link(w, r, q, "next", fmt.Sprint(last))
	}
	return sendAs(w, r, kindNDJSON, body.Bytes(), strongTag(body.Bytes()))
}

func partOfHistory(q url.Values) (size, after uint64, err error) {
	size = partDefault
	if s := q.Get("limit"); s != "" {
		if size, err = strconv.ParseUint(s, 10, 32); err != nil || size < 1 || size > report.MaxPart {
			return 0, 0, fmt.Errorf("limit %.40q is no number from 1 to %d", s, report.MaxPart)
		}
	}
	if s := q.Get("cursor"); s != "" {
		if after, err = strconv.ParseUint(s, 10, 63); err != nil {
			return 0, 0, fmt.Errorf("cursor %.40q is not the number of an entry", s)
		}
	}
	return size, after, nil
}

// Fleet returns where the migration stands.
func (c *Client) Fleet() (*steer.Status, error) { return fetch[*steer.Status](c, pathFleet) }

// FleetBrief returns where it stands without the clients of groups, and what is in
// the way of next steps.
func (c *Client) FleetBrief() (*steer.Status, error) {
	return fetch[*steer.Status](c, pathFleet+"?brief")
}

// DeclaredPlan returns the text of the declared plan, empty if there is none.
func (c *Client) DeclaredPlan() (string, error) { return fetch[string](c, pathFleetPlan) }

// AskFleet asks the migration for something.
func (c *Client) AskFleet(r *migration.Request) (*migration.Answer, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := c.stream(context.Background(), http.MethodPost, pathFleet, body, &text); err != nil {
		return nil, err
	}
	var a migration.Answer
	return &a, json.Unmarshal(text.Bytes(), &a)
}

// FleetHistory writes the history, a line for each entry.
func (c *Client) FleetHistory(ctx context.Context, w io.Writer) error {
	return c.stream(ctx, http.MethodGet, pathFleetHistory, nil, w)
}
