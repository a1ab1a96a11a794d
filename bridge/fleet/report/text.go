package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// String is what tables call a means: "none", "key 5 MD5", "autokey IFF", "nts
// AES-SIV-CMAC-256", "ms-sntp 1104"; "autokey TC, ntpd's cookie" of a client that
// got its cookie from an ntpd.
func (m *Means) String() string {
	switch m.Kind {
	case "none":
		if m.Account != 0 {
			return fmt.Sprintf("ms-sntp %d", m.Account)
		}
	case "symmetric":
		return strings.TrimSpace("key " + strconv.FormatUint(uint64(m.Key), 10) + " " + m.Digest)
	case "autokey":
		text := strings.TrimSpace("autokey " + strings.TrimSpace(m.Scheme+" "+m.Group))
		if m.NTPDCookie {
			text += ", ntpd's cookie"
		}
		return text
	case "nts":
		return strings.TrimSpace("nts " + m.AEAD)
	}
	return m.Kind
}

func (m *Means) refusedText() string {
	reasons := m.reasons()
	for i, r := range reasons {
		reasons[i] = fmt.Sprintf("%s %d", r, m.Refused[r])
	}
	return strings.Join(reasons, ", ")
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return strconv.FormatFloat(s, 'f', -1, 64) + "s"
}

// name is what a row is called: a name where there is one.
func (r *Row) name() string {
	if len(r.Names) > 0 {
		return r.Address + " (" + r.Names[0] + ")"
	}
	return r.Address
}

// tableFormat are the columns of a table; what is too long moves the rest of its
// line.
const tableFormat = "%-30s %-18s %-26s %6s %7s %9v %-24s %s\n"

// TableHeader is the first line of a table.
func TableHeader() string {
	return fmt.Sprintf(tableFormat, "Client", "Label", "Means", "Last", "Poll", "Answered", "Refused", "Implementation")
}

// AppendTable appends a line per means.
func (r *Row) AppendTable(b []byte, now time.Time) []byte { return r.appendTable(b, now, nil) }

func (r *Row) appendTable(b []byte, now time.Time, gateways []string) []byte {
	name, lab := r.name(), orDash(r.Label.String())
	if r.Hosts > 1 {
		name += fmt.Sprintf(" [%d+ hosts]", r.Hosts)
	}
	if r.Addresses > 1 {
		name += fmt.Sprintf(" [%d addresses]", r.Addresses)
	}
	if len(r.Means) == 0 {
		b = fmt.Appendf(b, tableFormat, name, lab, "nts-ke only", Ago(r.KE.Last, now), "-", 0, "-", "-")
	}
	for i := range r.Means {
		m := &r.Means[i]
		if i > 0 {
			name, lab = "", ""
		}
		b = appendLeft(b, name, 30) // as tableFormat, without its cost: a site's list may have a million rows
		b = appendLeft(append(b, ' '), lab, 18)
		b = appendLeft(append(b, ' '), m.String(), 26)
		b = appendRight(append(b, ' '), Ago(m.Last, now), 6)
		b = appendRight(append(b, ' '), seconds(m.Poll), 7)
		b = appendRight(append(b, ' '), strconv.FormatUint(uint64(m.Answered), 10), 9)
		b = appendLeft(append(b, ' '), orDash(m.refusedText()), 24)
		b = append(append(b, ' '), orDash(m.Implementation)...)
		b = append(b, '\n')
		if len(gateways) > 0 {
			b = b[:len(b)-1]
			for _, g := range gateways {
				b = fmt.Appendf(b, gatewayFormat, Ago(m.lastBy(g), now))
			}
			b = append(b, '\n')
		}
	}
	return b
}

// appendLeft appends a text and blanks up to a width in letters, appendRight the
// blanks first.
func appendLeft(b []byte, s string, width int) []byte {
	b = append(b, s...)
	return appendBlanks(b, width-utf8.RuneCountInString(s))
}

func appendRight(b []byte, s string, width int) []byte {
	return append(appendBlanks(b, width-utf8.RuneCountInString(s)), s...)
}

func appendBlanks(b []byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, ' ')
	}
	return b
}

