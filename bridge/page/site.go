package page

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/site"
)

// siteView is all gateways of the site.
type siteView struct {
	layout
	*site.Status
	Away      []site.Gateway // that do not count, and why
	Present   int            // of the declared
	Declared  int
	Rows      []gatewayRow
	Columns   []string // gateways that are declared, or told where their groups stand
	Standings []standing
	Untold    string // what waits for etcd; empty: nothing
	figures
}

// gatewayRow is a gateway in the table.
type gatewayRow struct {
	site.Gateway
	Self         bool
	State, Class string
	Remark       string
	SamePlan     bool // as this one
}

// standing is a means of a group with where it stands on each gateway.
type standing struct {
	Group, Means string
	Cells        []standingCell
}

// standingCell is such a place; Stage is empty where nothing is known.
type standingCell struct {
	Gateway string
	site.Place
	Least bool // others are further
}

func (p *Page) site(w http.ResponseWriter, r *http.Request) error {
	if p.src.Site.Status == nil {
		return control.ErrAlone
	}
	v := &siteView{layout: p.layout(r, "Site"), Status: p.src.Site.Status()}
	v.gateways()
	v.standings()
	v.Untold = untold(v.Status)
	if p.src.Inventory.Site != nil {
		sum, err := p.siteSummary()
		if err != nil {
			return err
		}
		list, err := p.siteDays()
		if err != nil {
			return err
		}
		v.figures = newFigures(sum)
		if err := v.plot(r, list); err != nil {
			return err
		}
	}
	p.send(w, "site", http.StatusOK, v)
	return nil
}

// untold is what this gateway knows and etcd does not.
func untold(s *site.Status) string {
	var list []string
	add := func(n int, one, many string) {
		if n > 0 {
			list = append(list, plural(n, one, many))
		}
	}
	add(s.Pending, "group of clients", "groups of clients")
	add(int(min(s.Behind, math.MaxInt32)), "entry of the history", "entries of the history")
	add(s.Waiting, "order", "orders")
	return strings.Join(list, ", ")
}

// gateways says of each what an operator looks for first.
func (v *siteView) gateways() {
	plan := uint64(0)
	for i := range v.Gateways {
		if v.Gateways[i].Name == v.Name {
			plan = v.Gateways[i].Plan
		}
	}
	for _, g := range v.Gateways {
		row := gatewayRow{Gateway: g, Self: g.Name == v.Name, State: "gone", Class: "bad", Remark: g.Why, SamePlan: g.Plan == plan}
		switch {
		case !g.Declared:
			row.State, row.Class, row.Remark = "not declared", "warn", cmp.Or(g.Why, "is not in fleet.etcd.gateways")
		case g.Here && g.Why == "":
			row.State, row.Class = "here", "good"
		case g.Here:
			row.State, row.Class = "here", "warn"
		case g.Since.IsZero() || g.Since.Unix() <= 0:
			row.State = "never seen"
		case !v.Connected:
			row.State, row.Class = "not known", "warn"
		}
		if g.Declared {
			v.Declared++
			if g.Here {
				v.Present++
			}
			if g.Why != "" {
				v.Away = append(v.Away, g)
			}
		}
		v.Rows = append(v.Rows, row)
	}
}

// standings puts the places of all gateways side by side, in the order of the
// plan.
func (v *siteView) standings() {
	for i := range v.Gateways {
		if g := &v.Gateways[i]; g.Declared || len(g.Places) > 0 {
			v.Columns = append(v.Columns, g.Name)
		}
		for _, p := range v.Gateways[i].Places {
			if !slices.ContainsFunc(v.Standings, func(s standing) bool { return s.Group == p.Group && s.Means == p.Means }) {
				v.Standings = append(v.Standings, v.standing(p.Group, p.Means))
			}
		}
	}
}

func (v *siteView) standing(group, means string) standing {
	s, most := standing{Group: group, Means: means}, -1
	for i := range v.Gateways {
		c := standingCell{Gateway: v.Gateways[i].Name}
		k := slices.IndexFunc(v.Gateways[i].Places, func(p site.Place) bool { return p.Group == group && p.Means == means })
		if k < 0 && !v.Gateways[i].Declared && len(v.Gateways[i].Places) == 0 {
			continue
		}
		if k >= 0 {
			c.Place = v.Gateways[i].Places[k]
			most = max(most, c.Rank)
		}
		s.Cells = append(s.Cells, c)
	}
	for i := range s.Cells {
		s.Cells[i].Least = s.Cells[i].Stage != "" && s.Cells[i].Rank < most
	}
	return s
}

// siteTile is the site on the first page.
type siteTile struct {
	Present, Declared int
	Text              string // what is the matter, or that nothing is
	Bad               bool
}

// siteTile returns it, nil where this gateway is alone.
func (p *Page) siteTile() *siteTile {
	if p.src.Site.Status == nil {
		return nil
	}
	v := &siteView{Status: p.src.Site.Status()}
	v.gateways()
	t := &siteTile{Present: v.Present, Declared: v.Declared, Text: "all are here", Bad: true}
	switch {
	case !v.Connected:
		t.Text = "etcd is away"
	case len(v.Away) > 1:
		t.Text = v.Away[0].Name + " " + v.Away[0].Why + ", and " + plural(len(v.Away)-1, "other", "others")
	case len(v.Away) == 1:
		t.Text = v.Away[0].Name + " " + v.Away[0].Why
	case v.Error != "":
		t.Text = v.Error
	default:
		t.Bad = false
	}
	return t
}

// scopes are this gateway and the whole site as choices of a page; nil where
// this gateway is alone.
func (p *Page) scopes(path string, site bool) []choice {
	if p.src.Site.Status == nil {
		return nil
	}
	return []choice{{"this gateway", path, !site}, {"all gateways", path + "?site=1", site}}
}
