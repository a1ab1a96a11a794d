package page

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/steer"
)

// clientsView is the table of clients.
type clientsView struct {
	layout
	Query   url.Values // as it was sent
	Kinds   []option
	Since   []option
	Silent  []option
	New     []option
	Sizes   []option
	Sorts   []sorting
	Problem string
	Rows    []*report.Row
	First   int // place of the first row, from 1
	Last    int
	Total   int
	Next    string // URLs
	Prev    string
	CSV     string
	JSON    string
	Plain   bool // no filter is set
	// Of all gateways.
	HasSite  bool // there are others
	Site     bool
	Gateways []string // with a column each
}

// option is a value that a field may have.
type option struct {
	Value, Title string
	Chosen       bool
}

// sorting is a column by which rows can be put in order.
type sorting struct {
	Name, Title, URL string
	Here             bool
	Aria             string // how the column is ordered, for aria-sort
	Class            string
}

// columns are those of the table; without a name it cannot be sorted by.
var columns = []struct{ name, title, aria, class string }{
	{"address", "Client", "ascending", ""}, {"label", "Label", "ascending", "wide"}, {"", "Means", "", ""},
	{"last", "Last seen", "descending", ""}, {"first", "First seen", "ascending", "wide"}, {"poll", "Poll", "ascending", "wide num"},
	{"packets", "Answered", "descending", "num"}, {"refused", "Refused", "descending", "num"}, {"", "Program", "", "wide"},
}

// ownColumns are of what no gateway tells the others.
var ownColumns = []string{"poll", "packets", "refused"}

var kindOptions = []option{{"", "any means", false}, {"none", "no authentication", false}, {"symmetric", "symmetric key", false},
	{"autokey", "Autokey", false}, {"nts", "NTS", false}}

var timeOptions = []option{{"", "any time", false}, {"1h", "an hour", false}, {"24h", "a day", false},
	{"168h", "a week", false}, {"720h", "30 days", false}}

var sizeOptions = []option{{"100", "100 rows", false}, {"250", "250 rows", false}, {"1000", "1,000 rows", false}}

// chosen marks an option; a value that is none of them becomes one.
func chosen(list []option, value string) []option {
	list = slices.Clone(list)
	for i := range list {
		if list[i].Value == value {
			list[i].Chosen = true
			return list
		}
	}
	return append(list, option{value, value, true})
}

// filterWords are the words of a filter that the page knows.
var filterWords = []string{"kind", "key", "prefix", "label", "legacy_only", "since", "first_within", "silent_for", "address", "sort",
	"limit", "resolve", "cursor", "site"}

// queryOf returns what was asked, without fields that were left empty.
func queryOf(r *http.Request) (url.Values, error) {
	all, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("the query cannot be read: %v", err)
	}
	q := url.Values{}
	for name, values := range all {
		if !slices.Contains(filterWords, name) {
			return nil, bad("%.40q is none of %s", name, strings.Join(filterWords, ", "))
		}
		for _, v := range values {
			if v = strings.TrimSpace(v); v != "" {
				q.Add(name, v)
			}
		}
	}
	return q, nil
}

func (p *Page) clients(w http.ResponseWriter, r *http.Request) error {
	if p.src.Inventory.Page == nil {
		return control.ErrNoInventory
	}
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	v := &clientsView{layout: p.layout(r, "Clients"), Query: q}
	status := http.StatusOK
	if err := v.fill(p, r, q); err != nil {
		v.Problem, status = err.Error(), http.StatusBadRequest
	}
	p.send(w, "clients", status, v)
	return nil
}

// rowsDefault is how many rows the table has of which nobody said how many.
const rowsDefault = 100

func (v *clientsView) fill(p *Page, r *http.Request, q url.Values) error {
	v.Kinds, v.Since = chosen(kindOptions, q.Get("kind")), chosen(timeOptions, q.Get("since"))
	v.Silent, v.New = chosen(timeOptions, q.Get("silent_for")), chosen(timeOptions, q.Get("first_within"))
	size := q.Get("limit")
	if size == "" {
		size = sizeOptions[0].Value
	}
	v.Sizes = chosen(sizeOptions, size)
	v.HasSite, v.Site, v.Plain = p.src.Site.Status != nil, q.Get("site") == "1", true
	for name := range q {
		v.Plain = v.Plain && (name == "sort" || name == "limit" || name == "cursor")
	}
	f, err := report.ParseFilter(q)
	if err != nil {
		return err
	}
	if f.Limit == 0 {
		f.Limit = rowsDefault
	}
	f.Limit = min(f.Limit, report.MaxPart)
	v.sorts(q)
	_, page, err := p.lists(f)
	if err != nil {
		return err
	}
	if f.Site {
		v.Gateways = p.src.Inventory.Site.Gateways()
	}
	part, err := page(r.Context(), f, q.Get("cursor"), f.Limit, func(row *report.Row) error {
		v.Rows = append(v.Rows, row.Clone())
		return nil
	})
	if err != nil {
		return err
	}
	v.First, v.Last, v.Total = part.First+1, part.First+len(v.Rows), part.Total
	v.Next, v.Prev = withCursor(q, part.Next), withCursor(q, part.Prev)
	e := without(q, "cursor", "limit").Encode()
	v.CSV, v.JSON = "/clients.csv?"+e, "/clients.json?"+e
	return nil
}

