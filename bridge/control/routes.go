package control

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/control/remote"
)

// route is something that the API answers. What answers it, who may ask and
// what the description says of it stand in one place.
type route struct {
	method, path string
	role         remote.Role
	summary      string
	query        []parameter
	body         any            // of the type that is sent; nil: nothing is
	bodyMax      int64          // octets of it
	answers      map[string]any // by media type, of the type that is answered; nil: text
	lasting      bool           // it may take streamTime
	streams      bool           // it lasts as long as the asker wants
	told         bool           // it is logged who asked
	anyQuery     bool           // it is not for us to say what may be asked
	serve        func(w http.ResponseWriter, r *http.Request) error
	failed       int // status of an error that is not of who asks
}

const (
	kindJSON   = "application/json"
	kindNDJSON = "application/x-ndjson"
)

// api are all routes, by path and method.
type api struct {
	routes []*route
	paths  map[string]map[string]*route
	log    hclog.Logger
}

func newAPI(routes []*route, log hclog.Logger) *api {
	a := &api{routes: routes, paths: make(map[string]map[string]*route), log: log}
	for _, t := range routes {
		if a.paths[t.path] == nil {
			a.paths[t.path] = make(map[string]*route)
		}
		a.paths[t.path][t.method] = t
	}
	return a
}

// find returns who answers; nil with the methods that there are.
func (a *api) find(r *http.Request) (t *route, methods []string) {
	by := a.paths[r.URL.Path]
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if t := by[method]; t != nil {
		return t, nil
	}
	for m := range by {
		methods = append(methods, m)
		if m == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return nil, methods
}

// needs tells which role a request needs; what nobody answers needs one too,
// so that strangers learn nothing.
func (a *api) needs(r *http.Request) remote.Role {
	if t, _ := a.find(r); t != nil {
		return t.role
	}
	return remote.Read
}

// known tells under which path a request is counted.
func (a *api) known(r *http.Request) (path string, streamed bool) {
	t, _ := a.find(r)
	if t == nil {
		return "", false
	}
	return t.path, t.streams
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, methods := a.find(r)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case t == nil && methods == nil:
		refuse(w, statusError{fmt.Errorf("nothing is at %.100q; %s describes what there is", r.URL.Path, pathOpenAPI), http.StatusNotFound,
			"path", "GET " + pathOpenAPI}, 0)
	case t == nil:
		allowed := strings.Join(methods, ", ")
		w.Header().Set("Allow", allowed)
		refuse(w, statusError{fmt.Errorf("%s is for %s", r.URL.Path, allowed), http.StatusMethodNotAllowed, "method", "use " + allowed}, 0)
	case !t.acceptable(r.Header.Values("Accept")):
		kinds := strings.Join(t.kinds(), ", ")
		refuse(w, statusError{fmt.Errorf("%s answers %s", r.URL.Path, kinds), http.StatusNotAcceptable, "Accept", "accept " + kinds}, 0)
	default:
		a.run(t, w, r)
	}
}

// run lets a route answer.
func (a *api) run(t *route, w http.ResponseWriter, r *http.Request) {
	if t.lasting {
		control, end := http.NewResponseController(w), time.Now().Add(streamTime)
		_ = errors.Join(control.SetWriteDeadline(end), control.SetReadDeadline(end))
	}
	r.Body = http.MaxBytesReader(w, r.Body, t.bodyMax)
	err := t.checkQuery(r)
	if err == nil {
		err = t.serve(w, r)
	}
	if t.told {
		a.log.Info("told over the API", "path", t.path, "by", askerOf(r.Context()), "error", err)
	}
	if err == nil {
		return
	}
	a.log.Debug("answer of the API", "path", t.path, "error", err)
	status := t.failed
	if status == 0 {
		status = http.StatusInternalServerError
	}
	refuse(w, err, status)
}

// readBody reads the one JSON value that a request has, and nothing that is not
// known: half of an order is none.
func readBody(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something stands behind it")
			var long *http.MaxBytesError
			if errors.As(more, &long) {
				err = more
			}
		}
	}
	if err != nil {
		return badRequest{fmt.Errorf("the body of the request cannot be understood: %w", err)}
	}
	return nil
}

// kinds are the media types of the answers.
func (t *route) kinds() (list []string) {
	for k := range t.answers {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// acceptable reports whether one of the answers is wanted. Without a list
// everything is.
func (t *route) acceptable(accept []string) bool {
	if len(t.answers) == 0 || len(accept) == 0 {
		return true
	}
	wanted := parseAccept(strings.Join(accept, ","))
	return slices.ContainsFunc(t.kinds(), wanted.takes)
}

// sendValue sends a value as JSON, or that it is what the asker has already.
func sendValue(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(body) > maxAnswerLen {
		return fmt.Errorf("the answer has %d octets, more than the %d that are sent", len(body), maxAnswerLen)
	}
	return sendBody(w, r, body, strongTag(body))
}

// strongTag is the entity tag of a body.
func strongTag(body []byte) string {
	hash := sha256.Sum256(body)
	return `"` + hex.EncodeToString(hash[:16]) + `"`
}

// sendBody sends JSON under an entity tag.
func sendBody(w http.ResponseWriter, r *http.Request, body []byte, tag string) error {
	return sendAs(w, r, kindJSON, body, tag)
}

// sendAs is sendBody for other media types.
func sendAs(w http.ResponseWriter, r *http.Request, kind string, body []byte, tag string) error {
	w.Header().Set("Cache-Control", "private, no-cache")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		w.Header().Set("ETag", tag)
		if noneMatch(r.Header.Values("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body) // who went away needs no answer
	return nil
}

// noneMatch compares entity tags as If-None-Match does, weakly (RFC 9110,
// section 13.1.2).
func noneMatch(header []string, tag string) bool {
	opaque := strings.TrimPrefix(tag, "W/")
	for _, one := range strings.Split(strings.Join(header, ","), ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == opaque {
			return true
		}
	}
	return false
}

// served answers the requests of routes by an error while what they are about is
// not there.
func served(list []*route, there func() bool, err error) []*route {
	for _, t := range list {
		serve := t.serve
		t.serve = func(w http.ResponseWriter, r *http.Request) error {
			if !there() {
				return err
			}
			return serve(w, r)
		}
	}
	return list
}

// valueRoute is a route that answers with a value.
func valueRoute[T any](path, summary string, answer func(*http.Request) (any, error)) *route {
	return &route{method: http.MethodGet, path: path, role: remote.Read, summary: summary, answers: map[string]any{kindJSON: *new(T)},
		serve: func(w http.ResponseWriter, r *http.Request) error {
			v, err := answer(r)
			if err != nil {
				return err
			}
			return sendValue(w, r, v)
		}}
}
