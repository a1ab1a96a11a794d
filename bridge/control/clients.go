package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
)

// The paths of the local API that are about clients.
const (
	pathClients = "/v1/clients"
	pathKeys    = "/v1/keys"
	pathSummary = "/v1/summary"
	pathImport  = "/v1/inventory"
)

// ErrNoInventory says that the daemon keeps no inventory of clients.
var ErrNoInventory = errors.New("this daemon keeps no inventory of clients: fleet.enabled is false")

// Inventory is where answers about clients come from; nil functions say that the
// daemon keeps none.
type Inventory struct {
	// Stream gives the clients that a filter wants to emit, in its order.
	Stream  func(ctx context.Context, f *report.Filter, emit func(*report.Row) error) error
	Keys    func(ctx context.Context) ([]*report.Key, error)
	Summary func(ctx context.Context, by string) (*report.Summary, error)
	// Import merges records and returns for how many there was no room.
	Import func([]inventory.Stored) (full int, err error)
	// Export gives when watching was, and then each record.
	Export func(ctx context.Context, begin func([]store.Interval) error, emit func(inventory.Stored) error) error
}

// streamTime bounds how long a list of clients may take to be read.
const streamTime = 5 * time.Minute

// Limits of an import, octets and records.
const (
	maxImportLen     = 64 << 20
	maxImportRecords = 100_000
)

func (v *Inventory) mount(mux *http.ServeMux, log hclog.Logger) {
	handle := func(pattern string, serve func(w http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			_ = errors.Join(control.SetWriteDeadline(time.Now().Add(streamTime)), control.SetReadDeadline(time.Now().Add(streamTime)))
			err := ErrNoInventory
			if v.Stream != nil {
				err = serve(w, r)
			}
			if err != nil {
				log.Debug("answer about clients", "path", r.URL.Path, "error", err)
				refuse(w, err)
			}
		})
	}
	handle("GET "+pathClients, v.clients)
	handle("GET "+pathKeys, func(w http.ResponseWriter, r *http.Request) error {
		list, err := v.Keys(r.Context())
		return send(w, list, err)
	})
	handle("GET "+pathSummary, func(w http.ResponseWriter, r *http.Request) error {
		s, err := v.Summary(r.Context(), r.URL.Query().Get("by"))
		return send(w, s, err)
	})
	handle("POST "+pathImport, v.importRecords)
	handle("GET "+pathImport, v.exportRecords)
}

// badRequest is an error of who asks.
type badRequest struct{ error }

func (b badRequest) Unwrap() error { return b.error }

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var bad badRequest
	switch {
	case errors.Is(err, ErrNoInventory):
		status = http.StatusNotFound
	case errors.As(err, &bad):
		status = http.StatusBadRequest
	}
	body, _ := json.Marshal(failure{err.Error()}) // a string cannot fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func send(w http.ResponseWriter, v any, err error) error {
	if err != nil {
		return badRequest{err}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// contentTypes are of the formats of a list.
var contentTypes = map[string]string{"json": "application/json", "ansible": "application/json", "csv": "text/csv; charset=utf-8"}

// clients streams a list. What fails before its first line is an error; later
// the connection is cut, so that nobody takes a part for the whole.
func (v *Inventory) clients(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := report.ParseFilter(q)
	if err != nil {
		return badRequest{err}
	}
	format := q.Get("format")
	if format == "" {
		format = "json"
	}
	kind := contentTypes[format]
	if kind == "" {
		kind = "text/plain; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	out, err := report.NewWriter(w, format, time.Now())
	if err != nil {
		return badRequest{err}
	}
	if err := v.Stream(r.Context(), f, out.Row); err != nil {
		panic(http.ErrAbortHandler)
	}
	if err := out.Close(); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (v *Inventory) importRecords(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxImportLen))
	if err != nil {
		return badRequest{err}
	}
	var list []inventory.Stored
	if err := json.Unmarshal(body, &list); err != nil {
		return badRequest{err}
	}
	if len(list) > maxImportRecords {
		return badRequest{fmt.Errorf("%d records at once, at most %d", len(list), maxImportRecords)}
	}
	full, err := v.Import(list)
	return send(w, imported{len(list) - full, full}, err)
}

// exportRecords streams the inventory: a line with when it was watching, then one
// for each record, then an empty object, without which a part was lost.
func (v *Inventory) exportRecords(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	err := v.Export(r.Context(), func(watched []store.Interval) error { return out.Encode(watched) },
		func(s inventory.Stored) error { return out.Encode(s) })
	if err == nil {
		err = out.Encode(struct{}{})
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

type imported struct {
	Taken int `json:"taken"`
	Full  int `json:"no_room"`
}

// Clients writes the clients that a filter wants in one of report.Formats.
func (c *Client) Clients(ctx context.Context, f *report.Filter, format string, w io.Writer) error {
	q := f.Values()
	q.Set("format", format)
	return c.stream(ctx, http.MethodGet, pathClients+"?"+q.Encode(), nil, w)
}

// Keys returns the keys with who uses them.
func (c *Client) Keys() ([]*report.Key, error) { return fetch[[]*report.Key](c, pathKeys) }

// Summary returns hosts by means, grouped by "label" or lengths of prefixes.
func (c *Client) Summary(by string) (*report.Summary, error) {
	return fetch[*report.Summary](c, pathSummary+"?by="+url.QueryEscape(by))
}

// Import merges records into the daemon's inventory and returns for how many
// there was no room.
func (c *Client) Import(ctx context.Context, list []inventory.Stored) (full int, err error) {
	for len(list) > 0 {
		part := list[:min(len(list), maxImportRecords/10)]
		list = list[len(part):]
		body, err := json.Marshal(part)
		if err != nil {
			return full, err
		}
		var answer limitedBuffer
		if err := c.stream(ctx, http.MethodPost, pathImport, body, &answer); err != nil {
			return full, err
		}
		var done imported
		if err := json.Unmarshal(answer.b, &done); err != nil {
			return full, err
		}
		full += done.Full
	}
	return full, nil
}

// limitedBuffer keeps a short answer.
type limitedBuffer struct{ b []byte }

func (l *limitedBuffer) Write(p []byte) (int, error) {
	if len(l.b)+len(p) > 1<<16 {
		return 0, errors.New("the answer is too long")
	}
	l.b = append(l.b, p...)
	return len(p), nil
}

// Export gives each record of the daemon's inventory, and returns when it was
// watching.
func (c *Client) Export(ctx context.Context, see func(inventory.Stored) error) (watched []store.Interval, err error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(c.stream(ctx, http.MethodGet, pathImport, nil, w)) }()
	defer r.Close()
	return readExport(r, see)
}

// readExport reads what pathImport answers to GET.
func readExport(r io.Reader, see func(inventory.Stored) error) (watched []store.Interval, err error) {
	in := json.NewDecoder(r)
	if err := in.Decode(&watched); err != nil {
		return nil, err
	}
	for {
		var s inventory.Stored
		if err := in.Decode(&s); err != nil {
			return watched, fmt.Errorf("the inventory is not whole: %w", err)
		}
		if len(s.Record) == 0 {
			return watched, nil
		}
		if err := see(s); err != nil {
			return watched, err
		}
	}
}
