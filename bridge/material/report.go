package material

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"ntsbridge/bridge/config"
)

// Report is what check has to say.
type Report struct {
	File     string   `json:"file"`
	Findings Findings `json:"findings"`
	UDP      []string `json:"udp"` // addresses for NTP
	TCP      []string `json:"tcp"` // addresses for NTS-KE
	Clock    string   `json:"clock"`
	Facts    []string `json:"facts"` // what was loaded
	Served   []Served `json:"served"`
}

// NewReport returns the report of a file with nothing in it yet.
func NewReport(file string) *Report {
	return &Report{File: file, Findings: Findings{}, UDP: []string{}, TCP: []string{}, Facts: []string{}, Served: []Served{}}
}

// Problems makes findings of what is wrong in a configuration file.
func (r *Report) Problems(problems config.Problems) {
	for _, p := range problems {
		r.Findings = append(r.Findings, Finding{Grade: NoStart, Problem: p})
	}
}

// Add adds what a load found.
func (r *Report) Add(s *Set) {
	r.Findings, r.Facts = append(r.Findings, s.Findings...), append(r.Facts, s.Facts...)
	r.Served, r.Clock = append(r.Served, s.Served...), s.Clock
	for _, a := range s.config.Server.Listen {
		r.UDP = append(r.UDP, a.String())
	}
	if s.config.NTS.Enabled {
		for _, a := range s.config.NTS.Listen {
			r.TCP = append(r.TCP, a.String())
		}
	}
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
