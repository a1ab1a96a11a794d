package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// errStillValid ends a renewal that is not due.
var errStillValid = errors.New("the certificate is still valid")

// renewable checks that there is a certificate to renew, that it is time, and
// that the new one will be later than it for the peers: their caches keep the
// one with the later filestamp, and of equal ones the first.
func (r *keygenRun) renewable() error {
	if r.old == nil {
		return fmt.Errorf("there is no certificate ntpkey_cert_%s; `keygen` makes a first one", r.names.host)
	}
	left := r.old.NotAfter.Sub(r.now)
	if r.opt.has("if-expires-within") && left > time.Duration(r.opt.number("if-expires-within", 0))*24*time.Hour {
		fmt.Fprintf(r.say, "The certificate of %s is valid until %s, nothing done\n", r.old.Subject, r.old.NotAfter.UTC().Format(time.DateTime+" MST"))
		return errStillValid
	}
	if int32(ntpSeconds(r.now)-r.oldStamp) <= 0 {
		return fmt.Errorf("the clock of this machine is at %d NTP seconds, the certificate's filestamp is %d: no peer would take the new one; set the clock, or wait a second", ntpSeconds(r.now), r.oldStamp)
	}
	if _, group, found := strings.Cut(r.old.Subject, "@"); found && !r.names.groupGiven && checkName("group", group) == nil {
		r.names.group, r.names.groupGiven = group, true
	}
	r.stamp = ntpSeconds(r.now)
	fmt.Fprintf(r.say, "Renewing the certificate of %s (filestamp %d, until %s)\n", r.old.Subject, r.oldStamp, r.old.NotAfter.UTC().Format(time.DateTime+" MST"))
	fmt.Fprintln(r.say, "Restart ntpd, or reload ntsbridge, to use it; peers take it over when they next ask for it")
	return nil
}
