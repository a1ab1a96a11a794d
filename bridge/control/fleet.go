package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/migration"
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
	// Ask does what somebody asks, who is known by the credentials of the socket.
	Ask     func(who string, r *migration.Request) (*migration.Answer, error)
	History func(see func(*history.Entry) error) (history.End, error)
}

func (v *Fleet) mount(mux *http.ServeMux, log hclog.Logger) {
	handle := func(pattern string, serve func(w http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			_ = errors.Join(control.SetWriteDeadline(time.Now().Add(streamTime)), control.SetReadDeadline(time.Now().Add(streamTime)))
			err := ErrNoInventory
			if v.Status != nil {
				err = serve(w, r)
			}
			if err != nil {
				log.Debug("answer about the migration", "path", r.URL.Path, "error", err)
				refuse(w, err)
			}
		})
	}
	handle("GET "+pathFleet, func(w http.ResponseWriter, r *http.Request) error {
		return send(w, v.Status(r.URL.Query().Has("brief")), nil)
	})
	handle("GET "+pathFleetPlan, func(w http.ResponseWriter, _ *http.Request) error { return send(w, v.Declared(), nil) })
	handle("POST "+pathFleet, v.ask)
	handle("GET "+pathFleetHistory, v.entries)
}

func (v *Fleet) ask(w http.ResponseWriter, r *http.Request) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFleetLen))
	d.DisallowUnknownFields()
	var q migration.Request
	if err := d.Decode(&q); err != nil {
		return badRequest{fmt.Errorf("the request cannot be understood: %w", err)}
	}
	a, err := v.Ask(askerOf(r.Context()), &q)
	return send(w, a, err)
}

// entries sends the history as it is in the file, so that whoever reads it can
// verify it.
func (v *Fleet) entries(w http.ResponseWriter, _ *http.Request) error {
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
