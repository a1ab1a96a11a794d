package ntpd

import (
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
)

// reader works out what ntpd does.
type reader struct {
	*job.Job
	fixed   map[syntax.Place]string      // lines that are read as they were meant
	running map[syntax.Place]string      // lines that are read as the daemon reads them; what was written
	numbers map[*syntax.Statement]string // addresses that are written as other numbers; how

	sourceNames, disabledWords, exceptions map[string]bool // on first use
}

// disposition is what becomes of a word whatever its value.
type disposition job.Disposition

func (c *reader) apply(r *report.Record, d disposition) { c.Apply(r, job.Disposition(d)) }
