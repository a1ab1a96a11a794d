package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/site"
)

// The paths of the local API that are about all gateways of a site.
const (
	pathSite        = "/v1/site"
	pathSiteHistory = "/v1/site/history"
	pathSiteFacts   = "/v1/site/facts"
)

// Site is where answers about all gateways come from; nil functions say that the
// daemon is alone.
type Site struct {
	Status  func() *site.Status
	History func(ctx context.Context, see func(*history.Entry) error) (history.End, error)
	// Told writes what the other gateways told, as site.ReadTold reads it.
	Told func(w io.Writer) error
}

// routes are what is answered about all gateways.
func (v *Site) routes() []*route {
	list := []*route{
		valueRoute[*site.Status](pathSite, "The gateways of the site, and etcd", func(*http.Request) (any, error) { return v.Status(), nil }),
		{method: http.MethodGet, path: pathSiteHistory, role: remote.Read, lasting: true,
			summary: "What was done on all gateways and by whom, a line for each entry",
			answers: map[string]any{kindNDJSON: history.Entry{}}, serve: v.entries},
		{method: http.MethodGet, path: pathSiteFacts, role: remote.Read, lasting: true,
			summary: "What the other gateways told of their clients, by the day: of whom it is, parts of each, and an empty object",
			answers: map[string]any{kindNDJSON: nil}, serve: v.facts},
	}
	return served(list, func() bool { return v.Status != nil }, ErrAlone)
}

// entries sends the history so that whoever reads it can verify it.
func (v *Site) entries(w http.ResponseWriter, r *http.Request) error {
	var text bytes.Buffer
	if _, err := v.History(r.Context(), func(e *history.Entry) error {
		line, err := json.Marshal(e)
		text.Write(append(line, '\n'))
		return err
	}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", kindNDJSON)
	_, err := w.Write(text.Bytes())
	return err
}

// facts sends what the other gateways told.
func (v *Site) facts(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", kindNDJSON)
	if err := v.Told(w); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// SiteFacts returns what the other gateways told of their clients.
func (c *Client) SiteFacts(ctx context.Context, now time.Time) (*site.Told, *site.View, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(c.stream(ctx, http.MethodGet, pathSiteFacts, nil, w)) }()
	defer r.Close()
	return site.ReadTold(r, uint32(now.Unix()))
}

// Site returns the gateways of the site.
func (c *Client) Site() (*site.Status, error) { return fetch[*site.Status](c, pathSite) }

// SiteHistory writes the history of all gateways, a line for each entry.
func (c *Client) SiteHistory(ctx context.Context, w io.Writer) error {
	return c.stream(ctx, http.MethodGet, pathSiteHistory, nil, w)
}

// WriteSite writes the gateways for people.
func WriteSite(w io.Writer, s *site.Status) error {
	state := "here"
	if !s.Connected {
		state = "AWAY: " + s.Error
	} else if s.Error != "" {
		state = "PROBLEM: " + s.Error
	}
	fmt.Fprintf(w, "etcd      %s, since %s\n", state, s.Since.UTC().Format("2006-01-02 15:04:05"))
	if s.Lock != "" {
		fmt.Fprintf(w, "trying    %s\n", s.Lock)
	}
	if s.Pending+s.Waiting > 0 || s.Behind > 0 {
		fmt.Fprintf(w, "waiting   %d groups of clients, %d entries of the history, %d orders\n", s.Pending, s.Behind, s.Waiting)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "GATEWAY\tSTATE\tSINCE\tCLIENTS\tCLOCK\tPLAN\tREMARK")
	for i := range s.Gateways {
		g := &s.Gateways[i]
		state, remark := "gone", g.Why
		switch {
		case g.Here:
			state = "here"
		case !s.Connected:
			state = "not known"
		}
		if !g.Declared {
			remark = "not in fleet.etcd.gateways"
		}
		if g.Held != "" {
			remark = orText(remark, "held: "+g.Held)
		}
		name := g.Name
		if name == s.Name {
			name += " (this one)"
		}
		since := "-"
		if !g.Since.IsZero() && g.Since.Unix() > 0 {
			since = g.Since.UTC().Format("2006-01-02 15:04:05")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%+.1fs\t%d\t%s\n", name, state, since, g.Clients, g.Ahead, g.Plan, orText(remark, "-"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return writeStandings(w, s)
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// writeStandings writes a column for each gateway: where each group stands.
func writeStandings(w io.Writer, s *site.Status) error {
	type place struct{ group, means string }
	var order []place
	at := map[place]map[string]string{}
	for i := range s.Gateways {
		g := &s.Gateways[i]
		for _, p := range g.Places {
			k := place{p.Group, p.Means}
			if at[k] == nil {
				at[k] = map[string]string{}
				order = append(order, k)
			}
			text := p.Stage
			if p.Round > 0 {
				text = fmt.Sprintf("%s %d", p.Stage, p.Round)
			}
			if p.Trying != "" {
				text += " -> " + p.Trying
			}
			if p.Held != "" {
				text += " (held)"
			}
			at[k][g.Name] = text
		}
	}
	if len(order) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprint(t, "GROUP\tMEANS")
	for i := range s.Gateways {
		fmt.Fprint(t, "\t", s.Gateways[i].Name)
	}
	fmt.Fprintln(t)
	for _, k := range order {
		fmt.Fprintf(t, "%s\t%s", k.group, k.means)
		for i := range s.Gateways {
			fmt.Fprint(t, "\t", orText(at[k][s.Gateways[i].Name], "-"))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// SiteInventory is where answers about the clients of all gateways come from.
type SiteInventory struct {
	Gateways func() []string
	Stream   ListWhole
	Page     ListPart
	Keys     func(ctx context.Context) ([]*report.Key, error)
	Summary  func(ctx context.Context, by string) (*report.Summary, error)
	// Days returns what all clients used, day by day.
	Days func(ctx context.Context) ([]report.DayCount, error)
}

// siteParameter asks for all gateways.
var siteParameter = parameter{name: "site", summary: "1: of all gateways of the site", kind: "string", words: []string{"1"}}

func ofSite(r *http.Request) bool { return r.URL.Query().Get("site") == "1" }

// ListWhole gives the rows that a filter wants to emit, and ListPart those of a
// part of it, which begins at a cursor.
type (
	ListWhole = func(ctx context.Context, f *report.Filter, emit func(*report.Row) error) error
	ListPart  = func(ctx context.Context, f *report.Filter, cursor string, size int, emit func(*report.Row) error) (*report.Part, error)
)

// Lists returns what gives the list that a filter wants, of this gateway or of
// all.
func (v *Inventory) Lists(f *report.Filter) (ListWhole, ListPart, error) {
	switch {
	case !f.Site:
		return v.Stream, v.Page, nil
	case v.Site == nil:
		return nil, nil, ErrAlone
	}
	return v.Site.Stream, v.Site.Page, nil
}

// KeysSite returns the keys with who uses them on any gateway.
func (c *Client) KeysSite() ([]*report.Key, error) {
	return fetch[[]*report.Key](c, pathKeys+"?site=1")
}

// SummarySite returns hosts by means, of all gateways.
func (c *Client) SummarySite(by string) (*report.Summary, error) {
	return fetch[*report.Summary](c, pathSummary+"?site=1&by="+url.QueryEscape(by))
}
