package fleet

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// refusalLog logs refused clients: once per client, reason and hour, and never
// more than perMinute lines.
type refusalLog struct {
	log     hclog.Logger
	kept    inventory.Addresses // of an address no more is logged than is kept
	said    map[refusal]uint32  // when, NTP seconds
	swept   uint32              // when old ones were taken out
	waiting []refusal
	tokens  int
	minute  int64
	dropped int
}

type refusal struct {
	client string
	kind   ntp.Kind
	key    uint32
	reason ntp.Reason
}

// Limits of the log.
const (
	perMinute = 60
	maxSaid   = 20_000
)

func newRefusalLog(log hclog.Logger, kept inventory.Addresses) *refusalLog {
	return &refusalLog{log: log, kept: kept, said: make(map[refusal]uint32)}
}

// again is after how long a refusal is logged once more, seconds.
const again = 3600

// note remembers a refused packet for the next flush.
func (l *refusalLog) note(s *feed.Sighting) {
	r, now := refusal{l.kept.Shown(s.Addr), s.Kind, s.Key, s.Reason}, s.Received.Seconds()
	if at, said := l.said[r]; said && now-at < again {
		return
	}
	if len(l.said) >= maxSaid && now-l.swept > again/60 {
		l.swept = now
		for old, at := range l.said {
			if now-at >= again {
				delete(l.said, old)
			}
		}
	}
	if len(l.said) >= maxSaid {
		l.dropped++
		return
	}
	l.said[r] = now
	l.waiting = append(l.waiting, r)
}

// flush writes what is due.
func (l *refusalLog) flush(now time.Time) {
	if minute := now.Unix() / 60; minute != l.minute {
		l.minute, l.tokens = minute, perMinute
		if l.dropped > 0 {
			l.log.Info("more clients were refused than are logged; `ntsbridge clients --sort refused` lists them", "not_logged", l.dropped)
			l.dropped = 0
		}
	}
	for _, r := range l.waiting {
		if l.tokens == 0 {
			l.dropped++
			continue
		}
		l.tokens--
		args := []any{"client", r.client, "kind", r.kind.String(), "reason", r.reason.String()}
		if r.kind == ntp.KindSymmetric {
			args = append(args, "key", r.key)
		}
		l.log.Info("client refused", append(args, "remedy", remedies[r.reason])...)
	}
	l.waiting = l.waiting[:0]
}

// remedies say what to do about each reason.
var remedies = map[ntp.Reason]string{
	ntp.ReasonShort:        "its packets are shorter than NTP's: another protocol, or a scan, on this port",
	ntp.ReasonMalformed:    "its packets do not frame: look at a capture of it",
	ntp.ReasonVersion:      "set min_version of its access rule lower, or update the client",
	ntp.ReasonMode:         "a peer without a symmetric key: add the peer to sources, or give it a key",
	ntp.ReasonCryptoNAK:    "it does not accept our answers: its key differs from ours",
	ntp.ReasonDenied:       "an access rule denies it: change access.rules if it is to be served",
	ntp.ReasonAuthRequired: "its access rule does not allow this kind of authentication: change kinds of the rule, or move the client",
	ntp.ReasonRateLimited:  "it asks too often: look at its configuration, or change rate of its access rule",
	ntp.ReasonUnknownKey:   "the key is not in keys.files, or not in keys.trusted: add it, or change the client's key",
	ntp.ReasonKeyAddress:   "its access rule or the address list in the key file does not allow this key from there",
	ntp.ReasonBadMAC:       "the key has another secret or digest there than here",
	ntp.ReasonNotEnabled:   "this kind of authentication is switched off: autokey.enabled or nts.enabled",
	ntp.ReasonBadField:     "its extension fields break the protocol: look at a capture of it",
	ntp.ReasonUnknownCookie: "its cookie is too old or of another server: NTS clients and ntpd before 4.2.8 get new ones by themselves; Autokey " +
		"clients of ntpd 4.2.8 must be restarted unless the old seed is restored",
	ntp.ReasonBadAuthenticator: "its NTS packets do not verify: it will ask NTS-KE for new cookies",
	ntp.ReasonBudget:           "too much public-key work at once: raise autokey.budget if this lasts",
	ntp.ReasonMulticastSource:  "its packets come from an address that nobody can have: they are forged, or a router rewrites them",
	ntp.ReasonNoGroup:          "its Autokey name has no group and ours has one: make its files with keygen -i GROUP, or ours without -i",
	ntp.ReasonNTPDCookie:       "it was an ntpd's client: set autokey.takeover with a date, or restart its ntpd (before 4.2.8 they ask anew by themselves)",
	ntp.ReasonStage:            "a step of the migration refuses this means: move the client to NTS, or `ntsbridge fleet rollback` its group",
	ntp.ReasonNoSigner:         "Samba's ntp_signd did not answer: see that it runs, and that this daemon may open server.ms_sntp.socket",
	ntp.ReasonTooLarge:         "its request leaves no room for an answer",
}
