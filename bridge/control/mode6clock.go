package control

import "ntsbridge/bridge/ntp"

// ClockVariables are what ntpq shows of a reference clock by cv, with ntpd's
// names.
type ClockVariables struct {
	Device      string
	Timecode    string // the last reading; empty: there is none to show
	Polls       uint64 // poll
	NoReply     uint64
	BadFormat   uint64
	BadData     uint64
	Stratum     uint8
	ReferenceID uint32
	Flags       uint8
}

type clockVariable = variable[ClockVariables]

// clockVariables are in the order of ntpd's table.
var clockVariables = []clockVariable{
	{"type", noValue[ClockVariables]}, // a number of ntpd's drivers
	{"timecode", func(w *queryWriter, n string, c *ClockVariables) { w.quoted(n, c.Timecode) }},
	{"poll", func(w *queryWriter, n string, c *ClockVariables) { w.uint(n, c.Polls) }},
	{"noreply", func(w *queryWriter, n string, c *ClockVariables) { w.uint(n, c.NoReply) }},
	{"badformat", func(w *queryWriter, n string, c *ClockVariables) { w.uint(n, c.BadFormat) }},
	{"baddata", func(w *queryWriter, n string, c *ClockVariables) { w.uint(n, c.BadData) }},
	{"fudgetime1", noValue[ClockVariables]},
	{"fudgetime2", noValue[ClockVariables]},
	{"stratum", func(w *queryWriter, n string, c *ClockVariables) { w.uint(n, uint64(c.Stratum)) }},
	{"refid", func(w *queryWriter, n string, c *ClockVariables) { w.refID(n, c.ReferenceID, c.Stratum, true) }},
	{"flags", func(w *queryWriter, n string, c *ClockVariables) { w.uint(n, uint64(c.Flags)) }},
	{"device", func(w *queryWriter, n string, c *ClockVariables) { w.quoted(n, c.Device) }},
	{"clock_var_list", nil},
	{"minjitter", noValue[ClockVariables]},
}

// defaultClockVariables are those of cv.
var defaultClockVariables = pick(clockVariables, "device", "timecode", "poll", "noreply", "badformat", "baddata", "stratum", "refid",
	"flags")

func init() {
	clockVariables[indexVariable(clockVariables, "clock_var_list")].put = func(w *queryWriter, n string, _ *ClockVariables) {
		w.quotedList(n, listed(n, clockVariables))
	}
}

// answerClock answers cv: of the association that is named, or of the first
// that is a clock. There are no events of clocks: the status is 0.
func (q *query) answerClock(w *queryWriter, src QuerySource, now ntp.Timestamp) queryError {
	for _, a := range src.Associations(now) {
		if a.Clock != nil && (q.head.AssociationID == 0 || a.ID == q.head.AssociationID) {
			return putVariables(w, clockVariables, defaultClockVariables, q.data, a.Clock)
		}
	}
	return errAssociation
}
