package clock

// Rates of the log, ns.
const (
	quietTime = int64(60e9)   // between two lines of one kind
	alarmTime = int64(3600e9) // between two alarms
	// An alarm is foreignAlarm interventions of others within foreignTime; it
	// ends when there was none for foreignEnd.
	foreignAlarm = 3
	foreignTime  = int64(60e9)
	foreignEnd   = int64(600e9)
)

// leastJump is the least change of the system clock by others, s, of which
// holders of timestamps are told: less is what a foreign rate does in a second.
const leastJump = 1e-3

// limits bounds how often a kind of line is logged: when it was last, on Raw.
type limits map[string]int64

// allow tells whether a line may be logged now.
func (l limits) allow(kind string, now int64) bool {
	if at, there := l[kind]; there && now-at < quietTime {
		return false
	}
	l[kind] = now
	return true
}

// foreign follows who else is at the clock.
type foreign struct {
	count      int
	slack      float64 // by which the last tick's measurements may be wrong, s
	expected   float64 // change that the discipline will take for somebody else's, s
	overridden bool    // the last tick did not do what the discipline said
	times      [foreignAlarm]int64
	alarm      bool
	alarmed    int64
}
