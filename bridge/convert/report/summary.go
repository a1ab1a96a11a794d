package report

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/spell"
	"ntsbridge/symkey"
)

// Summary is the account of many conversions.
type Summary struct {
	Files    int             `json:"files"`
	Outcomes map[Outcome]int `json:"outcomes"`
	Lines    map[Class]int   `json:"lines"`
	// Findings are counted by code: in how many files each occurs.
	Findings []FindingCount `json:"findings"`
	Results  []FileOutcome  `json:"results"`
	// Questions are grouped by code: one answer settles many hosts.
	Questions []QuestionGroup `json:"questions,omitempty"`
	// Gateway is the server that was written for the hosts.
	Gateway *GatewayFiles `json:"gateway,omitempty"`

	codes map[string]*FindingCount
}

// GatewayFiles are what was written for the gateway of the hosts.
type GatewayFiles struct {
	Config string   `json:"config,omitempty"`
	Keys   string   `json:"keys,omitempty"`
	Notes  []string `json:"notes,omitempty"` // what has to be done by hand
}

// FindingCount is how many files have a finding.
type FindingCount struct {
	Code  string `json:"code"`
	Class Class  `json:"class"`
	Files int    `json:"files"`
	Text  string `json:"text"` // of the first one
}

// FileOutcome is the verdict on a file.
type FileOutcome struct {
	Input   string  `json:"input"`
	Output  string  `json:"output,omitempty"` // name of the file that was written
	Outcome Outcome `json:"outcome"`
	// Why is why nothing was written.
	Why  string `json:"why,omitempty"`
	Host *Host  `json:"host,omitempty"`
}

// QuestionGroup are the open questions of a kind.
type QuestionGroup struct {
	Code     string   `json:"code"`
	Files    int      `json:"files"`
	Written  string   `json:"written"` // of the first one, as is Running
	Running  string   `json:"running"`
	Intended bool     `json:"intended"` // all have an answer as they were meant
	Inputs   []string `json:"inputs"`
}

// Host is what a migration has to know of a host.
type Host struct {
	Name      string   `json:"name,omitempty"`
	AsClient  []string `json:"as_client"` // how it authenticates its sources: nts, key 5 (SHA1), autokey, plain
	AsServer  []string `json:"as_server"` // what its own clients may use
	Upstreams []string `json:"upstreams"`
	Keys      []uint32 `json:"keys,omitempty"`     // that its sources have
	Networks  []string `json:"networks,omitempty"` // that it serves
	Serves    bool     `json:"serves"`             // others than itself
	Format    string   `json:"format"`             // recommended for its clock
	Step      string   `json:"step"`               // recommended: nts or key
	Reason    string   `json:"reason"`
	// Sources are the servers that it asks, in the order of its lines.
	Sources []HostSource `json:"sources,omitempty"`

	// Material are the keys that its sources and its clients use.
	Material []*symkey.Key `json:"-"`
}

// HostSource is a server that a host asks.
type HostSource struct {
	Server  string `json:"server"`
	Port    int    `json:"port,omitempty"` // 0: the usual one, as is NTSPort
	Pool    bool   `json:"pool,omitempty"`
	Auth    string `json:"auth"` // none, symmetric, autokey or nts
	Key     uint32 `json:"key,omitempty"`
	NTSPort int    `json:"nts_port,omitempty"`
}

// why says in a line why nothing was written.
func (r *Report) why() string {
	for _, q := range r.Questions {
		return fmt.Sprintf("line %d: %s: %s", q.Line, q.Code, q.Written)
	}
	for _, f := range r.Findings {
		if f.Class == Error {
			return f.Text
		}
	}
	return ""
}

// ask takes the open questions of a report in, one of each code.
func (s *Summary) ask(r *Report) {
	here := make(map[string]bool)
	for _, q := range r.Questions {
		i := slices.IndexFunc(s.Questions, func(g QuestionGroup) bool { return g.Code == q.Code })
		if i < 0 {
			i = len(s.Questions)
			s.Questions = append(s.Questions, QuestionGroup{Code: q.Code, Written: q.Written, Running: q.Running, Intended: true})
		}
		g := &s.Questions[i]
		g.Intended = g.Intended && q.Intended
		if !here[q.Code] {
			here[q.Code] = true
			g.Files++
			g.Inputs = append(g.Inputs, r.Input)
		}
	}
}

