package control

import (
	"fmt"
	"io"
	"strings"

	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/ntp"
)

// ReportOptions say how a report is written.
type ReportOptions struct {
	Addresses  bool // addresses instead of names (chronyc -n)
	WholeNames bool // names of any length; else they end at 25 characters with ">" (chronyc -N)
	Legend     bool // what the columns mean, before them (chronyc -v)
	Why        bool // a last column with the reason why a source is not selected
	CSV        bool // chronyc -c: plain numbers, no headings, addresses unless WholeNames
}

// maxNameLen is how many characters of a name fit into its column.
const maxNameLen = 25

// name returns what stands in the column of names.
func (o *ReportOptions) name(name, address string) string {
	if address != "" && (o.Addresses || o.CSV && !o.WholeNames || name == "") {
		return address
	}
	name = spell.Printable(name)
	if len(name) > maxNameLen && name != address && !o.WholeNames && !o.CSV {
		return name[:maxNameLen-1] + ">"
	}
	return name
}

// because returns the last column.
func (o *ReportOptions) because(why string) string {
	if !o.Why || why == "" {
		return ""
	}
	return "  " + spell.Printable(why)
}

// columns is a report of one line per source.
type columns[T any] struct {
	legend, heading string
	csv             func(*T, *ReportOptions) string
	text            func(*T, *ReportOptions) string
}

