package control

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/nke"
)

// NTS is what the daemon's NTS server is and does.
type NTS struct {
	At           time.Time         `json:"at"`
	Listeners    []netip.AddrPort  `json:"listeners"` // NTS-KE, TCP
	Certificates []NTSCertificate  `json:"certificates"`
	Broken       []NTSBroken       `json:"broken"`                 // configured, cannot be used
	Loaded       time.Time         `json:"loaded,omitzero"`        // when all certificates were last read and could be used
	Tried        time.Time         `json:"tried,omitzero"`         // when they were last read
	Again        time.Time         `json:"again,omitzero"`         // when a load that failed is repeated
	ReloadError  string            `json:"reload_error,omitempty"` // of the last one
	Connections  map[string]uint64 `json:"connections"`            // by what became of them
	Agreed       map[string]uint64 `json:"agreed"`                 // key establishments by AEAD
	Cookies      map[string]uint64 `json:"cookies_issued"`
	Active       int               `json:"active"` // connections being served now
	Cookie       NTSCookieKeys     `json:"cookie_keys"`
	Refusals     []NTSRefusal      `json:"refusals"` // clients that ended the handshake at our certificate
	ManyRefuse   bool              `json:"many_refuse"`
	Problems     []string          `json:"problems"`
	ACME         *NTSACME          `json:"acme,omitempty"` // nil: no authority is asked
}

// NTSACME is how a certificate is got from an authority.
type NTSACME struct {
	Directory string    `json:"directory"`
	Names     []string  `json:"names"`
	Waiting   bool      `json:"waiting"`         // for the clock to be right
	Tried     time.Time `json:"tried,omitzero"`  // the last attempt
	Next      time.Time `json:"next,omitzero"`   // the next one
	Error     string    `json:"error,omitempty"` // of the last one
}

func (a *NTSACME) write(r *rows) {
	r.row("Authority", "%s, for %s", a.Directory, strings.Join(a.Names, " "))
	switch {
	case a.Error != "":
		r.row("  PROBLEM", "%s failed: %s; again %s", momentText(a.Tried), a.Error, momentText(a.Next))
	case a.Waiting:
		r.row("  next", "when the clock is synchronised")
	default:
		r.row("  next", "%s", momentText(a.Next))
	}
}

// NTSCertificate is a certificate in use.
type NTSCertificate struct {
	File      string     `json:"file"`
	Key       string     `json:"key_file"`
	Names     []string   `json:"names"`
	Issuer    string     `json:"issuer"`
	Kind      string     `json:"kind"` // of key
	NotBefore time.Time  `json:"not_before"`
	NotAfter  time.Time  `json:"not_after"`
	DaysLeft  int        `json:"days_left"`
	Chain     []NTSChain `json:"chain"` // behind it, as sent
	Needs     string     `json:"needs"` // what clients must trust
	// Complaints are what clients hold against it.
	Complaints []string `json:"complaints"`
}

// NTSChain is a certificate that is sent behind the server's own.
type NTSChain struct {
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
	DaysLeft int       `json:"days_left"`
}

// NTSBroken is a certificate that cannot be used.
type NTSBroken struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// NTSRefusal is a client that ends the handshake when it sees our certificate.
type NTSRefusal struct {
	From  netip.Addr `json:"from"`
	Count int        `json:"count"`
	First time.Time  `json:"first"`
	Last  time.Time  `json:"last"`
	Alert string     `json:"alert,omitempty"` // what it said; empty: it closed
}

// NTSCookieKeys are the keys that cookies are sealed under.
type NTSCookieKeys struct {
	Epochs int       `json:"epochs"` // whose cookies are taken
	Next   time.Time `json:"next"`   // when the next one begins
}

// NewNTS makes the report of what NTS-KE tells.
func NewNTS(now time.Time, st *nke.Status, c *nke.Counters, keys NTSCookieKeys) *NTS {
	stats := &ServerStats{KE: map[string]uint64{}, NTS: NTSCount{Agreed: map[string]uint64{}, CookiesIssued: map[string]uint64{}}}
	stats.addKE(c)
	n := &NTS{At: now, Listeners: st.Listeners, Certificates: []NTSCertificate{}, Broken: []NTSBroken{}, Loaded: st.Loaded,
		Tried: st.Tried, Again: st.Again, ReloadError: st.ReloadError, Connections: stats.KE, Agreed: stats.NTS.Agreed,
		Cookies: stats.NTS.CookiesIssued, Active: c.Active, Cookie: keys, Refusals: []NTSRefusal{}, ManyRefuse: st.ManyRefuse,
		Problems: append([]string{}, st.Problems()...)}
	for i := range st.Certificates {
		n.Certificates = append(n.Certificates, showNTSCertificate(&st.Certificates[i]))
	}
	for _, b := range st.Broken {
		n.Broken = append(n.Broken, NTSBroken{b.Files.Certificate, strings.ReplaceAll(b.Err.Error(), "\n", "; ")})
	}
	for _, r := range st.Refusals {
		n.Refusals = append(n.Refusals, NTSRefusal{r.From, r.Count, r.First, r.Last, r.Alert})
	}
	return n
}