// NewSummary returns an empty one.
func NewSummary() *Summary {
	return &Summary{Outcomes: map[Outcome]int{}, Lines: map[Class]int{}, codes: map[string]*FindingCount{}}
}

// Add takes a report in; the order of adding decides the order of the results.
func (s *Summary) Add(r *Report, output string) {
	s.Files++
	s.Outcomes[r.Outcome()]++
	s.Results = append(s.Results, FileOutcome{Input: r.Input, Output: output, Outcome: r.Outcome(), Host: r.Host})
	if !r.Written {
		s.Results[len(s.Results)-1].Why = spell.Printable(r.why())
	}
	s.ask(r)
	here := make(map[string]bool)
	count := func(f Finding) {
		c := s.codes[f.Code]
		if c == nil {
			c = &FindingCount{Code: f.Code, Class: f.Class, Text: f.Text}
			s.codes[f.Code] = c
		}
		if f.Class.Rank() > c.Class.Rank() {
			c.Class = f.Class
		}
		if !here[f.Code] {
			here[f.Code] = true
			c.Files++
		}
	}
	for _, f := range r.Findings {
		count(f)
	}
	for _, q := range r.Questions {
		count(Finding{Class: Dangerous, Code: q.Code, Text: q.Written})
	}
	for _, l := range r.Lines {
		s.Lines[l.Class]++
		for _, f := range l.Findings {
			count(f)
		}
	}
}

// Finish sorts the findings: the most frequent first.
func (s *Summary) Finish() {
	s.Findings = s.Findings[:0]
	for _, c := range s.codes {
		s.Findings = append(s.Findings, *c)
	}
	slices.SortFunc(s.Findings, func(a, b FindingCount) int {
		return cmp.Or(cmp.Compare(b.Files, a.Files), cmp.Compare(b.Class.Rank(), a.Class.Rank()), cmp.Compare(a.Code, b.Code))
	})
}

// WriteText prints the summary as a table.
func (s *Summary) WriteText(out io.Writer, colour bool) error {
	w := &textWriter{colour: colour}
	w.line("%s", w.styled(StyleBold, fmt.Sprintf("%d configurations", s.Files)))
	for _, o := range []Outcome{Clean, Noted, Lossy, Blocked, Rejected} {
		w.line("  %7d  %-9s %s", s.Outcomes[o], o, outcomeText[o])
	}
	w.line("\n%s", w.styled(StyleBold, "Findings, by the number of files that have them"))
	for _, f := range s.Findings {
		w.line("  %7d  %s %-22s %s", f.Files, w.styled(f.Class.style(), fmt.Sprintf("%-12s", f.Class)), f.Code, f.Text)
	}
	s.hosts(w)
	s.questions(w)
	var bad []FileOutcome
	for _, r := range s.Results {
		if r.Outcome == Blocked || r.Outcome == Rejected {
			bad = append(bad, r)
		}
	}
	if len(bad) > 0 {
		w.line("\n%s", w.styled(StyleRed, "Not converted"))
		for _, r := range bad {
			w.line("  %-9s %s", r.Outcome, spell.Printable(r.Input))
			if r.Why != "" {
				w.line("            %s", r.Why)
			}
		}
	}
	_, err := io.WriteString(out, w.String())
	return err
}

