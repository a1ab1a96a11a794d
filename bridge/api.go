package bridge

import (
	"errors"
	"os"
	"slices"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/page"
)

// openAPI makes what serves the API over HTTPS, and the page; they listen nowhere
// yet.
func (b *Bridge) openAPI(src control.Sources) (err error) {
	if b.api, err = remote.New(control.Remote(src, b.log.Named("api")), b.log.Named("api")); err != nil {
		return err
	}
	name, _ := os.Hostname() // for people, who know where they are without it, too
	pages := page.New(&src, page.Options{Name: name, Version: Version(), Log: b.log.Named("page")})
	b.page, err = remote.New(pages, b.log.Named("page"))
	return err
}

// prepareAPI opens what API and page need. At a start what cannot be opened is
// noted and all else works; a reload is refused for it.
func (b *Bridge) prepareAPI(p *parts, start bool) (api, pages *remote.Change, err error) {
	api, pages = b.api.Prepare(p.set.API), b.page.Prepare(p.set.Page)
	failed := append(slices.Clone(api.Failed), pages.Failed...)
	if len(failed) == 0 {
		return api, pages, nil
	}
	err = errors.Join(failed...)
	if !start {
		return api, pages, err
	}
	b.log.Error("API and page are not served everywhere", "error", err)
	for _, e := range failed {
		b.noted = append(b.noted, e.Error())
	}
	return api, pages, nil
}
