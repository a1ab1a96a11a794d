package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"

	"github.com/hashicorp/go-hclog"
)

// The paths of the local API.
const (
	pathStatus      = "/v1/status"
	pathServerStats = "/v1/serverstats"
	pathNTS         = "/v1/nts"
	pathTracking    = "/v1/tracking"
	pathSources     = "/v1/sources"
	pathSourceStats = "/v1/sourcestats"
	pathAuthData    = "/v1/authdata"
	pathSelectData  = "/v1/selectdata"
	pathMakeStep    = "/v1/makestep"
	pathReload      = "/v1/reload"
	pathCommand     = "/v1/command"
	pathMetrics     = "/metrics"
)

// maxAnswerLen bounds what one answer of the API may hold, octets: some tens
// of thousands of sources.
const maxAnswerLen = 16 << 20

// ErrNoSources says that the daemon has no report on its clock.
var ErrNoSources = errors.New("this daemon follows no sources of its own (no sources are configured, or clock.mode: observe leaves the clock to another program)")

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
	// MakeStep corrects the clock's offset at once, by a step. nil: the clock
	// is not ours.
	MakeStep func() error
	// Reload reads the configuration again; the error says why all is as it
	// was. nil: this daemon cannot.
	Reload func() error
	// Do does what an operator tells. nil: nothing can be told.
	Do func(*Command) (done string, err error)
	// Metrics answers Prometheus. nil: there are none.
	Metrics http.Handler
	// Inventory answers about clients.
	Inventory Inventory
	// Fleet answers about the migration, and does its steps.
	Fleet Fleet
}

// endpoint is something that the API answers.
type endpoint struct {
	method, path string
	// answer returns what is sent as JSON.
	answer func(*http.Request) (any, error)
}

// endpoints are all of them.
func (src *Sources) endpoints() []endpoint {
	return []endpoint{
		{http.MethodGet, pathStatus, one(src.Status)},
		{http.MethodGet, pathServerStats, one(src.ServerStats)},
		{http.MethodGet, pathNTS, src.nts},
		{http.MethodGet, pathTracking, one(src.Tracking)},
		{http.MethodGet, pathSources, list(src.Sources)},
		{http.MethodGet, pathSourceStats, list(src.SourceStats)},
		{http.MethodGet, pathAuthData, list(src.AuthData)},
		{http.MethodGet, pathSelectData, list(src.SelectData)},
		{http.MethodPost, pathMakeStep, src.makeStep},
		{http.MethodPost, pathReload, src.reload},
		{http.MethodPost, pathCommand, src.command},
	}
}

// errNTSOff is the answer of a daemon without NTS.
var errNTSOff = errors.New("NTS is off (nts.enabled: false)")

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

// failure is the body of an answer that is none.
type failure struct {
	Error string `json:"error"`
}

// handler serves the endpoints.
func handler(src *Sources, log hclog.Logger) http.Handler {
	mux := http.NewServeMux()
	src.Inventory.mount(mux, log)
	src.Fleet.mount(mux, log)
	if src.Metrics != nil {
		mux.Handle(http.MethodGet+" "+pathMetrics, src.Metrics)
	}
	for _, e := range src.endpoints() {
		mux.HandleFunc(e.method+" "+e.path, func(w http.ResponseWriter, r *http.Request) {
			status, body := e.respond(r)
			if e.method != http.MethodGet {
				log.Info("told over the control socket", "path", e.path, "by", askerOf(r.Context()), "status", status)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			if _, err := w.Write(body); err != nil {
				log.Debug("answer not sent", "path", e.path, "error", err)
			}
		})
	}
	return mux
}

// respond returns the answer as it is sent.
func (e *endpoint) respond(r *http.Request) (status int, body []byte) {
	v, err := e.answer(r)
	if err == nil {
		if body, err = json.Marshal(v); err == nil && len(body) <= maxAnswerLen {
			return http.StatusOK, body
		}
		if err == nil {
			err = fmt.Errorf("the answer has %d octets, more than the %d that are sent", len(body), maxAnswerLen)
		}
	}
	status = http.StatusInternalServerError
	if errors.Is(err, ErrNoSources) {
		status = http.StatusNotFound
	}
	body, _ = json.Marshal(failure{err.Error()}) // a string cannot fail
	return status, body
}