// lists returns what gives a list, whole and part by part; one of the site has a
// column for each gateway.
func (p *Page) lists(f *report.Filter) (whole control.ListWhole, part control.ListPart, err error) {
	f.ByGateway = f.Site
	return p.src.Inventory.Lists(f)
}

func without(q url.Values, names ...string) url.Values {
	c := url.Values{}
	for name, v := range q {
		if !slices.Contains(names, name) {
			c[name] = v
		}
	}
	return c
}

func withCursor(q url.Values, cursor string) string {
	if cursor == "" {
		return ""
	}
	c := without(q, "cursor")
	c.Set("cursor", cursor)
	return "/clients?" + c.Encode()
}

func (v *clientsView) sorts(q url.Values) {
	now := q.Get("sort")
	if now == "" {
		now = "address"
	}
	now, reverse := strings.CutPrefix(now, "-")
	for _, c := range columns {
		if v.Site && slices.Contains(ownColumns, c.name) {
			continue
		}
		s := sorting{Name: c.name, Title: c.title, Class: c.class}
		if c.name != "" {
			u, to := without(q, "cursor", "sort"), c.name
			if s.Here = c.name == now; s.Here {
				if s.Aria = c.aria; reverse {
					s.Aria = map[string]string{"ascending": "descending", "descending": "ascending"}[c.aria]
				} else {
					to = "-" + to
				}
			}
			u.Set("sort", to)
			s.URL = "/clients?" + u.Encode()
		}
		v.Sorts = append(v.Sorts, s)
	}
}

// export sends the clients of a filter as a file.
func (p *Page) export(format string) func(http.ResponseWriter, *http.Request) error {
	kind := map[string]string{"csv": "text/csv; charset=utf-8", "json": "application/json"}[format]
	return func(w http.ResponseWriter, r *http.Request) error {
		if p.src.Inventory.Stream == nil {
			return control.ErrNoInventory
		}
		q, err := queryOf(r)
		if err != nil {
			return err
		}
		f, err := report.ParseFilter(q)
		if err != nil {
			return problem{err, http.StatusBadRequest}
		}
		whole, _, err := p.lists(f)
		if err != nil {
			return err
		}
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Disposition", `attachment; filename="clients-`+p.options.Now().UTC().Format("20060102T150405Z")+`.`+format+`"`)
		out, err := report.NewWriter(w, format, p.options.Now())
		if err == nil {
			if f.Site {
				out.SetGateways(p.src.Inventory.Site.Gateways())
			}
			err = whole(r.Context(), f, out.Row)
		}
		if err = errors.Join(err, closeWriter(out)); err != nil {
			panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
		}
		return nil
	}
}

func closeWriter(w *report.Writer) error {
	if w == nil {
		return nil
	}
	return w.Close()
}

// clientView is all that is known of a client.
type clientView struct {
	layout
	Row     *report.Row
	Address string
	Now     time.Time
	Site    []string // gateways; empty: this one is alone
	Seats   []seat   // of its legacy means; empty: there is no plan
}

// seat is where a means of a client stands.
type seat struct {
	Name string
	*steer.Seat
}

// seats are those of the legacy means of a client.
func (p *Page) seats(row *report.Row) (list []seat) {
	if p.src.Fleet.Seat == nil || p.src.Fleet.Declared() == "" {
		return nil
	}
	prefix, err := netip.ParsePrefix(row.Address)
	if a, errAddr := netip.ParseAddr(row.Address); errAddr == nil {
		prefix, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil { // its address is not kept
		return nil
	}
	for i := range row.Means {
		if m, ok := plan.ParseMeans(row.Means[i].Kind); ok {
			list = append(list, seat{row.Means[i].String(), p.src.Fleet.Seat(prefix, m, row.Means[i].Key)})
		}
	}
	return list
}

func (p *Page) client(w http.ResponseWriter, r *http.Request) error {
	if p.src.Inventory.Stream == nil {
		return control.ErrNoInventory
	}
	name := strings.TrimSpace(r.URL.Query().Get("address"))
	addr, err := addressOf(name)
	if err != nil {
		return err
	}
	v := &clientView{layout: p.layout(r, name), Address: name, Now: p.options.Now()}
	f := &report.Filter{Address: addr, Resolve: r.URL.Query().Get("resolve") == "1"}
	if p.src.Inventory.Site != nil {
		f.Site, v.Site = true, p.src.Inventory.Site.Gateways()
	}
	whole, _, err := p.lists(f)
	if err != nil {
		return err
	}
	err = whole(r.Context(), f, func(row *report.Row) error {
		v.Row = row.Clone()
		return nil
	})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if v.Row == nil {
		status = http.StatusNotFound
	} else {
		v.Seats = p.seats(v.Row)
	}
	p.send(w, "client", status, v)
	return nil
}

// addressOf reads the name of a row: an address, or a prefix that stands for
// several.
func addressOf(name string) (netip.Addr, error) {
	if strings.HasPrefix(name, "hash:") {
		return netip.Addr{}, bad("the address of this client is not kept, only its hash: the table has what is known of it")
	}
	if p, err := netip.ParsePrefix(name); err == nil {
		return p.Addr(), nil
	}
	a, err := netip.ParseAddr(name)
	if err != nil {
		return a, bad("%.60q is no address", name)
	}
	return a.Unmap().WithZone(""), nil
}
