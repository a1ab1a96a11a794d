package control

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/ntp"
)

// Status is what the daemon is, and what is the matter with it.
type Status struct {
	Started      time.Time        `json:"started"`
	Addresses    []netip.AddrPort `json:"addresses"` // NTP, UDP
	KE           []netip.AddrPort `json:"nts_ke"`    // NTS-KE, TCP; empty: off
	Leap         ntp.Leap         `json:"leap"`      // as served: 3 is not synchronised
	Stratum      uint8            `json:"stratum"`   // as served, 0: not synchronised
	ReferenceID  ReferenceID      `json:"reference_id"`
	Associations int              `json:"associations"`
	// Fastpath are the interfaces at which the kernel answers requests, or
	// was to; empty: server.fastpath is off.
	Fastpath []FastpathInterface `json:"fastpath"`
	// Problems are what somebody has to look at, a sentence each. Empty: none.
	Problems []string `json:"problems"`
}

// FastpathInterface is how server.fastpath stands at an interface.
type FastpathInterface struct {
	Interface string `json:"interface"`
	Mode      string `json:"mode"`   // tcx or xdp, that it has or was to have
	Active    bool   `json:"active"` // the kernel answers here
	Keys      string `json:"keys"`   // algorithms of the symmetric keys that it answers, too
	Note      string `json:"note"`   // why not, or what else there is to say
}

// String is a line for people.
func (f *FastpathInterface) String() string {
	if !f.Active {
		return fmt.Sprintf("%s: answered by the sockets (%s): %s", f.Interface, f.Mode, f.Note)
	}
	line := fmt.Sprintf("%s: plain requests and those with keys of %s are answered in the kernel (%s)", f.Interface, f.Keys, f.Mode)
	if f.Note != "" {
		line += "; " + f.Note
	}
	return line
}

// WriteText writes the status for people.
func (s *Status) WriteText(w io.Writer, _ ReportOptions) error {
	var err error
	row := func(title, format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, "%-15s : "+format+"\n", append([]any{title}, args...)...)
		}
	}
	row("Running since", "%s", s.Started.UTC().Format("Mon Jan 02 15:04:05 2006 UTC"))
	for _, a := range s.Addresses {
		row("Serving NTP", "%v", a)
	}
	for _, a := range s.KE {
		row("Serving NTS-KE", "%v", a)
	}
	if s.Leap == ntp.LeapUnknown {
		row("Clock", "not synchronised: the alarm is served")
	} else {
		row("Clock", "served at stratum %d, reference %v", s.Stratum, s.ReferenceID)
	}
	row("Associations", "%d", s.Associations)
	for i := range s.Fastpath {
		row("Fast path", "%s", spell.Printable(s.Fastpath[i].String()))
	}
	for _, p := range s.Problems {
		row("PROBLEM", "%s", spell.Printable(p))
	}
	return err
}
