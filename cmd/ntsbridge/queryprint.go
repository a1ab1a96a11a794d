package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// queryResult is what became of one server.
type queryResult struct {
	name    string
	want    int
	address netip.AddrPort
	samples []source.Sample
	last    error // the last telling failure of a poll
	err     error // nil: measured

	repeated int // failures that waiting does not mend
	timeouts int // in a row
	strays   int // answers that were not to the last request
	forged   int // answers that do not authenticate
	warnings []string
	agrees   bool // with the majority

	autokey     *autokey.Client
	credentials *autokey.Credentials
	state       autokey.State
	aead        string
}

// signed reports whether an Autokey association has got everything.
func (r *queryResult) signed() bool {
	want := autokey.Status(autokey.FlagSIGN | autokey.FlagLEAP)
	return r.autokey.State().Status&want == want
}

// autokeyCause names what an Autokey association failed at.
func (r *queryResult) autokeyCause() error {
	s := &r.state
	step := "ASSOC"
	switch f := s.Status.Flags(); {
	case s.Status == 0:
	case f&autokey.FlagCERT == 0:
		step = fmt.Sprintf("CERT %q", s.Issuer)
	case f&autokey.FlagVRFY == 0:
		step = "the identity scheme " + strings.ToUpper(s.Scheme.String())
	case f&autokey.FlagCOOK == 0:
		step = "COOK"
	case len(r.samples) < r.want:
		step = "time"
	case f&autokey.FlagSIGN == 0:
		step = "SIGN"
	default:
		step = "LEAP"
	}
	switch {
	case errors.Is(s.Err, autokey.ErrCryptoNAK):
		return fmt.Errorf("at %s: the server cannot verify our MAC (crypto-NAK): it has another digest (--digest), or there is an address translator on the way, which Autokey cannot pass", step)
	case s.Err != nil:
		return fmt.Errorf("at %s: %w", step, s.Err)
	case errors.Is(r.last, source.ErrTimeout) && s.Status == 0:
		return fmt.Errorf("at %s: %w: the server is down, has no Autokey, or is in a group (@group) while this host's name has none", step, r.last)
	case strings.HasPrefix(step, "CERT"):
		return fmt.Errorf("at %s: the server has no certificate to give out: it is not synchronised, has no trusted or signed certificate, or a private one (PC)", step)
	case r.last != nil:
		return fmt.Errorf("at %s: %w", step, r.last)
	}
	return fmt.Errorf("at %s: not done in time", step)
}

// best returns the sample with the least delay.
func (r *queryResult) best() *source.Sample {
	var best *source.Sample
	for i := range r.samples {
		if best == nil || r.samples[i].Delay < best.Delay {
			best = &r.samples[i]
		}
	}
	return best
}

// queryJSON is a result as JSON. Times are in seconds.
type queryJSON struct {
	Server     string       `json:"server"`
	Address    string       `json:"address,omitempty"`
	Auth       string       `json:"auth"`
	Error      string       `json:"error,omitempty"`
	Cause      source.Cause `json:"cause,omitempty"`
	Text       string       `json:"explanation,omitempty"`
	Remedy     string       `json:"remedy,omitempty"`
	Warnings   []string     `json:"warnings,omitempty"`
	Agrees     bool         `json:"agrees"`
	Combined   *float64     `json:"combined_offset,omitempty"`
	Offset     *float64     `json:"offset,omitempty"`
	Delay      *float64     `json:"delay,omitempty"`
	Dispersion *float64     `json:"dispersion,omitempty"`
	Distance   *float64     `json:"root_distance,omitempty"`
	Stratum    uint8        `json:"stratum,omitempty"`
	Leap       uint8        `json:"leap"`
	RefID      string       `json:"refid,omitempty"`
	Samples    []sampleJSON `json:"samples"`
	AEAD       string       `json:"aead,omitempty"`
	Autokey    *autokeyJSON `json:"autokey,omitempty"`
}

type sampleJSON struct {
	Offset     float64 `json:"offset"`
	Delay      float64 `json:"delay"`
	Dispersion float64 `json:"dispersion"`
}

type autokeyJSON struct {
	Host         string   `json:"host"`
	Flags        string   `json:"flags"`
	Signature    string   `json:"signature"`
	Ident        string   `json:"ident,omitempty"`
	Scheme       string   `json:"scheme,omitempty"`
	Identity     string   `json:"identity"`
	Trail        []string `json:"trail"`
	Certificates []string `json:"certificates"`
	TAI          uint32   `json:"tai"`
	Restarts     int      `json:"restarts"`
	Warning      string   `json:"warning,omitempty"`
}

func seconds(d time.Duration) *float64 { s := d.Seconds(); return &s }

