package page

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/history"
)

// lately returns the entries of the last so long, the newest first, at most
// entriesShown, and how many more there are.
func (p *Page) lately(span time.Duration) (list []*history.Entry, more int) {
	now := p.options.Now()
	list, _ = p.kept.lately.get(now, func() ([]*history.Entry, error) { return p.entriesSince(now.Add(-span)), nil })
	more = max(len(list)-entriesShown, 0)
	return list[:len(list)-more], more
}

// entriesSince returns entries, the newest first. All of the history is read for
// that, and verified.
func (p *Page) entriesSince(since time.Time) (list []*history.Entry) {
	_, _ = p.src.Fleet.History(func(e *history.Entry) error { // a history that cannot be read is a problem of the status
		if e.Time.After(since) {
			list = append(list, e)
		}
		return nil
	})
	slices.Reverse(list)
	return list
}

// historyView is what was done, the newest first.
type historyView struct {
	layout
	Entries []*history.Entry
	Total   uint64
	Hash    string // of the newest
	Problem string
	Older   string // URLs
	Newer   string
	First   bool // these are the newest ones
	Scopes  []choice
}

// historyPart is how many entries a page has.
const historyPart = 50

func (p *Page) history(w http.ResponseWriter, r *http.Request) error {
	if p.src.Fleet.Status == nil {
		return control.ErrNoInventory
	}
	before := uint64(0)
	if s := r.URL.Query().Get("before"); s != "" {
		var err error
		if before, err = strconv.ParseUint(s, 10, 63); err != nil || before == 0 {
			return bad("before=%.20q is not the number of an entry", s)
		}
	}
	v := &historyView{layout: p.layout(r, "History"), First: before == 0}
	read, at, site := p.src.Fleet.History, "/history?before=", r.URL.Query().Get("site") == "1"
	if v.Scopes = p.scopes("/history", site); site {
		if p.src.Site.History == nil {
			return control.ErrAlone
		}
		at = "/history?site=1&before="
		read = func(see func(*history.Entry) error) (history.End, error) { return p.src.Site.History(r.Context(), see) }
	}
	end, err := read(func(e *history.Entry) error {
		if before != 0 && e.Number >= before {
			return nil
		}
		if len(v.Entries) == historyPart {
			v.Entries = slices.Delete(v.Entries, 0, 1)
		}
		v.Entries = append(v.Entries, e)
		return nil
	})
	if err != nil {
		v.Problem = err.Error()
	}
	v.Total, v.Hash = end.Lines, end.Hash
	slices.Reverse(v.Entries)
	if n := len(v.Entries); n > 0 && v.Entries[n-1].Number > 1 {
		v.Older = at + strconv.FormatUint(v.Entries[n-1].Number, 10)
	}
	if before != 0 {
		if v.Newer = strings.TrimRight(strings.TrimSuffix(at, "before="), "?&"); before+historyPart <= end.Lines {
			v.Newer = at + strconv.FormatUint(before+historyPart, 10)
		}
	}
	p.send(w, "history", http.StatusOK, v)
	return nil
}
