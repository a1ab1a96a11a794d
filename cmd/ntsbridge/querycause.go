package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/nts"
)

// hopeless is how often in a row a cause that waiting does not mend must come
// until a server is given up; silent how often no answer at all.
const (
	hopeless = 3
	silent   = 8
)

// note remembers what went wrong, the telling before the mere timeout, and
// reports whether there is no hope.
func (r *queryResult) note(err error) bool {
	switch {
	case errors.Is(err, source.ErrOrigin):
		r.strays++
	case errors.Is(err, nts.ErrAuthenticator), errors.Is(err, source.ErrNotAuthentic):
		r.forged++
	}
	if errors.Is(err, source.ErrTimeout) {
		if r.last == nil || errors.Is(r.last, source.ErrTimeout) {
			r.last = err
		}
		r.timeouts++
		return r.timeouts >= silent && r.autokey == nil && len(r.samples) == 0 && errors.Is(r.last, source.ErrTimeout)
	}
	// The end of the query's time is no news.
	var late net.Error
	if r.last != nil && errors.As(err, &late) && late.Timeout() {
		return false
	}
	r.timeouts, r.last = 0, err
	if lasting(err) {
		r.repeated++
	}
	return r.repeated >= hopeless
}

// lasting reports whether waiting does not mend what is wrong.
func lasting(err error) bool {
	var m *autokey.MessageError
	switch {
	case errors.As(err, &m):
		return m.Event == autokey.EventMD || m.Event == autokey.EventKEY || m.Event == autokey.EventID || m.Event == autokey.EventFSP
	case errors.Is(err, source.ErrCryptoNAK), errors.Is(err, autokey.ErrCryptoNAK), errors.Is(err, source.ErrNotAuthentic),
		errors.Is(err, nts.ErrNAK), errors.Is(err, nts.ErrUnprotected), errors.Is(err, nts.ErrAuthenticator),
		errors.Is(err, syscall.ECONNREFUSED):
		return true
	}
	return false
}

// fewSamples is an error of a server that answered some requests.
type fewSamples struct {
	got, want int
	last      error
}

func (e *fewSamples) Error() string {
	return fmt.Sprintf("only %d of %d samples: %v", e.got, e.want, e.last)
}

func (e *fewSamples) Unwrap() error { return e.last }

// cause names why there are not enough samples.
func (r *queryResult) cause(err error) error {
	var kiss *source.KissError
	switch {
	case errors.As(err, &kiss):
		return err
	case r.autokey != nil:
		return r.autokeyCause()
	case r.last == nil:
		r.last = source.ErrTimeout
	}
	if len(r.samples) > 0 {
		return &fewSamples{len(r.samples), r.want, r.last}
	}
	return r.last
}

// diagnosis explains why a server was not measured.
func (r *queryResult) diagnosis() source.Diagnosis {
	d := source.Diagnose(r.err)
	var few *fewSamples
	if errors.As(r.err, &few) {
		text := fmt.Sprintf("only %d of %d samples came in time", few.got, few.want)
		if errors.Is(few.last, source.ErrTimeout) {
			d = source.Diagnosis{Cause: source.CauseFewSamples, Remedy: source.RemedyOf(source.CauseFewSamples)}
			d.Text = text
		} else {
			d.Text = text + ": " + d.Text
		}
	}
	if r.autokey != nil && r.err != nil { // the error tells at which step
		d.Text = r.err.Error()
		switch d.Cause {
		case source.CauseOther:
			d.Cause = source.CauseAutokey
		case source.CauseCryptoNAK:
			d.Remedy = ""
		}
	}
	return d
}

// Bounds of a probe, and of the time in it for an answer.
const (
	investigateFor = 30 * time.Second
	minProbeWait   = 100 * time.Millisecond
	maxProbeWait   = time.Second
)

// investigate finds out by packets without authentication why there is
// silence, and whether somebody else answers, too.
func (f *queryFlags) investigate(parent context.Context, kit *queryKit, auth source.Authenticator, r *queryResult) {
	quiet := r.err != nil && len(r.samples) == 0 && errors.Is(r.err, source.ErrTimeout) && (r.autokey == nil || r.state.Status == 0)
	if r.err == nil && r.forged > 0 {
		r.warn("%d answers with a wrong authenticator came beside the good ones: somebody on the way answers, too", r.forged)
	}
	if !quiet && r.strays == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(parent, investigateFor)
	defer cancel()
	probe := source.ProbeConfig{Server: r.address, Kind: auth.Kind(), Size: ntp.HeaderLen,
		Wait: min(max(f.interval, minProbeWait), maxProbeWait)}
	if quiet {
		probe.Size = f.requestLen(kit, auth)
	}
	found := source.Probe(ctx, probe)
	err := found.Explain(probe)
	switch {
	case errors.Is(err, source.ErrSecondAnswer) && auth.Kind() != ntp.KindNone && r.err == nil:
		r.warn("%v", err)
	case errors.Is(err, source.ErrSecondAnswer):
		r.err = err
	case !quiet || err == nil:
	case r.autokey != nil && found.Plain: // the cause of Autokey tells more
	default:
		r.err = err
	}
}

// requestLen is the length of the requests that got no answer, octets.
func (f *queryFlags) requestLen(kit *queryKit, auth source.Authenticator) int {
	switch a := auth.(type) {
	case *source.NTS:
		return a.Status().RequestLen
	case *source.Symmetric:
		return ntp.HeaderLen + kit.key.WireLen(f.version)
	}
	return ntp.HeaderLen
}

func (r *queryResult) warn(format string, a ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, a...))
}
