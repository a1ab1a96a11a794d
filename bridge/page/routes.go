package page

import (
	"html/template"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/remote"
)

// New returns what package remote protects.
func New(src *control.Sources, o Options) remote.Protected {
	p := newPage(src, o)
	return remote.Protected{Handler: p, Needs: p.needs, Refuse: p.refuse, Logins: true, Open: p.open,
		Watch: func(h http.Handler) http.Handler { return src.Requests.Watch(control.ByPage, h, p.known) }}
}

func newPage(src *control.Sources, o Options) *Page {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	p := &Page{src: src, options: o, files: map[string]*file{}}
	p.style, p.script = p.asset("page.css", "text/css; charset=utf-8"), p.asset("page.js", "text/javascript; charset=utf-8")
	p.files["/favicon.ico"] = p.files[p.asset("icon.svg", "image/svg+xml")]
	p.pages = template.Must(template.New("").Funcs(functions).ParseFS(assets, "assets/*.html"))
	get := http.MethodGet
	p.routes = map[string]*route{
		"/":                  {method: get, serve: p.overview},
		"/clients":           {method: get, serve: p.clients},
		"/clients.csv":       {method: get, serve: p.export("csv"), lasts: true},
		"/clients.json":      {method: get, serve: p.export("json"), lasts: true},
		"/client":            {method: get, serve: p.client},
		"/migration":         {method: get, serve: p.migration},
		"/migration/confirm": {method: get, role: remote.Write, serve: p.confirm},
		"/migration/act":     {method: http.MethodPost, role: remote.Write, serve: p.act},
		"/history":           {method: get, serve: p.history},
		"/sources":           {method: get, serve: p.sources},
		"/keys":              {method: get, serve: p.keys},
		"/site":              {method: get, serve: p.site},
		"/events":            {method: get, serve: p.events, lasts: true},
		remote.PathLogin:     {method: get, serve: p.login},
	}
	for _, t := range p.routes {
		t.role = max(t.role, remote.Read)
	}
	p.routes[remote.PathLogin].role = remote.Nobody
	return p
}
