package control

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"reflect"

	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/control/remote"
)

// errNotOurs is the answer to a step of a clock that the daemon leaves alone.
var errNotOurs = errors.New("this daemon does not set the clock (it was started so, or clock.mode leaves the clock to another program)")

// Sources are where the answers come from. A function that is nil, and one
// that returns nil, say that there is no such report: this daemon follows no
// sources. All are called by several goroutines at once.
type Sources struct {
	Status      func() *Status
	ServerStats func() *ServerStats
	NTS         func() *NTS // nil, or returning nil: NTS is off
	Tracking    func() *Tracking
	Sources     func() []Source
	SourceStats func() []SourceStats
	AuthData    func() []AuthData
	SelectData  func() []SelectData
	// SourceHistory returns how clock and sources went lately; nil: as above.
	SourceHistory func() *SourceHistory
	// Certificates returns all that this daemon shows or serves.
	Certificates func() []Certificate
	// MakeStep corrects the clock's offset at once, by a step. nil: the clock
	// is not ours.
	MakeStep func() error
	// Reload reads the configuration again; the error says why all is as it
	// was. nil: this daemon cannot.
	Reload func() error
	// Do does what an operator tells. nil: nothing can be told.
	Do func(*Command) (done string, err error)
	// Events are what happens. nil: that is not told.
	Events *events.Log
	// Requests counts what is asked here. nil: nobody counts.
	Requests *Requests
	// Metrics answers Prometheus. nil: there are none.
	Metrics http.Handler
	// Inventory answers about clients.
	Inventory Inventory
	// Fleet answers about the migration, and does its steps.
	Fleet Fleet
	// Site is what answers about the other gateways come from.
	Site Site
}

// reports are what is told of clock, sources and counters: nothing about
// clients.
func (src *Sources) reports() []*route {
	return []*route{
		valueRoute[Status](pathStatus, "What the daemon is and serves, and what is the matter with it", one(src.Status)),
		valueRoute[ServerStats](pathServerStats, "Counters of the servers", one(src.ServerStats)),
		valueRoute[NTS](pathNTS, "Certificates, NTS-KE and cookie keys", src.nts),
		valueRoute[Tracking](pathTracking, "How well the clock is known", one(src.Tracking)),
		valueRoute[[]Source](pathSources, "Sources of time", list(src.Sources)),
		valueRoute[[]SourceStats](pathSourceStats, "What was estimated from each source", list(src.SourceStats)),
		valueRoute[[]AuthData](pathAuthData, "How the sources are authenticated", list(src.AuthData)),
		valueRoute[[]SelectData](pathSelectData, "How selection sees each source", list(src.SelectData)),
		valueRoute[SourceHistory](pathSourcePlots, "How clock and sources went since the start, or lately", src.sourceHistory),
		valueRoute[[]Certificate](pathCertificate, "Certificates with their end", src.certificates),
	}
}

// routes are all that is answered.
func (src *Sources) routes() []*route {
	list := append(src.reports(),
		deed[struct{}](pathMakeStep, "Correct the clock at once, by a step", nil, src.makeStep),
		deed[struct{}](pathReload, "Read the configuration again", nil, src.reload),
		deed[commandDone](pathCommand, "Tell the daemon something, by chronyc's words", Command{}, src.command))
	list = append(list, src.Inventory.routes()...)
	list = append(list, src.Fleet.routes()...)
	list = append(list, eventRoute(src.Events)...)
	list = append(list, src.Site.routes()...)
	list = append(list, src.metrics()...)
	return append(list, src.description(list))
}

// metrics are for Prometheus.
func (src *Sources) metrics() []*route {
	if src.Metrics == nil {
		return nil
	}
	return []*route{{method: http.MethodGet, path: pathMetrics, role: remote.Read, summary: "All figures, for Prometheus", lasting: true,
		anyQuery: true, // scrapers send what their configuration says
		serve:    func(w http.ResponseWriter, r *http.Request) error { src.Metrics.ServeHTTP(w, r); return nil }}}
}

// deed is a route that changes something. Where it is not done, that is a
// conflict with how things are, unless the request is wrong.
func deed[T any](path, summary string, body any, do func(*http.Request) (any, error)) *route {
	t := valueRoute[T](path, summary, do)
	t.method, t.role, t.body, t.bodyMax, t.told, t.failed = http.MethodPost, remote.Write, body, maxCommandLen, true, http.StatusConflict
	return t
}

func (src *Sources) nts(*http.Request) (any, error) {
	if src.NTS != nil {
		if n := src.NTS(); n != nil {
			return n, nil
		}
	}
	return nil, errNTSOff
}

// one makes an answer of a function that may be missing.
func one[T any](report func() *T) func(*http.Request) (any, error) {
	return func(*http.Request) (any, error) {
		if report != nil {
			if v := report(); v != nil {
				finite := *v
				makeFinite(reflect.ValueOf(&finite).Elem())
				return &finite, nil
			}
		}
		return nil, ErrNoSources
	}
}

// list is one for reports with a line per source.
func list[T any](report func() []T) func(*http.Request) (any, error) {
	return func(*http.Request) (any, error) {
		if report != nil {
			if v := report(); v != nil {
				finite := append([]T{}, v...)
				makeFinite(reflect.ValueOf(finite))
				return finite, nil
			}
		}
		return nil, ErrNoSources
	}
}

// makeFinite replaces numbers that JSON does not have, which an estimate
// without samples may be, by the largest ones. The text says "-" for them.
func makeFinite(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			makeFinite(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.Float64 {
				makeFinite(f)
			}
		}
	case reflect.Float64:
		switch f := v.Float(); {
		case math.IsInf(f, -1):
			v.SetFloat(-math.MaxFloat64)
		case math.IsInf(f, 1) || math.IsNaN(f):
			v.SetFloat(math.MaxFloat64)
		}
	}
}

func (src *Sources) makeStep(*http.Request) (any, error) {
	if src.MakeStep == nil {
		return nil, errNotOurs
	}
	return struct{}{}, src.MakeStep()
}

func (src *Sources) reload(*http.Request) (any, error) {
	if src.Reload == nil {
		return nil, errors.New("this daemon does not reload by itself")
	}
	return struct{}{}, src.Reload()
}

// command does what a body says.
func (src *Sources) command(r *http.Request) (any, error) {
	if src.Do == nil {
		return nil, errNotOurs
	}
	var c Command
	if err := readBody(r, &c); err != nil {
		return nil, err
	}
	c.By = askerOf(r.Context())
	done, err := src.Do(&c)
	return commandDone{done}, err
}

func (src *Sources) sourceHistory(*http.Request) (any, error) {
	if src.SourceHistory == nil {
		return nil, ErrNoSources
	}
	return src.SourceHistory(), nil
}

func (src *Sources) certificates(*http.Request) (any, error) {
	list := []Certificate{}
	if src.Certificates != nil {
		list = append(list, src.Certificates()...)
	}
	return list, nil
}

// description answers with what the API is, made of its routes and of the Go
// types that they send.
func (src *Sources) description(routes []*route) *route {
	t := valueRoute[json.RawMessage](pathOpenAPI, "This description (OpenAPI 3.1)", nil)
	var text json.RawMessage
	t.serve = func(w http.ResponseWriter, r *http.Request) error { return sendValue(w, r, text) }
	text, err := json.Marshal(describe(append(routes, t)))
	if err != nil {
		t.serve = func(http.ResponseWriter, *http.Request) error { return err }
	}
	return t
}
