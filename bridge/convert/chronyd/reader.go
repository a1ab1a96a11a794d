package chronyd

import (
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
)

// reader reads chrony.conf.
type reader struct{ *job.Job }

// disposition is what becomes of a word whatever its value.
type disposition job.Disposition

func (c *reader) apply(r *report.Record, d disposition) { c.Apply(r, job.Disposition(d)) }

// syntaxError tells of a word that chronyd does not know.
func (c *reader) syntaxError(r *report.Record, _ syntax.Diagnostic) {
	r.Note(report.Error, "unknown-directive", "delete or correct the line",
		"chronyd does not know this directive, and does not start with it")
}
