package keygen

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrStillValid ends a renewal that is not due.
var ErrStillValid = errors.New("the certificate is still valid")

// renewable checks that there is a certificate to renew, that it is time, and
// that the new one will be later than it for the peers: their caches keep the
// one with the later filestamp, and of equal ones the first.
func (m *maker) renewable() error {
	if m.old == nil {
		return fmt.Errorf("there is no certificate ntpkey_cert_%s; `keygen` makes a first one", m.names.host)
	}
	left := m.old.NotAfter.Sub(m.in.Now)
	if m.in.Options.Has("if-expires-within") && left > time.Duration(m.in.Options.number("if-expires-within", 0))*24*time.Hour {
		m.tell("The certificate of %s is valid until %s, nothing done", m.old.Subject, m.old.NotAfter.UTC().Format(time.DateTime+" MST"))
		return ErrStillValid
	}
	if int32(ntpSeconds(m.in.Now)-m.oldStamp) <= 0 {
		return fmt.Errorf("the clock of this machine is at %d NTP seconds, the certificate's filestamp is %d: no peer would take the "+
			"new one; set the clock, or wait a second", ntpSeconds(m.in.Now), m.oldStamp)
	}
	if _, group, found := strings.Cut(m.old.Subject, "@"); found && !m.names.groupGiven && checkName("group", group) == nil {
		m.names.group, m.names.groupGiven = group, true
	}
	m.stamp = ntpSeconds(m.in.Now)
	m.tell("Renewing the certificate of %s (filestamp %d, until %s)", m.old.Subject, m.oldStamp,
		m.old.NotAfter.UTC().Format(time.DateTime+" MST"))
	m.tell("Restart ntpd, or reload ntsbridge, to use it; peers take it over when they next ask for it")
	return nil
}