func showNTSCertificate(c *nke.CertificateStatus) NTSCertificate {
	shown := NTSCertificate{File: c.Files.Certificate, Key: c.Files.Key, Names: c.Names, Issuer: c.Issuer, Kind: c.Key,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, DaysLeft: c.DaysLeft, Chain: []NTSChain{}, Needs: c.Needs, Complaints: []string{}}
	for _, l := range c.Chain {
		shown.Chain = append(shown.Chain, NTSChain(l))
	}
	for _, x := range c.Complaints {
		shown.Complaints = append(shown.Complaints, x.Text)
	}
	return shown
}

// maxRefusals bounds what the text shows of clients that refuse us.
const maxRefusals = 20

// WriteText writes the report for people.
func (n *NTS) WriteText(w io.Writer, _ ReportOptions) error {
	r := &rows{w: w}
	for _, a := range n.Listeners {
		r.row("Serving NTS-KE", "%v", a)
	}
	for i := range n.Certificates {
		n.Certificates[i].write(r)
	}
	for _, b := range n.Broken {
		r.row("NOT USED", "%s: %s", b.File, b.Error)
	}
	if n.ACME != nil {
		n.ACME.write(r)
	}
	r.row("Certificates", "%s", n.reloads())
	r.row("Cookie keys", "of %d epochs are taken, the next begins %s", n.Cookie.Epochs, momentText(n.Cookie.Next))
	r.row("Connections", "%d at the moment", n.Active)
	r.group("NTS-KE", n.Connections)
	r.group("Keys for", n.Agreed)
	for i, c := range n.Refusals {
		if i == maxRefusals {
			r.row("Refused by", "%d more", len(n.Refusals)-i)
			break
		}
		how := "closes"
		if c.Alert != "" {
			how = "says " + c.Alert
		}
		r.row("Refused by", "%v: %d times, last %s, %s", c.From, c.Count, momentText(c.Last), how)
	}
	for _, p := range n.Problems {
		r.row("PROBLEM", "%s", p)
	}
	return r.err
}

// write writes what is to be known of a certificate.
func (c *NTSCertificate) write(r *rows) {
	r.row("Certificate", "%s", c.File)
	r.row("  for", "%s", strings.Join(c.Names, " "))
	r.row("  until", "%s", ending(c.NotAfter, c.DaysLeft))
	r.row("  key", "%s, %s", c.Kind, c.Key)
	r.row("  issued by", "%s", c.Issuer)
	for _, l := range c.Chain {
		r.row("  sent with", "%s, until %s", l.Subject, ending(l.NotAfter, l.DaysLeft))
	}
	r.row("  clients trust", "%s", c.Needs)
	for _, text := range c.Complaints {
		r.row("  PROBLEM", "%s", text)
	}
}

func ending(at time.Time, days int) string {
	text := at.UTC().Format(time.DateOnly)
	if days < 0 {
		return text + ", which is past"
	}
	return fmt.Sprintf("%s, %d days left", text, days)
}

func momentText(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

// reloads says how reading the certificates went.
func (n *NTS) reloads() string {
	switch {
	case n.ReloadError == "":
		return "loaded " + momentText(n.Loaded)
	case n.Again.IsZero():
		return fmt.Sprintf("not all loaded %s; tried again when a file changes, and by itself", momentText(n.Tried))
	}
	return fmt.Sprintf("not all loaded %s; tried again when a file changes, and %s", momentText(n.Tried), momentText(n.Again))
}

// rows writes titles and what belongs to them.
type rows struct {
	w   io.Writer
	err error
}

func (r *rows) row(title, format string, args ...any) {
	if r.err == nil {
		_, r.err = fmt.Fprintf(r.w, "%-15s : %s\n", title, spell.Printable(fmt.Sprintf(format, args...)))
	}
}

func (r *rows) group(title string, counts map[string]uint64) {
	eachCount(counts, func(name string, n uint64) {
		if n > 0 {
			r.row(title, "%-20s %d", name, n)
		}
	})
}
