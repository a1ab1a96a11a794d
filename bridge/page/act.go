package page

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/steer"
)

// deed is something that is done to the migration, as it is asked for.
type deed struct {
	Title string // of the page and the button
	What  string // it does
	Class string
}

var deeds = map[string]deed{
	migration.Advance: {"Advance", "The next step begins: it refuses whom it is about, and ends by itself.", "primary"},
	migration.Hold: {"Hold", "What is being tried ends, its clients are served again, and no step begins until somebody resumes. " +
		"What is refused for good stays so.", "primary"},
	migration.Resume: {"Resume", "What was held may go on.", "primary"},
	migration.Rollback: {"Roll back",
		"Everybody is served again, at once, and the group is held; its next step is the canary.", "danger"},
}

// confirmView asks whether something is to be done.
type confirmView struct {
	layout
	Deed             deed
	Do, Group, Means string
	Reason           string
	Force            bool // it can be forced
	Forced           bool // that was chosen
	Places           []placeView
	Problem          string
}

// maxReason bounds why something is done, octets.
const maxReason = 1000

// asked reads what somebody wants to do.
func asked(q url.Values) (*migration.Request, deed, error) {
	do := q.Get("do")
	d, ok := deeds[do]
	if !ok {
		return nil, d, bad("%.40q is none of advance, hold, resume and rollback", do)
	}
	r := &migration.Request{Do: do, Group: q.Get("group"), Means: q.Get("means"), Reason: strings.TrimSpace(q.Get("reason")),
		Force: q.Get("force") == "1" && do == migration.Advance}
	if len(r.Reason) > maxReason {
		return nil, d, bad("the reason has %d octets, at most %d are kept", len(r.Reason), maxReason)
	}
	if r.Group == "" && (do == migration.Advance || do == migration.Rollback) {
		return nil, d, bad("which group?")
	}
	return r, d, nil
}

func (p *Page) confirm(w http.ResponseWriter, r *http.Request) error {
	if p.src.Fleet.Ask == nil {
		return control.ErrNoInventory
	}
	q, d, err := asked(r.URL.Query())
	if err != nil {
		return err
	}
	return p.ask(w, r, q, d, http.StatusOK, "")
}

// ask shows what is about to be done, and the form that does it.
func (p *Page) ask(w http.ResponseWriter, r *http.Request, q *migration.Request, d deed, status int, why string) error {
	v := &confirmView{layout: p.layout(r, d.Title), Deed: d, Do: q.Do, Group: q.Group, Means: q.Means, Reason: q.Reason, Problem: why,
		Forced: q.Force}
	board := &migrationView{layout: v.layout, Status: p.status(), Stages: stageNames()}
	for i := range board.Status.Places {
		s := &board.Status.Places[i]
		if (q.Group == "" || s.Group == q.Group) && (q.Means == "" || s.Means == q.Means) {
			v.Places = append(v.Places, board.place(s, i))
		}
	}
	if len(v.Places) == 0 {
		return problem{errors.New("the plan has no such group and means"), http.StatusNotFound}
	}
	v.Force = q.Do == migration.Advance && slices.ContainsFunc(v.Places, func(s placeView) bool {
		return s.Next != nil &&
			!s.Next.Open()
	})
	p.send(w, "confirm", status, v)
	return nil
}

// act does what was confirmed.
func (p *Page) act(w http.ResponseWriter, r *http.Request) error {
	if p.src.Fleet.Ask == nil {
		return control.ErrNoInventory
	}
	if err := r.ParseForm(); err != nil {
		return problem{err, http.StatusBadRequest}
	}
	if err := remote.CheckForm(r); err != nil {
		return problem{err, http.StatusForbidden}
	}
	c := remote.CallerOf(r.Context())
	if c == nil || c.Role < remote.Write {
		return problem{errors.New("this needs a token or a certificate that may write"), http.StatusForbidden}
	}
	q, d, err := asked(r.PostForm)
	if err != nil {
		return err
	}
	answer, err := p.src.Fleet.Ask(c.Name+", on the page", q)
	p.kept.status.forget()
	p.kept.lately.forget()
	p.options.Log.Info("told on the page", "do", q.Do, "group", q.Group, "means", q.Means, "by", c.Name, "error", err)
	if err != nil {
		if errors.Is(err, steer.ErrNoPlan) {
			return problem{err, http.StatusConflict}
		}
		return p.ask(w, r, q, d, http.StatusConflict, err.Error())
	}
	http.Redirect(w, r, "/migration?done="+p.notices.put(answer.Done), http.StatusSeeOther)
	return nil
}
