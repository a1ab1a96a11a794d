package report

import (
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends a row as JSON. It writes what encoding/json would (but for
// empty lists instead of null), without its cost: a site's list may have a million
// rows.
func (r *Row) AppendJSON(b []byte) []byte {
	b = append(b, `{"address":`...)
	b = appendText(b, r.Address)
	b = appendTexts(append(b, `,"names":`...), r.Names)
	b = appendText(append(b, `,"label":{"owner":`...), r.Label.Owner)
	b = appendText(append(b, `,"site":`...), r.Label.Site)
	b = appendText(append(b, `,"note":`...), r.Label.Note)
	b = appendText(append(b, `},"implementation":`...), r.Implementation)
	b = append(b, `,"means":[`...)
	for i := range r.Means {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.Means[i].appendJSON(b)
	}
	b = appendNumber(append(b, `],"nts_ke":{"handshakes":`...), r.KE.Handshakes)
	b = r.KE.Last.appendJSON(append(b, `,"last":`...))
	b = appendNumber(append(b, `,"failures":`...), r.KE.Failures)
	if r.KE.Result != "" {
		b = appendText(append(b, `,"result":`...), r.KE.Result)
	}
	if len(r.KE.Offered) > 0 {
		b = appendTexts(append(b, `,"aeads":`...), r.KE.Offered)
	}
	if r.KE.SNI != "" {
		b = appendText(append(b, `,"sni":`...), r.KE.SNI)
	}
	b = r.First.appendJSON(append(b, `},"first":`...))
	b = r.Last.appendJSON(append(b, `,"last":`...))
	b = appendText(append(b, `,"rank":`...), r.Rank)
	b = appendNumber(append(b, `,"hosts":`...), r.Hosts)
	b = appendNumber(append(b, `,"hosts_estimate":`...), r.Estimate)
	if r.Addresses > 0 {
		b = appendNumber(append(b, `,"addresses":`...), r.Addresses)
	}
	if u := r.Upstream; u != nil {
		b = appendText(append(b, `,"upstream":{"refid":`...), u.RefID)
		b = appendNumber(append(b, `,"stratum":`...), u.Stratum)
		b = appendNumber(append(b, `,"leap":`...), u.Leap)
		b = append(u.Set.appendJSON(append(b, `,"set":`...)), '}')
	}
	b = appendText(append(b, `,"best":`...), r.Best)
	b = appendText(append(b, `,"worst":`...), r.Worst)
	return append(b, '}')
}

// MarshalJSON makes encoding/json write the same.
func (r *Row) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

func (m *Means) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"kind":`...), m.Kind)
	if m.Key != 0 {
		b = appendNumber(append(b, `,"key":`...), m.Key)
	}
	for _, f := range [...]struct{ name, value string }{{`,"digest":`, m.Digest}, {`,"scheme":`, m.Scheme}, {`,"group":`, m.Group},
		{`,"aead":`, m.AEAD}} {
		if f.value != "" {
			b = appendText(append(b, f.name...), f.value)
		}
	}
	if m.NTPDCookie {
		b = append(b, `,"ntpd_cookie":true`...)
	}
	if m.Account != 0 {
		b = appendNumber(append(b, `,"account":`...), m.Account)
	}
	b = m.First.appendJSON(append(b, `,"first":`...))
	b = m.Last.appendJSON(append(b, `,"last":`...))
	b = appendNumber(append(b, `,"answered":`...), m.Answered)
	b = append(b, `,"refused":{`...)
	for i, reason := range m.reasons() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(append(appendText(b, reason), ':'), m.Refused[reason])
	}
	b = m.LastAnswered.appendJSON(append(b, `},"last_answered":`...))
	b = appendNumber(append(b, `,"unanswered":`...), m.Unanswered)
	b = appendPoll(append(b, `,"poll":`...), m.Poll)
	b = appendText(append(b, `,"versions":`...), m.Versions)
	b = append(b, `,"modes":[`...)
	for i, mode := range m.Modes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, mode)
	}
	b = appendNumber(append(b, `],"octets":[`...), m.Octets[0])
	b = appendNumber(append(b, ','), m.Octets[1])
	b = append(b, ']')
	if m.Kisses > 0 {
		b = appendNumber(append(b, `,"kisses":`...), m.Kisses)
	}
	if m.Reaction != "" {
		b = appendText(append(b, `,"reaction":`...), m.Reaction)
	}
	b = appendText(append(b, `,"implementation":`...), m.Implementation)
	b = appendText(append(b, `,"evidence":`...), m.Evidence)
	if len(m.Gateways) > 0 {
		b = append(b, `,"gateways":[`...)
		for i := range m.Gateways {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(append(b, `{"gateway":`...), m.Gateways[i].Gateway)
			b = append(m.Gateways[i].Last.appendJSON(append(b, `,"last":`...)), '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendNumber[T ~int | ~uint8 | ~uint16 | ~uint32](b []byte, n T) []byte {
	return strconv.AppendInt(b, int64(n), 10)
}

func appendTexts(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

// appendText appends a string. Most need no escape, and go whole.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	plain := 0
	for plain < len(s) && s[plain] >= ' ' && s[plain] < utf8.RuneSelf && s[plain] != '"' && s[plain] != '\\' {
		plain++
	}
	b = append(b, s[:plain]...)
	for i := plain; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c >= ' ' && c < utf8.RuneSelf:
			b = append(b, c)
			i++
		case c < ' ':
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r) // of an invalid one U+FFFD
			i += n
		}
	}
	return append(b, '"')
}

// appendPoll appends seconds, of which most are whole.
func appendPoll(b []byte, poll float64) []byte {
	if n := int64(poll); float64(n) == poll {
		return strconv.AppendInt(b, n, 10)
	}
	return strconv.AppendFloat(b, poll, 'f', -1, 64)
}
