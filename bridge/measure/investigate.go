package measure

import (
	"context"
	"errors"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// Bounds of a probe, and of the time in it for an answer.
const (
	investigateFor = 30 * time.Second
	minProbeWait   = 100 * time.Millisecond
	maxProbeWait   = time.Second
)

// investigate finds out by packets without authentication why there is
// silence, and whether somebody else answers, too.
func (c *Config) investigate(parent context.Context, auth source.Authenticator, r *Result) {
	quiet := r.Err != nil && len(r.Samples) == 0 && errors.Is(r.Err, source.ErrTimeout) && (r.client == nil || r.Autokey.Status == 0)
	if r.Err == nil && r.forged > 0 {
		r.warn("%d answers with a wrong authenticator came beside the good ones: somebody on the way answers, too", r.forged)
	}
	if !quiet && r.strays == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(parent, investigateFor)
	defer cancel()
	probe := source.ProbeConfig{Server: r.Address, Kind: auth.Kind(), Size: ntp.HeaderLen,
		Wait: min(max(c.Interval, minProbeWait), maxProbeWait)}
	if quiet {
		probe.Size = c.requestLen(auth)
	}
	found := source.Probe(ctx, probe)
	err := found.Explain(probe)
	switch {
	case errors.Is(err, source.ErrSecondAnswer) && auth.Kind() != ntp.KindNone && r.Err == nil:
		r.warn("%v", err)
	case errors.Is(err, source.ErrSecondAnswer):
		r.Err = err
	case !quiet || err == nil:
	case r.client != nil && found.Plain: // the cause of Autokey tells more
	default:
		r.Err = err
	}
}

// requestLen is the length of the requests that got no answer, octets.
func (c *Config) requestLen(auth source.Authenticator) int {
	switch a := auth.(type) {
	case *source.NTS:
		return a.Status().RequestLen
	case *source.Symmetric:
		return ntp.HeaderLen + c.Key.WireLen(c.Version)
	}
	return ntp.HeaderLen
}
