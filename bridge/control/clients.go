package control

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
)

// The paths of the local API that are about clients.
const (
	pathClients = "/v1/clients"
	pathKeys    = "/v1/keys"
	pathSummary = "/v1/summary"
	pathDays    = "/v1/summary/days"
	pathImport  = "/v1/inventory"
)

// Inventory is where answers about clients come from; nil functions say that the
// daemon keeps none.
type Inventory struct {
	Stream  ListWhole // in the order of the filter
	Keys    func(ctx context.Context) ([]*report.Key, error)
	Summary func(ctx context.Context, by string) (*report.Summary, error)
	// Site answers of all gateways; nil: this one is alone.
	Site *SiteInventory
	Page ListPart
	// Days returns what the clients of a label used, or of all of them, day by day.
	Days func(label string) []report.DayCount
	// Import merges records and returns for how many there was no room.
	Import func([]inventory.Stored) (full int, err error)
	// Export gives when watching was, and then each record.
	Export func(ctx context.Context, begin func([]store.Interval) error, emit func(inventory.Stored) error) error
}

// Limits of an import, octets and records.
const (
	maxImportLen     = 64 << 20
	maxImportRecords = 100_000
)

// routes are what is answered about clients.
func (v *Inventory) routes() []*route {
	list := []*route{
		{method: http.MethodGet, path: pathClients, summary: "Clients that a filter wants", query: clientParameters(),
			answers: map[string]any{kindJSON: []report.Row{}, "text/csv": nil, "text/plain": nil}, serve: v.clients},
		reportOf(pathKeys, "Keys with who uses them", func(r *http.Request) (list []*report.Key, err error) {
			if !ofSite(r) {
				return v.Keys(r.Context())
			}
			if v.Site == nil {
				return nil, ErrAlone
			}
			return v.Site.Keys(r.Context())
		}),
		reportOf(pathSummary, "Hosts by means", func(r *http.Request) (*report.Summary, error) {
			summary := v.Summary
			if ofSite(r) {
				if v.Site == nil {
					return nil, ErrAlone
				}
				summary = v.Site.Summary
			}
			s, err := summary(r.Context(), r.URL.Query().Get("by"))
			if err != nil {
				err = badRequest{err}
			}
			return s, err
		}),
		{method: http.MethodGet, path: pathImport, summary: "The inventory: when it was watching, each record, and an empty object",
			answers: map[string]any{kindNDJSON: nil}, serve: v.exportRecords},
		{method: http.MethodPost, path: pathImport, summary: "Merge records into the inventory", told: true,
			body: []inventory.Stored{}, bodyMax: maxImportLen, answers: map[string]any{kindJSON: imported{}}, serve: v.importRecords},
	}
	if v.Days != nil {
		list = append(list, reportOf(pathDays, "Hosts by means on each day, the oldest first", v.days))
		list[len(list)-1].query = []parameter{{name: "label", summary: "of one label, of which fewer days are kept; not with site",
			kind: "string"}, siteParameter}
	}
	list[1].query = []parameter{siteParameter}
	list[2].query = []parameter{{name: "by", summary: "label, or lengths of prefixes such as 24,64", kind: "string"}, siteParameter}
	for _, t := range list {
		t.role, t.lasting = remote.Read, true
		if t.method != http.MethodGet {
			t.role = remote.Write
		}
	}
	return served(list, func() bool { return v.Stream != nil }, ErrNoInventory)
}

// days are what clients used day by day. Of a site days are told by what each
// client used when.
func (v *Inventory) days(r *http.Request) ([]report.DayCount, error) {
	label := r.URL.Query().Get("label")
	switch {
	case !ofSite(r):
		return v.Days(label), nil
	case v.Site == nil:
		return nil, ErrAlone
	case label != "":
		return nil, badRequest{errors.New("label: days of a label are known of one gateway alone: ask without site, or without label")}
	}
	return v.Site.Days(r.Context())
}

// reportOf is report with a type that is known.
func reportOf[T any](path, summary string, answer func(*http.Request) (T, error)) *route {
	return valueRoute[T](path, summary, func(r *http.Request) (any, error) { return answer(r) })
}