// WriteDetail writes everything that is known of one client.
func WriteDetail(w io.Writer, r *Row, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t: %s\n", name, fmt.Sprintf(format, args...))
	}
	line("Address", "%s", r.Address)
	line("Names", "%s", orDash(strings.Join(r.Names, ", ")))
	line("Label", "%s", orDash(r.Label.String()))
	if r.Label.Note != "" {
		line("Note", "%s", r.Label.Note)
	}
	line("Seen", "%s to %s (%s ago), as %s", r.First, r.Last, Ago(r.Last, now), r.Rank)
	line("Implementation", "%s", orDash(r.Implementation))
	line("Hosts behind it", "%s", r.hostsText())
	if r.Upstream != nil {
		line("It follows", "%s, as stratum %d, leap %d, clock set %s ago", r.Upstream.RefID, r.Upstream.Stratum, r.Upstream.Leap,
			Ago(r.Upstream.Set, now))
	}
	if r.KE.Last != 0 {
		line("NTS-KE", "%d handshakes, %d failures, last %s (%s); AEADs %s; name told: %s", r.KE.Handshakes, r.KE.Failures,
			r.KE.Last, r.KE.Result,
			orDash(strings.Join(r.KE.Offered, ", ")), orDash(r.KE.SNI))
	}
	for i := range r.Means {
		m := &r.Means[i]
		line("Means", "%s", m)
		line("  seen", "%s to %s (%s ago)", m.First, m.Last, Ago(m.Last, now))
		if m.NTPDCookie {
			line("  cookie", "of an ntpd (seed 0): good while autokey.takeover lasts, then refused until its ntpd is restarted")
		}
		line("  answered", "%d, the last %s", m.Answered, m.LastAnswered)
		line("  refused", "%s; %d in a row now", orDash(m.refusedText()), m.Unanswered)
		line("  polls", "every %s; versions %s, modes %v, %d to %d octets", seconds(m.Poll), m.Versions, m.Modes, m.Octets[0], m.Octets[1])
		if m.Kisses > 0 {
			line("  kisses", "%d, reaction: %s", m.Kisses, m.Reaction)
		}
		line("  program", "%s (%s)", orDash(m.Implementation), orDash(m.Evidence))
	}
	return t.Flush()
}

func (r *Row) hostsText() string {
	s := "one"
	if r.Hosts > 1 {
		s = fmt.Sprintf("at least %d", r.Hosts)
	}
	if r.Estimate > 1 {
		s += fmt.Sprintf(", about %d by how often it asks", r.Estimate)
	}
	if r.Addresses > 1 {
		s += fmt.Sprintf(", with about %d addresses", r.Addresses)
	}
	return s
}

// CSVHeader names the columns of CSV.
var CSVHeader = []string{"address", "names", "owner", "site", "note", "kind", "key", "digest", "scheme", "group", "aead", "first", "last",
	"answered", "refused", "poll", "implementation", "hosts", "nts_ke_handshakes", "nts_ke_last", "account", "ntpd_cookie"}

// WriteCSV writes a line per means.
func (r *Row) WriteCSV(c *csv.Writer) { r.writeCSV(c, nil) }

func (r *Row) writeCSV(c *csv.Writer, gateways []string) {
	stamp := func(t Time) string {
		if t == 0 {
			return ""
		}
		return t.time().Format(time.RFC3339)
	}
	means := r.Means
	if len(means) == 0 {
		means = []Means{{}}
	}
	for i := range means {
		m := &means[i]
		number := func(n uint32) string {
			if n == 0 {
				return ""
			}
			return fmt.Sprint(n)
		}
		cookie := ""
		if m.Kind == "autokey" {
			cookie = strconv.FormatBool(m.NTPDCookie)
		}
		line := []string{r.Address, strings.Join(r.Names, " "), r.Label.Owner, r.Label.Site, r.Label.Note, m.Kind, number(m.Key),
			m.Digest, m.Scheme, m.Group, m.AEAD,
			stamp(m.First), stamp(m.Last), fmt.Sprint(m.Answered), m.refusedText(), strconv.FormatFloat(m.Poll, 'f', -1,
				64), m.Implementation, fmt.Sprint(r.Hosts),
			fmt.Sprint(r.KE.Handshakes), stamp(r.KE.Last), number(m.Account), cookie}
		for _, g := range gateways {
			line = append(line, stamp(m.lastBy(g)))
		}
		_ = c.Write(line)
	}
}

// ChronyHeader is the head of the table that chronyc's clients prints.
const ChronyHeader = "Hostname                      NTP   Drop Int IntL Last     Cmd   Drop Int  Last\n" +
	"===============================================================================\n"

// AppendChrony appends a row as chronyc's clients prints it: packets, dropped,
// log2 of the interval, and when the last one came.
func (r *Row) AppendChrony(b []byte, now time.Time) []byte {
	interval := "-"
	if r.interval > 0 {
		n := 0
		for d := r.interval; d > time.Second*3/2; d /= 2 {
			n++
		}
		interval = fmt.Sprint(n)
	}
	return fmt.Appendf(b, "%-25.25s  %6d  %5d  %2s   -  %4s       0      0   -     -\n", r.Address, r.packets(), r.refused(),
		interval, Ago(r.Last, now))
}
