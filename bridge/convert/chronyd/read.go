// Package chronyd works out what chronyd 4.6 does with a configuration that
// bridge/convert/chronyconf has read.
//
// A reader collects what the directives say. Its methods are in a file for each
// subject, and one table in directives.go calls them by the directive.
package chronyd

import (
	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/restrict"
)

// Read works out what chronyd does with a configuration.
func Read(work *job.Job) {
	c := &reader{work}
	c.Parsed = chronyconf.Parse(c.In.Name, c.In.Data, c.In.Files, c.Read)
	c.Index()
	c.Account(c.syntaxError)
	c.Model.Restricts = &restrict.List{}
	c.CommandLine()
	c.syntax()
	c.statements()
	c.duplicates()
	if c.Opt.Client != nil {
		c.Quietly(c.access)
		c.Quietly(c.local)
		c.Quietly(func() { c.rates() })
		return
	}
	c.access()
	c.local()
	c.manual()
	c.locks()
	c.PlanSources()
	c.steering()
	c.setLimit()
	c.setNTS()
	c.setCommands()
}
