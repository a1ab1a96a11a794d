package control

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The ways by which requests come.
const (
	ByControl = "control" // the control socket
	ByReaders = "readers" // the socket for everybody
	ByHTTPS   = "https"   // api.listen
	ByPage    = "page"    // page.listen
)

// otherPath stands for everything that is nowhere.
const otherPath = "other"

// Requests counts requests by way, method, path and status, which are few. A
// nil one counts nothing. It is safe for concurrent use.
type Requests struct {
	mu    sync.Mutex
	count map[Request]uint64
	took  map[Request]*Took // of no status
}

// Request is a kind of requests.
type Request struct {
	By, Method, Path string
	Status           int
}

// TookBounds are upper bounds of how long requests take, seconds.
var TookBounds = [...]float64{0.001, 0.01, 0.1, 1, 10}

// Took is how long requests took.
type Took struct {
	Sum   float64 // s
	Count uint64
	Below [len(TookBounds)]uint64 // or at; each has those of the ones before
}

// NewRequests returns counters.
func NewRequests() *Requests {
	return &Requests{count: map[Request]uint64{}, took: map[Request]*Took{}}
}

func (q *Requests) add(r Request, took time.Duration, streamed bool) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count[r]++
	if streamed {
		return
	}
	r.Status = 0
	t := q.took[r]
	if t == nil {
		t = new(Took)
		q.took[r] = t
	}
	t.Count++
	t.Sum += took.Seconds()
	for i, bound := range TookBounds {
		if took.Seconds() <= bound {
			t.Below[i]++
		}
	}
}

// Counted is how many requests of a kind there were.
type Counted struct {
	Request
	Count uint64
}

// Timed is how long requests of a kind took; it has no status.
type Timed struct {
	Request
	Took
}

// Figures returns what was counted, in order.
func (q *Requests) Figures() (count []Counted, took []Timed) {
	if q == nil {
		return nil, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for r, n := range q.count {
		count = append(count, Counted{r, n})
	}
	for r, t := range q.took {
		took = append(took, Timed{r, *t})
	}
	order := func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.By, b.By), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method),
			cmp.Compare(a.Status, b.Status))
	}
	slices.SortFunc(count, func(a, b Counted) int { return order(a.Request, b.Request) })
	slices.SortFunc(took, func(a, b Timed) int { return order(a.Request, b.Request) })
	return count, took
}

// methods are those that are told apart.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost}

// Watch counts what a handler answers; known tells the path that a request is
// counted under, or that it is nowhere, and streamed whether it lasts as long as
// the asker wants.
func (q *Requests) Watch(by string, h http.Handler, known func(*http.Request) (path string, streamed bool)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, streamed := known(r)
		if path == "" {
			path = otherPath
		}
		method := r.Method
		if !slices.Contains(methods, method) {
			method = otherPath
		}
		began, seen := time.Now(), &statusWriter{ResponseWriter: w}
		defer func() {
			if seen.status == 0 {
				seen.status = http.StatusOK
			}
			q.add(Request{by, method, path, seen.status}, time.Since(began), streamed)
		}()
		h.ServeHTTP(seen, r)
	})
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController through.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
