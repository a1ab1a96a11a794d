package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"ntsbridge/bridge/measure"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

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

func (f *queryFlags) print(w io.Writer, results []*measure.Result, c measure.Combined) error {
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
		if r.Agrees {
			j.Agrees, j.Combined = true, seconds(c.Offset)
		}
		all = append(all, j)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

func (f *queryFlags) toJSON(r *measure.Result) queryJSON {
	j := queryJSON{Server: r.Name, Auth: f.auth, AEAD: r.AEAD, Samples: []sampleJSON{}}
	if r.Address.IsValid() {
		j.Address = r.Address.String()
	}
	if r.Err != nil {
		d := r.Diagnosis()
		j.Error, j.Cause, j.Text, j.Remedy = r.Err.Error(), d.Cause, d.Text, d.Remedy
	}
	j.Warnings = r.Warnings
	if b := r.Best(); b != nil {
		j.Offset, j.Delay, j.Dispersion, j.Distance = seconds(b.Offset), seconds(b.Delay), seconds(b.Dispersion), seconds(b.RootDistance())
		j.Stratum, j.Leap, j.RefID = b.Header.Stratum, uint8(b.Header.Leap), refID(&b.Header)
	}
	for _, s := range r.Samples {
		j.Samples = append(j.Samples, sampleJSON{s.Offset.Seconds(), s.Delay.Seconds(), s.Dispersion.Seconds()})
	}
	if r.Autokey != nil {
		j.Autokey = autokeyState(r.Autokey)
	}
	return j
}

func autokeyState(s *measure.AutokeyState) *autokeyJSON {
	a := &autokeyJSON{
		Host: s.Host, Flags: s.Status.String(), Signature: s.Signature.String(), Ident: s.Ident,
		Identity: s.Identity.String(), Trail: s.Trail, Certificates: s.Certificates, TAI: s.Leap.TAIOffset, Restarts: s.Restarts,
		Warning: s.Warning,
	}
	if s.Scheme != 0 {
		a.Scheme = strings.ToUpper(s.Scheme.String())
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
func (f *queryFlags) printAll(w io.Writer, results []*measure.Result, c measure.Combined) error {
	for _, r := range results {
		if err := f.printText(w, r, c); err != nil {
			return err
		}
	}
	var err error
	switch {
	case c.Measured == 0:
	case !c.OK:
		_, err = fmt.Fprintf(w, "The %d servers disagree: no majority has a time in common.\n", c.Measured)
	case c.Measured == 1:
		_, err = fmt.Fprintf(w, "System clock wrong by %+.6f seconds (not set)\n", c.Offset.Seconds())
	default:
		_, err = fmt.Fprintf(w, "System clock wrong by %+.6f seconds (not set), by %d of %d servers\n", c.Offset.Seconds(), c.Agree,
			c.Measured)
	}
	return err
}

func (f *queryFlags) printText(w io.Writer, r *measure.Result, c measure.Combined) error {
	out := new(strings.Builder)
	name := r.Name
	if r.Address.IsValid() && r.Address.Addr().String() != name {
		name += " (" + r.Address.Addr().String() + ")"
	}
	if r.Err != nil {
		printCause(r, out, name)
	}
	if b := r.Best(); b != nil {
		fmt.Fprintf(out, "%s: offset %+.6f s, delay %.6f s, dispersion %.6f s, root distance %.6f s, stratum %d, leap %d, refid %s, "+
			"%d samples\n",
			name, b.Offset.Seconds(), b.Delay.Seconds(), b.Dispersion.Seconds(), b.RootDistance().Seconds(), b.Header.Stratum,
			b.Header.Leap, refID(&b.Header), len(r.Samples))
	}
	f.printAuth(out, r)
	if c.OK && r.Err == nil && !r.Agrees {
		fmt.Fprintln(out, "  disagrees with the majority of the servers")
	}
	for _, text := range r.Warnings {
		fmt.Fprintln(out, "  warning:", text)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// printCause says why a server was not measured, and what to do.
func printCause(r *measure.Result, out *strings.Builder, name string) {
	d := r.Diagnosis()
	fmt.Fprintf(out, "%s: failed: %s\n  cause: %s\n", name, d.Text, d.Cause)
	if text := r.Err.Error(); !strings.Contains(d.Text, text) {
		fmt.Fprintf(out, "  error: %s\n", text)
	}
	if d.Remedy != "" {
		fmt.Fprintf(out, "  what to do: %s\n", d.Remedy)
	}
}

// printAuth says how the time was authenticated.
func (f *queryFlags) printAuth(out *strings.Builder, r *measure.Result) {
	switch {
	case r.Autokey != nil && r.Autokey.Status != 0:
		s := r.Autokey
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
	case len(r.Samples) == 0:
	case r.AEAD != "":
		fmt.Fprintf(out, "  authenticated by NTS, %s\n", r.AEAD)
	case f.auth == "key":
		fmt.Fprintf(out, "  authenticated by key %d\n", f.keyID)
	case f.auth == "none":
		fmt.Fprintln(out, "  not authenticated")
	}
}

// printChrony prints what chronyd -Q does.
func printChrony(w io.Writer, c measure.Combined) error {
	if !c.OK || c.Measured == 0 {
		_, err := fmt.Fprintln(w, "No suitable source for synchronisation")
		return err
	}
	_, err := fmt.Fprintf(w, "System clock wrong by %.6f seconds (ignored)\n", c.Offset.Seconds())
	return err
}

// stepThreshold is from where ntpdate would step the clock and not slew it.
const stepThreshold = 500 * time.Millisecond

// printNTPDate prints what ntpdate -q does: a line for each server, and one
// with the offset that it would correct.
func printNTPDate(w io.Writer, results []*measure.Result, c measure.Combined, now time.Time) error {
	out := new(strings.Builder)
	for _, r := range results {
		b := r.Best()
		if b == nil || r.Err != nil {
			b = &source.Sample{}
		}
		address := r.Name
		if r.Address.IsValid() {
			address = r.Address.Addr().String()
		}
		fmt.Fprintf(out, "server %s, stratum %d, offset %.6f, delay %.5f\n", address, b.Header.Stratum, b.Offset.Seconds(),
			b.Delay.Seconds())
	}
	fmt.Fprintf(out, "%s ntpdate[%d]: ", now.Format("_2 Jan 15:04:05"), os.Getpid())
	switch {
	case !c.OK || c.Measured == 0:
		fmt.Fprintln(out, "no server suitable for synchronization found")
	default:
		verb := "adjust"
		if c.Offset.Abs() >= stepThreshold {
			verb = "step"
		}
		fmt.Fprintf(out, "%s time server %s offset %.6f sec\n", verb, c.Best.Address.Addr(), c.Offset.Seconds())
	}
	_, err := io.WriteString(w, out.String())
	return err
}