// clientParameters are those of report.ParseFilter and the format.
func clientParameters() []parameter {
	return []parameter{
		{name: "kind", summary: "used this means", kind: "string", many: true, words: []string{"none", "symmetric", "autokey", "nts"}},
		{name: "key", summary: "used this symmetric key", kind: "integer", many: true},
		{name: "prefix", summary: "is in this network", kind: "string", many: true},
		{name: "label", summary: "has this owner or site, or this in its note", kind: "string", many: true},
		{name: "legacy_only", summary: "1: used something worse than NTS", kind: "string", words: []string{"1"}},
		{name: "since", summary: "was seen in the last so long, such as 24h", kind: "string"},
		{name: "silent_for", summary: "was not", kind: "string"},
		{name: "first_within", summary: "was seen for the first time in the last so long", kind: "string"},
		{name: "address", summary: "is this one", kind: "string"},
		{name: "sort", summary: "order; with - in front the other way round", kind: "string", words: report.SortWords()},
		{name: "limit", summary: "at most so many; 0: all", kind: "integer"},
		{name: "cursor", summary: "part of the list that begins there, of at most 1000 rows (limit; default 100); Link has the next one. Empty: the first",
			kind: "string"},
		siteParameter,
		{name: "by_gateway", summary: "1: of each means, which gateway saw it last when; with site", kind: "string", words: []string{"1"}},
		{name: "resolve", summary: "1: with names from DNS", kind: "string", words: []string{"1"}},
		{name: "format", summary: "form of the answer", kind: "string", words: report.Formats},
	}
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
	stream, page, err := v.Lists(f)
	if err != nil {
		return err
	}
	var body bytes.Buffer // of a part
	var to io.Writer = w
	part := page != nil && (q.Has("cursor") || f.Limit > 0 && f.Limit <= report.MaxPart)
	if part {
		to = &body
	} else {
		w.Header().Set("Content-Type", kind)
	}
	out, err := report.NewWriter(to, format, time.Now())
	if err != nil {
		return badRequest{err}
	}
	if f.ByGateway {
		out.SetGateways(v.Site.Gateways())
	}
	if part {
		if err := writePart(w, r, f, page, out); err != nil {
			return err
		}
		return sendAs(w, r, kind, body.Bytes(), strongTag(body.Bytes()))
	}
	if err := stream(r.Context(), f, out.Row); err != nil {
		panic(http.ErrAbortHandler)
	}
	if err := out.Close(); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// partDefault is how many rows a part has of which nobody said how many.
const partDefault = 100

// writePart writes a part of a list, and says where the others are (RFC 8288).
func writePart(w http.ResponseWriter, r *http.Request, f *report.Filter, part ListPart, out *report.Writer) error {
	q := r.URL.Query()
	if f.Limit == 0 {
		f.Limit = partDefault
	}
	if f.Limit > report.MaxPart {
		return badRequest{fmt.Errorf("limit %d: a part of a list has at most %d rows; without cursor all come in one answer", f.Limit, report.MaxPart)}
	}
	var rows []*report.Row
	p, err := part(r.Context(), f, q.Get("cursor"), f.Limit, func(r *report.Row) error {
		rows = append(rows, r.Clone())
		return nil
	})
	if err != nil {
		return badRequest{err}
	}
	q.Set("limit", fmt.Sprint(f.Limit))
	link(w, r, q, "prev", p.Prev)
	link(w, r, q, "next", p.Next)
	for _, row := range rows {
		if err := out.Row(row); err != nil {
			return err
		}
	}
	return out.Close()
}

// link tells where another part of a list is.
func link(w http.ResponseWriter, r *http.Request, q url.Values, relation, cursor string) {
	if cursor == "" {
		return
	}
	q.Set("cursor", cursor)
	w.Header().Add("Link", fmt.Sprintf(`<%s?%s>; rel="%s"`, r.URL.Path, q.Encode(), relation))
}

func (v *Inventory) importRecords(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
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
	if err != nil {
		return badRequest{err}
	}
	return sendValue(w, r, imported{len(list) - full, full})
}

// exportRecords streams the inventory: a line with when it was watching, then one
// for each record, then an empty object, without which a part was lost.
func (v *Inventory) exportRecords(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	var line []byte
	err := v.Export(r.Context(), func(watched []store.Interval) error { return out.Encode(watched) },
		func(s inventory.Stored) error {
			line = appendStored(line[:0], &s)
			_, err := w.Write(line)
			return err
		})
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

// Export gives each record of the daemon's inventory to see, which must not keep
// it, and returns when it was watching.
func (c *Client) Export(ctx context.Context, see func(inventory.Stored) error) (watched []store.Interval, err error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(c.stream(ctx, http.MethodGet, pathImport, nil, w)) }()
	defer r.Close()
	return readExport(r, see)
}

// readExport reads what pathImport answers to GET.
func readExport(r io.Reader, see func(inventory.Stored) error) (watched []store.Interval, err error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 1<<16), maxExportLine)
	if !in.Scan() {
		return nil, cmp.Or(in.Err(), io.ErrUnexpectedEOF)
	}
	if err := json.Unmarshal(in.Bytes(), &watched); err != nil {
		return nil, err
	}
	var s inventory.Stored
	for in.Scan() {
		if err := parseStored(in.Bytes(), &s); err != nil {
			return watched, fmt.Errorf("the inventory is not whole: %w", err)
		}
		if len(s.Record) == 0 {
			return watched, nil
		}
		if err := see(s); err != nil {
			return watched, err
		}
	}
	return watched, fmt.Errorf("the inventory is not whole: %w", cmp.Or(in.Err(), io.ErrUnexpectedEOF))
}

// maxExportLine bounds a line, octets: that of the times of watching is long.
const maxExportLine = 4 << 20

// How a record is written, and read without reflection: there may be a million.
const (
	storedKey    = `{"key":"`
	storedRecord = `","record":"`
	storedEnd    = `"}`
)

// appendStored appends a record as JSON, with the end of its line.
func appendStored(b []byte, s *inventory.Stored) []byte {
	b = hex.AppendEncode(append(b, storedKey...), s.Key[:])
	b = base64.StdEncoding.AppendEncode(append(b, storedRecord...), s.Record)
	return append(append(b, storedEnd...), '\n')
}

// parseStored reads a line; the memory of s.Record is used again.
func parseStored(line []byte, s *inventory.Stored) error {
	const digits = 2 * len(s.Key)
	head := len(storedKey) + digits + len(storedRecord)
	if len(line) < head || string(line[:len(storedKey)]) != storedKey || string(line[head-len(storedRecord):head]) != storedRecord ||
		!bytes.HasSuffix(line[head:], []byte(storedEnd)) {
		*s = inventory.Stored{} // another spelling of JSON
		return json.Unmarshal(line, s)
	}
	if err := s.Key.UnmarshalText(line[len(storedKey) : len(storedKey)+digits]); err != nil {
		return err
	}
	var err error
	s.Record, err = base64.StdEncoding.AppendDecode(s.Record[:0], line[head:len(line)-len(storedEnd)])
	return err
}
