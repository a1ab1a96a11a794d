package bridge

import (
	"errors"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/remote"
)

// openAPI makes what serves the API over HTTPS; it listens nowhere yet.
func (b *Bridge) openAPI(src control.Sources) (err error) {
	b.api, err = remote.New(control.Remote(src, b.log.Named("api")), b.log.Named("api"))
	return err
}

// prepareAPI opens what the API needs. At a start what cannot be opened is
// noted and all else works; a reload is refused for it.
func (b *Bridge) prepareAPI(c *change, start bool) error {
	c.api = b.api.Prepare(c.parts.set.API)
	if len(c.api.Failed) == 0 {
		return nil
	}
	err := errors.Join(c.api.Failed...)
	if !start {
		return err
	}
	b.log.Error("the API is not served everywhere", "error", err)
	for _, e := range c.api.Failed {
		b.noted = append(b.noted, e.Error())
	}
	return nil
}