// hosts prints how many hosts authenticate how, as clients and as servers, and
// what is recommended.
func (s *Summary) hosts(w *textWriter) {
	asClient, asServer, steps := map[string]int{}, map[string]int{}, map[string]int{}
	upstreams, keys, networks := map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range s.Results {
		if r.Host == nil {
			continue
		}
		for _, kind := range kinds(r.Host.AsClient) {
			asClient[kind]++
		}
		for _, kind := range kinds(r.Host.AsServer) {
			asServer[kind]++
		}
		steps[fmt.Sprintf("--client-format %s --step %s: %s", r.Host.Format, r.Host.Step, r.Host.Reason)]++
		for _, name := range r.Host.Upstreams {
			upstreams[name]++
		}
		for _, k := range r.Host.Keys {
			keys[fmt.Sprintf("key %d", k)]++
		}
		for _, p := range r.Host.Networks {
			networks[p]++
		}
	}
	for _, table := range []struct {
		title string
		count map[string]int
	}{{"Hosts by authentication of their sources", asClient}, {"Hosts by what their own clients use", asServer},
		{"Recommended for their clocks", steps}, {"What they ask, by the number of hosts", upstreams},
		{"Keys that their sources have, which the gateway must accept", keys}, {"Networks that they serve", networks}} {
		if len(table.count) == 0 {
			continue
		}
		w.line("\n%s", w.styled(StyleBold, table.title))
		names := slices.SortedFunc(maps.Keys(table.count), func(a, b string) int {
			return cmp.Or(cmp.Compare(table.count[b], table.count[a]), cmp.Compare(a, b))
		})
		for i, name := range names {
			if i == mostNames {
				w.line("           and %d more: see the summary as CSV or JSON", len(names)-i)
				break
			}
			w.line("  %7d  %s", table.count[name], spell.Printable(name))
		}
	}
	s.gateway(w)
}

// mostNames bounds the tables for people.
const mostNames = 50

// gateway tells where the gateway's files are, and what has to be done.
func (s *Summary) gateway(w *textWriter) {
	if s.Gateway == nil {
		return
	}
	w.line("\n%s", w.styled(StyleBold, "The gateway for them"))
	if s.Gateway.Config != "" {
		w.line("  %s", spell.Printable(s.Gateway.Config))
	}
	if s.Gateway.Keys != "" {
		w.line("  %s, with its keys: copy it with mode 0600", spell.Printable(s.Gateway.Keys))
	}
	for _, note := range s.Gateway.Notes {
		w.line("  do: %s", spell.Printable(note))
	}
}

// kinds drops the numbers of keys, and what comes twice then.
func kinds(list []string) (short []string) {
	for _, kind := range list {
		if kind, digest, ok := strings.Cut(kind, " ("); ok && strings.HasPrefix(kind, "key ") {
			short = append(short, "key ("+digest)
			continue
		}
		short = append(short, kind)
	}
	slices.Sort(short)
	return slices.Compact(short)
}

// questions prints what one answer settles.
func (s *Summary) questions(w *textWriter) {
	if len(s.Questions) == 0 {
		return
	}
	w.line("\n%s", w.styled(StyleRed, "To be decided, with a line each in a file for --answers"))
	for _, g := range s.Questions {
		answers := "stop or running"
		if g.Intended {
			answers = "stop, running or intended"
		}
		w.line("  %7d  %-22s %s; running: %s", g.Files, g.Code, g.Written, g.Running)
		w.line("           answer: %s = %s", g.Code, answers)
	}
}

// WriteCSV prints a line for each host.
func (s *Summary) WriteCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	rows := [][]string{{"input", "output", "outcome", "as_client", "as_server", "upstreams", "keys", "networks", "serves", "format",
		"step", "reason", "why"}}
	for _, r := range s.Results {
		h := r.Host
		if h == nil {
			h = &Host{}
		}
		keys := make([]string, len(h.Keys))
		for i, k := range h.Keys {
			keys[i] = fmt.Sprint(k)
		}
		rows = append(rows, []string{r.Input, r.Output, string(r.Outcome), strings.Join(h.AsClient, "; "), strings.Join(h.AsServer, "; "),
			strings.Join(h.Upstreams, " "),
			strings.Join(keys, " "), strings.Join(h.Networks, " "), fmt.Sprint(h.Serves), h.Format, h.Step, h.Reason, r.Why})
	}
	return w.WriteAll(rows)
}
