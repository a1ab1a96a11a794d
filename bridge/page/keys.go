package page

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/report"
)

// keysView is what clients authenticate by, with its ends.
type keysView struct {
	layout
	Certificates []certificateRow
	NTS          *control.NTS // nil: it is off
	Keys         []keyRow
	Unused       int
	Strange      int // that clients ask for and the table does not have
	Inventory    bool
	Site         bool
	Scopes       []choice // this gateway or all; nil: it is alone
}

type certificateRow struct {
	control.Certificate
	Class string
	Share int // of its life that is left, percent
}

type keyRow struct {
	Of                 *report.Key
	Name, State, Class string
	Counts             []labelCount
}

type labelCount struct {
	Name  string
	Count int
}

// soon is how many days before its end a certificate is worth a look.
const soon = 14

func (p *Page) keys(w http.ResponseWriter, r *http.Request) error {
	v := &keysView{layout: p.layout(r, "Keys and certificates")}
	if p.src.Certificates != nil {
		for _, c := range p.src.Certificates() {
			v.Certificates = append(v.Certificates, certificateRow{c, certificateClass(&c), lifeLeft(&c, v.At)})
		}
		slices.SortStableFunc(v.Certificates, func(a, b certificateRow) int { return a.NotAfter.Compare(b.NotAfter) })
	}
	if p.src.NTS != nil {
		v.NTS = p.src.NTS()
	}
	if p.src.Inventory.Keys != nil {
		of, site := p.keyList, r.URL.Query().Get("site") == "1"
		if v.Site, v.Scopes = site, p.scopes("/keys", site); site {
			if p.src.Inventory.Site == nil {
				return control.ErrAlone
			}
			of = p.siteKeys
		}
		list, err := of()
		if err != nil {
			return err
		}
		v.Inventory = true
		for _, k := range list {
			v.Keys = append(v.Keys, v.key(k))
		}
	}
	p.send(w, "keys", http.StatusOK, v)
	return nil
}

func certificateClass(c *control.Certificate) string {
	switch {
	case c.DaysLeft < 0:
		return "bad"
	case c.DaysLeft < soon || len(c.Problems) > 0:
		return "warn"
	}
	return "good"
}

func lifeLeft(c *control.Certificate, now time.Time) int {
	life := c.NotAfter.Sub(c.NotBefore)
	if life <= 0 {
		return 0
	}
	return int(100 * min(max(c.NotAfter.Sub(now).Seconds()/life.Seconds(), 0), 1))
}

func (v *keysView) key(k *report.Key) keyRow {
	row := keyRow{Of: k, Name: strconv.FormatUint(uint64(k.Key), 10), State: "in use", Class: "good", Counts: labelCounts(k.Labels)}
	if k.Kind == "autokey" {
		row.Name = strings.TrimSpace("Autokey " + k.Group)
	}
	switch {
	case !k.Known:
		row.State, row.Class = "not here", "bad"
		v.Strange++
	case k.Clients == 0:
		row.State, row.Class = "unused", "quiet"
		v.Unused++
	}
	return row
}

// labelsOfKey is how many labels a key shows.
const labelsOfKey = 4

func labelCounts(m map[string]int) (list []labelCount) {
	for name, n := range m {
		if name == "" {
			name = "no label"
		}
		list = append(list, labelCount{name, n})
	}
	slices.SortFunc(list, func(a, b labelCount) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list[:min(len(list), labelsOfKey)]
}
