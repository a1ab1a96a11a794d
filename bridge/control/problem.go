package control

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"

	"ntsbridge/bridge/config"
)

// Problem is the body of an answer without success (RFC 9457).
type Problem struct {
	// Type tells problems apart: about:blank where the status says all.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail is what an operator reads: what is the matter, and what to do.
	Detail string `json:"detail"`
	// Place is what it is about: a part of the request, "FILE:LINE: option" of a
	// configuration, or an option.
	Place string `json:"place,omitempty"`
	// Remedy is what to do.
	Remedy string `json:"remedy"`
}

// kindProblem is the media type of a Problem.
const kindProblem = "application/problem+json"

// The types of problems that programs tell apart.
const (
	typeBlank       = "about:blank"
	typeNoSources   = pathOpenAPI + "#no-sources"
	typeNoInventory = pathOpenAPI + "#no-inventory"
	typeNoNTS       = pathOpenAPI + "#no-nts"
	typeAlone       = pathOpenAPI + "#alone"
)

// statusError is an error that knows the status of its answer.
type statusError struct {
	error
	status        int
	place, remedy string
}

func (f statusError) Unwrap() error { return f.error }

// badRequest is an error of who asks.
type badRequest struct{ error }

func (b badRequest) Unwrap() error { return b.error }

// problemOf returns what an error is as an answer; otherwise is the status of
// one that is no error of who asks.
func problemOf(err error, otherwise int) *Problem {
	p := &Problem{Type: typeBlank, Status: otherwise, Detail: err.Error()}
	var long *http.MaxBytesError
	var bad badRequest
	var known statusError
	var places config.Problems
	switch {
	case errors.Is(err, ErrNoSources):
		p.Type, p.Status, p.Place, p.Remedy = typeNoSources, http.StatusNotFound, "sources", "configure sources, or clock.mode: discipline"
	case errors.Is(err, ErrNoInventory):
		p.Type, p.Status, p.Place = typeNoInventory, http.StatusNotFound, "fleet.enabled"
		p.Remedy = "set fleet.enabled: true and restart the daemon"
	case errors.Is(err, errNTSOff):
		p.Type, p.Status, p.Place, p.Remedy = typeNoNTS, http.StatusNotFound, "nts.enabled", "set nts.enabled: true and restart the daemon"
	case errors.Is(err, ErrAlone):
		p.Type, p.Status, p.Place = typeAlone, http.StatusNotFound, "fleet.etcd"
		p.Remedy = "ask without site, or set fleet.etcd.endpoints and restart the daemon"
	case errors.As(err, &long):
		p.Status, p.Place = http.StatusRequestEntityTooLarge, "body"
	case errors.As(err, &bad):
		p.Status = http.StatusBadRequest
	case errors.As(err, &known):
		p.Status, p.Place, p.Remedy = known.status, known.place, known.remedy
	}
	if errors.As(err, &places) && len(places) > 0 {
		at := places[0]
		at.Text = ""
		p.Place = at.String()
	}
	p.Title, p.Remedy = http.StatusText(p.Status), cmp.Or(p.Remedy, remedies[p.Status], "read detail")
	return p
}

// remedies are what to do about a status of which nothing more is known.
var remedies = map[int]string{
	http.StatusBadRequest:            "compare the request with the description, GET " + pathOpenAPI,
	http.StatusUnauthorized:          "send Authorization: Bearer TOKEN with a token of api.tokens, or show a certificate of api.clients_ca",
	http.StatusForbidden:             "use a token or a certificate that may write",
	http.StatusConflict:              "do what detail says, and ask again",
	http.StatusRequestEntityTooLarge: "send it in smaller parts",
	http.StatusTooManyRequests:       "wait as long as Retry-After says",
	http.StatusInternalServerError:   "look into the log of the daemon, and at GET " + pathStatus,
	http.StatusServiceUnavailable:    "wait as long as Retry-After says",
}

// write sends it.
func (p *Problem) write(w http.ResponseWriter) {
	body, _ := json.Marshal(p) // strings and a number cannot fail
	w.Header().Set("Content-Type", kindProblem)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error, otherwise int) { problemOf(err, otherwise).write(w) }