func (f *queryFlags) print(w io.Writer, results []*queryResult, c combined) error {
	switch {
	case f.format == "chrony":
		return printChrony(w, c)
	case f.format == "ntpdate":
		return printNTPDate(w, results, c, time.Now())
	case !f.json:
		return f.printAll(w, results, c)
	}
	all := make([]queryJSON, 0, len(results))
	for _, r := range results {
		j := f.toJSON(r)
		if r.agrees {
			j.Agrees, j.Combined = true, seconds(c.offset)
		}
		all = append(all, j)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

func (f *queryFlags) toJSON(r *queryResult) queryJSON {
	j := queryJSON{Server: r.name, Auth: f.auth, AEAD: r.aead, Samples: []sampleJSON{}}
	if r.address.IsValid() {
		j.Address = r.address.String()
	}
	if r.err != nil {
		d := r.diagnosis()
		j.Error, j.Cause, j.Text, j.Remedy = r.err.Error(), d.Cause, d.Text, d.Remedy
	}
	j.Warnings = r.warnings
	if b := r.best(); b != nil {
		j.Offset, j.Delay, j.Dispersion, j.Distance = seconds(b.Offset), seconds(b.Delay), seconds(b.Dispersion), seconds(b.RootDistance())
		j.Stratum, j.Leap, j.RefID = b.Header.Stratum, uint8(b.Header.Leap), refID(&b.Header)
	}
	for _, s := range r.samples {
		j.Samples = append(j.Samples, sampleJSON{s.Offset.Seconds(), s.Delay.Seconds(), s.Dispersion.Seconds()})
	}
	if r.autokey != nil {
		j.Autokey = r.autokeyJSON()
	}
	return j
}

func (r *queryResult) autokeyJSON() *autokeyJSON {
	s := &r.state
	a := &autokeyJSON{
		Host: s.Host, Flags: s.Status.String(), Signature: s.Signature.String(), Ident: s.Ident,
		Identity: s.Identity.String(), Trail: s.Trail, TAI: s.Leap.TAIOffset, Restarts: s.Restarts, Warning: s.Warning,
	}
	if s.Scheme != 0 {
		a.Scheme = strings.ToUpper(s.Scheme.String())
	}
	for _, c := range r.credentials.Certificates() {
		a.Certificates = append(a.Certificates, c.String())
	}
	return a
}

// refID returns the reference identifier as ntpq shows it: a name for stratum
// 1, else an address (of IPv6 the hash).
func refID(h *ntp.Header) string {
	b := [4]byte{byte(h.ReferenceID >> 24), byte(h.ReferenceID >> 16), byte(h.ReferenceID >> 8), byte(h.ReferenceID)}
	if h.Stratum > 1 {
		return netip.AddrFrom4(b).String()
	}
	return strings.Map(func(c rune) rune {
		if c < 0x21 || c > 0x7e {
			return -1
		}
		return c
	}, string(b[:]))
}

// printAll prints all servers and what they say together.
func (f *queryFlags) printAll(w io.Writer, results []*queryResult, c combined) error {
	for _, r := range results {
		if err := f.printText(w, r, c); err != nil {
			return err
		}
	}
	var err error
	switch {
	case c.measured == 0:
	case !c.ok:
		_, err = fmt.Fprintf(w, "The %d servers disagree: no majority has a time in common.\n", c.measured)
	case c.measured == 1:
		_, err = fmt.Fprintf(w, "System clock wrong by %+.6f seconds (not set)\n", c.offset.Seconds())
	default:
		_, err = fmt.Fprintf(w, "System clock wrong by %+.6f seconds (not set), by %d of %d servers\n", c.offset.Seconds(), c.agree, c.measured)
	}
	return err
}

func (f *queryFlags) printText(w io.Writer, r *queryResult, c combined) error {
	out := new(strings.Builder)
	name := r.name
	if r.address.IsValid() && r.address.Addr().String() != name {
		name += " (" + r.address.Addr().String() + ")"
	}
	if r.err != nil {
		r.printCause(out, name)
	}
	if b := r.best(); b != nil {
		fmt.Fprintf(out, "%s: offset %+.6f s, delay %.6f s, dispersion %.6f s, root distance %.6f s, stratum %d, leap %d, refid %s, %d samples\n",
			name, b.Offset.Seconds(), b.Delay.Seconds(), b.Dispersion.Seconds(), b.RootDistance().Seconds(), b.Header.Stratum, b.Header.Leap, refID(&b.Header), len(r.samples))
	}
	f.printAuth(out, r)
	if c.ok && r.err == nil && !r.agrees {
		fmt.Fprintln(out, "  disagrees with the majority of the servers")
	}
	for _, text := range r.warnings {
		fmt.Fprintln(out, "  warning:", text)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// printCause says why a server was not measured, and what to do.
func (r *queryResult) printCause(out *strings.Builder, name string) {
	d := r.diagnosis()
	fmt.Fprintf(out, "%s: failed: %s\n  cause: %s\n", name, d.Text, d.Cause)
	if text := r.err.Error(); !strings.Contains(d.Text, text) {
		fmt.Fprintf(out, "  error: %s\n", text)
	}
	if d.Remedy != "" {
		fmt.Fprintf(out, "  what to do: %s\n", d.Remedy)
	}
}

// printAuth says how the time was authenticated.
func (f *queryFlags) printAuth(out *strings.Builder, r *queryResult) {
	switch {
	case r.autokey != nil && r.state.Status != 0:
		s := &r.state
		fmt.Fprintf(out, "  legacy-signed by Autokey: host %s, flags %v, %v, identity %v", s.Host, s.Status, s.Signature, s.Identity)
		if s.Scheme != 0 {
			fmt.Fprintf(out, " %s %s", strings.ToUpper(s.Scheme.String()), s.Ident)
		}
		fmt.Fprintf(out, "\n  trail: %s\n", strings.Join(s.Trail, ", "))
		if s.Leap.TAIOffset != 0 {
			fmt.Fprintf(out, "  TAI-UTC: %d s\n", s.Leap.TAIOffset)
		}
		if s.Warning != "" {
			fmt.Fprintf(out, "  warning: %s\n", s.Warning)
		}
	case len(r.samples) == 0:
	case r.aead != "":
		fmt.Fprintf(out, "  authenticated by NTS, %s\n", r.aead)
	case f.auth == "key":
		fmt.Fprintf(out, "  authenticated by key %d\n", f.keyID)
	case f.auth == "none":
		fmt.Fprintln(out, "  not authenticated")
	}
}
