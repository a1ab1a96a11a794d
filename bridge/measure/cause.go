package measure

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"ntsbridge/autokey"
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
func (r *Result) note(err error) bool {
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
		return r.timeouts >= silent && r.client == nil && len(r.Samples) == 0 && errors.Is(r.last, source.ErrTimeout)
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
func (r *Result) cause(err error) error {
	var kiss *source.KissError
	switch {
	case errors.As(err, &kiss):
		return err
	case r.client != nil:
		return r.autokeyCause()
	case r.last == nil:
		r.last = source.ErrTimeout
	}
	if len(r.Samples) > 0 {
		return &fewSamples{len(r.Samples), r.want, r.last}
	}
	return r.last
}

// Diagnosis explains why a server was not measured.
func (r *Result) Diagnosis() source.Diagnosis {
	d := source.Diagnose(r.Err)
	var few *fewSamples
	if errors.As(r.Err, &few) {
		text := fmt.Sprintf("only %d of %d samples came in time", few.got, few.want)
		if errors.Is(few.last, source.ErrTimeout) {
			d = source.Diagnosis{Cause: source.CauseFewSamples, Remedy: source.RemedyOf(source.CauseFewSamples)}
			d.Text = text
		} else {
			d.Text = text + ": " + d.Text
		}
	}
	if r.client != nil && r.Err != nil { // the error tells at which step
		d.Text = r.Err.Error()
		switch d.Cause {
		case source.CauseOther:
			d.Cause = source.CauseAutokey
		case source.CauseCryptoNAK:
			d.Remedy = ""
		}
	}
	return d
}

// autokeyCause names what an Autokey association failed at.
func (r *Result) autokeyCause() error {
	s := r.Autokey
	step := "ASSOC"
	switch f := s.Status.Flags(); {
	case s.Status == 0:
	case f&autokey.FlagCERT == 0:
		step = fmt.Sprintf("CERT %q", s.Issuer)
	case f&autokey.FlagVRFY == 0:
		step = "the identity scheme " + strings.ToUpper(s.Scheme.String())
	case f&autokey.FlagCOOK == 0:
		step = "COOK"
	case len(r.Samples) < r.want:
		step = "time"
	case f&autokey.FlagSIGN == 0:
		step = "SIGN"
	default:
		step = "LEAP"
	}
	switch {
	case errors.Is(s.Err, autokey.ErrCryptoNAK):
		return fmt.Errorf("at %s: the server cannot verify our MAC (crypto-NAK): it has another digest (--digest), or there is an "+
			"address translator on the way, which Autokey cannot pass", step)
	case s.Err != nil:
		return fmt.Errorf("at %s: %w", step, s.Err)
	case errors.Is(r.last, source.ErrTimeout) && s.Status == 0:
		return fmt.Errorf("at %s: %w: the server is down, has no Autokey, or is in a group (@group) while this host's name has "+
			"none", step, r.last)
	case strings.HasPrefix(step, "CERT"):
		return fmt.Errorf("at %s: the server has no certificate to give out: it is not synchronised, has no trusted or signed "+
			"certificate, or a private one (PC)", step)
	case r.last != nil:
		return fmt.Errorf("at %s: %w", step, r.last)
	}
	return fmt.Errorf("at %s: not done in time", step)
}
