package access

import (
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// Action is what a rule does with the requests that it matches.
type Action uint8

// The actions. The zero value denies.
const (
	Deny  Action = iota // ntpd's ignore and noserve
	Allow               // as far as Kinds, Keys and MinVersion allow
)

// Kiss is what a refused client gets.
type Kiss uint8

// The answers to a refused client.
const (
	KissNone     Kiss = iota // silence, as ntpd does
	KissDeny                 // kiss code DENY
	KissRestrict             // kiss code RSTR
)

// Kinds is a set of kinds of authentication.
type Kinds uint8

// AllKinds has every kind.
const AllKinds Kinds = 1<<ntp.KindCount - 1

// KindsOf returns the set of the given kinds.
func KindsOf(kinds ...ntp.Kind) Kinds {
	var s Kinds
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has reports whether the kind is in the set.
func (s Kinds) Has(k ntp.Kind) bool { return s>>k&1 != 0 }

// KeyRange is a range of symmetric key identifiers, both ends included.
type KeyRange struct{ Low, High uint32 }

// RateLimit is a token bucket per client. Its state is in a Limiter.
type RateLimit struct {
	Interval time.Duration // mean time between two requests, above 0
	Burst    int           // requests that may come at once, 1 to 255
	Minimum  time.Duration // least time between two requests, 0 for none
	Leak     float64       // fraction of the excess that is answered, 0 to 1
	Kiss     bool          // answer some of the rest with kiss code RATE
}

// Rule is what holds for a prefix.
type Rule struct {
	Name          string // for messages
	Prefix        netip.Prefix
	SourcePort123 bool // only for requests from port 123 (ntpport)
	Action        Action
	Kiss          Kiss
	Kinds         Kinds      // answered kinds; without KindNone it is notrust
	Keys          []KeyRange // answered symmetric keys, sorted; empty: every one
	MinVersion    uint8      // 1 to 4; 4 is ntpd's flag version
	Rate          *RateLimit // nil: not limited
	Query         bool       // mode 6 allowed (not noquery)
	MSSNTP        bool       // answers to Active Directory's clients are signed (mssntp)

	overlay *Overlay // steps of the migration that hold here, nil: none
	index   int      // among Table.Rules, from 1; 0: of none
}

// Index returns which of its table's rules this is, from 0; -1: none of them.
func (r *Rule) Index() int { return r.index - 1 }

// Judge decides on a request of the given kind and version: Answer, or what a
// refused client gets and why. It holds before authentication for the kind
// that a packet claims, and after it for the kind that was proved.
func (r *Rule) Judge(kind ntp.Kind, version uint8) (ntp.Action, ntp.Reason) {
	switch {
	case r.Action != Allow:
		return r.refusal(), ntp.ReasonDenied
	case version < r.MinVersion || version > 4 || version == 0:
		return ntp.Drop, ntp.ReasonVersion
	case !r.Kinds.Has(kind):
		return r.refusal(), ntp.ReasonAuthRequired
	}
	return ntp.Answer, ntp.ReasonOK
}

// JudgeKey decides on a request with a symmetric key that Judge has let pass.
func (r *Rule) JudgeKey(id uint32) (ntp.Action, ntp.Reason) {
	if len(r.Keys) == 0 {
		return ntp.Answer, ntp.ReasonOK
	}
	for _, k := range r.Keys {
		if k.Low <= id && id <= k.High {
			return ntp.Answer, ntp.ReasonOK
		}
	}
	return r.refusal(), ntp.ReasonKeyAddress
}

func (r *Rule) refusal() ntp.Action {
	switch r.Kiss {
	case KissDeny:
		return ntp.KissDeny
	case KissRestrict:
		return ntp.KissRestrict
	}
	return ntp.Drop
}