func (c *columns[T]) write(w io.Writer, list []T, o ReportOptions) error {
	out := new(strings.Builder)
	line := c.csv
	if !o.CSV {
		line = c.text
		if o.Legend {
			out.WriteString(c.legend)
		}
		heading := c.heading
		if o.Why {
			heading += "  Why"
		}
		fmt.Fprintf(out, "%s\n%s\n", heading, strings.Repeat("=", len(heading)))
	}
	for i := range list {
		out.WriteString(line(&list[i], &o))
		out.WriteByte('\n')
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// WriteSources writes chronyc's sources report.
func WriteSources(w io.Writer, list []Source, o ReportOptions) error {
	return sourceColumns.write(w, list, o)
}

var sourceColumns = columns[Source]{
	legend: `Column M: ^ a server, = a symmetric peer, # a reference clock of this host
Column S: * best, + used with it, - good but not used, x disagrees with the majority,
          ~ varies too much, ? not usable
Poll: log2 of the interval in seconds.  Reach: the last eight requests, octal; 1: answered
LastRx: age of the last good sample.  Last sample: how far this host's clock was ahead
of the source, with corrections since [as measured] +/- bound of the error
`,
	heading: "MS Name/IP address         Stratum Poll Reach LastRx Last sample               ",
	csv: func(s *Source, o *ReportOptions) string {
		return fmt.Sprintf("%c,%c,%s,%d,%d,%o,%d,%.9f,%.9f,%.9f", s.Mode.sign(), s.State.sign(), o.name(s.Name, s.Address),
			s.Stratum, s.Poll, s.Reach, csvAge(s.LastRx), s.Offset, s.Measured, s.Error)
	},
	text: func(s *Source, o *ReportOptions) string {
		return fmt.Sprintf("%c%c %-27s  %2d  %2d   %3o  %4s  %7s[%7s] +/- %6s%s", s.Mode.sign(), s.State.sign(), o.name(s.Name, s.Address),
			s.Stratum, s.Poll, s.Reach, formatAge(s.LastRx), formatSigned(s.Offset), formatSigned(s.Measured), formatSpan(s.Error),
			o.because(s.Why))
	},
}

// WriteSourceStats writes chronyc's sourcestats report.
func WriteSourceStats(w io.Writer, list []SourceStats, o ReportOptions) error {
	o.Why = false
	return statsColumns.write(w, list, o)
}

var statsColumns = columns[SourceStats]{
	legend: `NP: samples that the others are of.  NR: runs of them that missed on one side what
was expected; far fewer than half of NP: the source's clock is not as steady as thought
Span: time from the oldest to the newest sample.  Frequency: by how much this host's
clock, as it is corrected, is fast against the source, ppm.  Freq Skew: its error
Offset: how far this host's clock is ahead of the source.  Std Dev: of the samples
`,
	heading: "Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev",
	csv: func(s *SourceStats, o *ReportOptions) string {
		deviation, skew := s.spread()
		return fmt.Sprintf("%s,%d,%d,%d,%.3f,%.3f,%.9f,%.9f", o.name(s.Name, s.Address), s.Samples, s.Runs, csvAge(s.Span), s.Frequency, skew,
			s.Offset, deviation)
	},
	text: func(s *SourceStats, o *ReportOptions) string {
		deviation, skew := s.spread()
		return fmt.Sprintf("%-25s %3d %3d  %4s %s %s %8s  %6s", o.name(s.Name, s.Address), s.Samples, s.Runs, formatAge(s.Span),
			formatRate(s.Frequency, true), formatRate(skew, false), formatSigned(s.Offset), formatSpan(deviation))
	},
}

// WriteAuthData writes chronyc's authdata report.
func WriteAuthData(w io.Writer, list []AuthData, o ReportOptions) error {
	return authColumns.write(w, list, o)
}

var authColumns = columns[AuthData]{
	legend: `Mode: NTS, SK a symmetric key, - none: anybody on the way can change the time.
      AK Autokey: legacy-signed, which nobody should take for authenticated
KeyID: of the symmetric key; with NTS a count of establishments.  Type: number of the
algorithm.  KLen: bits that are secret.  Last: age of the keys.  Atmp: attempts to get
new ones.  NAK: refusals since the last request.  Cook: cookies.  CLen: their octets
`,
	heading: "Name/IP address             Mode KeyID Type KLen Last Atmp  NAK Cook CLen",
	csv: func(a *AuthData, o *ReportOptions) string {
		return fmt.Sprintf("%s,%s,%d,%d,%d,%d,%d,%d,%d,%d", o.name(a.Name, a.Address), a.Mode.word(), a.KeyID, a.Type, a.KeyLength,
			csvAge(a.Last), a.Attempts, a.NAKs, a.Cookies, a.CookieLength)
	},
	text: func(a *AuthData, o *ReportOptions) string {
		return fmt.Sprintf("%-27s %4s %5d %4d %4d %4s %4d %4d %4d %4d%s", o.name(a.Name, a.Address), a.Mode.word(), a.KeyID, a.Type,
			a.KeyLength,
			formatAge(a.Last), a.Attempts, a.NAKs, a.Cookies, a.CookieLength, o.because(a.Why))
	},
}

// WriteSelectData writes chronyc's selectdata report.
func WriteSelectData(w io.Writer, list []SelectData, o ReportOptions) error {
	return selectColumns.write(w, list, o)
}

var selectColumns = columns[SelectData]{
	legend: `Column S: N noselect, s not synchronised, M too few samples, d or D too distant, ~ varies
          too much, w or W waits for others, S stale, O orphan, T disagrees with trusted,
          P others are preferred, U waits for a sample, x disagrees with the majority,
          + used, * best
Auth: authenticated by a key or NTS; never by Autokey.  COpts, EOpts: N noselect, P prefer,
T trust, R require, as configured and as they are in effect.  Score: - not kept here
Interval: within which this host's clock is ahead of true time, according to the source
`,
	heading: "S Name/IP Address        Auth COpts EOpts Last Score     Interval  Leap",
	csv: func(s *SelectData, o *ReportOptions) string {
		options := strings.Join(append(s.Configured.letters(), s.Effective.letters()...), ",")
		return fmt.Sprintf("%s,%s,%c,%s,%d,%s,%.9f,%.9f,%s", s.state(), o.name(s.Name, s.Address), yesOrNo(s.Authenticated),
			options, csvAge(s.LastRx), formatScore(s.Score), s.Low, s.High, leapWords(s.Leap))
	},
	text: func(s *SelectData, o *ReportOptions) string {
		return fmt.Sprintf("%s %-25s %c %s %s %4s %5s %7s %7s  %c%s", s.state(), o.name(s.Name, s.Address), yesOrNo(s.Authenticated),
			strings.Join(s.Configured.letters(), ""), strings.Join(s.Effective.letters(), ""), formatAge(s.LastRx), formatScore(s.Score),
			formatSigned(s.Low), formatSigned(s.High), leapSign(s.Leap), o.because(s.Why))
	},
}

// WriteText writes chronyc's tracking report; with o.Legend followed by what
// chronyc does not have.
func (t *Tracking) WriteText(w io.Writer, o ReportOptions) error {
	if o.CSV {
		return t.writeCSV(w, o)
	}
	o.WholeNames = true // there is room
	name := o.name(t.ReferenceName, t.ReferenceAddress)
	out := new(strings.Builder)
	row := func(title, format string, args ...any) {
		fmt.Fprintf(out, "%-15s : "+format+"\n", append([]any{title}, args...)...)
	}
	row("Reference ID", "%v (%s)", t.ReferenceID, name)
	row("Stratum", "%d", t.Stratum)
	row("Ref time (UTC)", "%s", t.referenceUnix().Format("Mon Jan 02 15:04:05 2006"))
	row("System time", "%.9f seconds %s of NTP time", abs(t.SystemOffset), either(t.SystemOffset < 0, "slow", "fast"))
	row("Last offset", "%+.9f seconds", t.LastOffset)
	row("RMS offset", "%.9f seconds", t.RMSOffset)
	row("Frequency", "%.3f ppm %s", abs(t.Frequency), either(t.Frequency > 0, "fast", "slow"))
	row("Residual freq", "%+.3f ppm", t.Residual)
	row("Skew", "%.3f ppm", t.Skew)
	row("Root delay", "%.9f seconds", t.RootDelay)
	row("Root dispersion", "%.9f seconds", t.RootDispersion)
	row("Update interval", "%.1f seconds", t.UpdateInterval)
	row("Leap status", "%s", leapWords(t.Leap))
	if o.Legend {
		row("Poll", "%d (%d seconds)", t.Poll, 1<<min(max(t.Poll, 0), 30))
		row("Updates", "%d", t.Updates)
		row("Steps", "%d", t.Steps)
		row("Foreign changes", "%d", t.Foreign)
	}
	if t.Held != "" {
		row("Clock held", "%s", spell.Printable(t.Held))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (t *Tracking) writeCSV(w io.Writer, o ReportOptions) error {
	at := t.referenceUnix()
	_, err := fmt.Fprintf(w, "%v,%s,%d,%d.%09d,%.9f,%.9f,%.9f,%.3f,%.3f,%.3f,%.9f,%.9f,%.1f,%s\n",
		t.ReferenceID, o.name(t.ReferenceName, t.ReferenceAddress), t.Stratum, at.Unix(), at.Nanosecond(),
		0-t.SystemOffset, t.LastOffset, t.RMSOffset, t.Frequency, t.Residual, t.Skew,
		t.RootDelay, t.RootDispersion, t.UpdateInterval, leapWords(t.Leap))
	return err
}

func leapWords(l ntp.Leap) string {
	switch l {
	case ntp.LeapNone:
		return "Normal"
	case ntp.LeapInsert:
		return "Insert second"
	case ntp.LeapDelete:
		return "Delete second"
	case ntp.LeapUnknown:
		return "Not synchronised"
	}
	return "Invalid"
}

func leapSign(l ntp.Leap) byte {
	if l > ntp.LeapUnknown {
		return '?'
	}
	return "N+-?"[l]
}
