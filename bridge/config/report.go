package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Severity grades a Finding.
type Severity string

// The severities.
const (
	Note    Severity = "note"    // worth knowing
	Warning Severity = "warning" // works, but not safely, not for long or not as it seems
	Failure Severity = "error"   // serve would not start, or not serve this
)

// Finding is something that check has to say.
type Finding struct {
	Severity Severity `json:"severity"`
	Problem
}

// String returns "severity: file:line: path: text".
func (f Finding) String() string { return string(f.Severity) + ": " + f.Problem.String() }

// Served is a row of the table of who is served how.
type Served struct {
	Name       string   `json:"name"`
	Network    string   `json:"network"`
	FromNTP    bool     `json:"source_port_123"` // only for requests from port 123
	Kinds      []string `json:"kinds"`           // that are answered, as far as they are enabled
	Keys       string   `json:"keys,omitempty"`  // identifiers that are answered
	MinVersion int      `json:"min_version"`
	Refused    string   `json:"refused"` // what the others get: nothing, DENY, RSTR
	Rate       string   `json:"rate"`    // limit in words, or none
	Query      bool     `json:"query"`
}

// Report is what check found.
type Report struct {
	File     string    `json:"file"`
	Findings []Finding `json:"findings"`
	UDP      []string  `json:"udp"` // addresses for NTP
	TCP      []string  `json:"tcp"` // addresses for NTS-KE
	Clock    string    `json:"clock"`
	Facts    []string  `json:"facts"` // what was loaded
	Served   []Served  `json:"served"`
}

// Count returns the number of findings of a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// WriteFindings writes those of the given severities, one per line.
func (r *Report) WriteFindings(w io.Writer, severities ...Severity) error {
	for _, s := range severities {
		for _, f := range r.Findings {
			if f.Severity != s {
				continue
			}
			if _, err := fmt.Fprintln(w, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteServed writes what would be served to whom.
func (r *Report) WriteServed(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "NTP (UDP)\t%s\n", strings.Join(r.UDP, ", "))
	if len(r.TCP) > 0 {
		fmt.Fprintf(t, "NTS-KE (TCP)\t%s\n", strings.Join(r.TCP, ", "))
	}
	fmt.Fprintf(t, "clock\t%s\n", r.Clock)
	for _, fact := range r.Facts {
		name, text, _ := strings.Cut(fact, ": ")
		fmt.Fprintf(t, "%s\t%s\n", name, text)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(t, "\nNETWORK\tRULE\tANSWERED\tKEYS\tVERSION\tOTHERS GET\tRATE\n")
	for _, s := range r.Served {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.network(), dash(s.Name), dash(strings.Join(s.Kinds, " ")),
			dash(s.Keys), s.versions(), s.Refused, s.Rate)
	}
	return t.Flush()
}

func (s *Served) network() string {
	if s.FromNTP {
		return s.Network + " port 123"
	}
	return s.Network
}

func (s *Served) versions() string {
	if len(s.Kinds) == 0 {
		return "-"
	}
	if s.MinVersion == 4 {
		return "4"
	}
	return fmt.Sprintf("%d-4", s.MinVersion)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
