package ntpd

import (
	"fmt"
	"strings"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// buildKeys finds out which symmetric keys ntpd could use.
func (c *reader) buildKeys() {
	m := &c.Model
	m.KeyFile, m.Trust = c.LastOf("keys"), c.LastOf("trustedkey")
	if m.Trust != nil {
		c.buildTrusted()
	}
	for _, word := range []string{"controlkey", "requestkey"} {
		if s := c.LastOf(word); s != nil && (word == "requestkey" || c.Opt.Client != nil) {
			c.Record(s).Note(report.Obsolete, word, "", "changes over the network, with or without a key, are not offered")
		}
	}
	if m.KeyFile == nil {
		if m.Trust != nil {
			c.Record(m.Trust).Note(report.Folded, "trusted-without-file", "delete the line",
				"there is no keys file: ntpd had no key to trust")
		}
		return
	}
	r := c.Record(m.KeyFile)
	if !spell.PlainPath(m.KeyFile.Argument()) {
		r.Note(report.Error, "file-name", "give a name", "that is no name of a file")
		m.KeysRejected = true
		return
	}
	m.KeyPath = job.Absolute(m.KeyFile.Argument())
	if !strings.HasPrefix(m.KeyFile.Argument(), "/") {
		r.Note(report.Approximated, "relative-name", "write an absolute name",
			"the name is relative to the directory in which ntpd was started, taken to be /")
	}
	c.ReadKeys(r)
	if m.Trust == nil {
		r.Note(report.Folded, "no-trusted-key", "name the keys that may be used with trustedkey",
			"ntpd trusts no key without trustedkey: none of this file is usable, as before")
	}
}

// buildTrusted reads the trustedkey line that counts.
func (c *reader) buildTrusted() {
	r := c.Record(c.Model.Trust)
	if len(c.All("trustedkey")) > 1 {
		r.Note(report.Changed, "trusted-replaced", "write one line with all keys",
			"in ntpd 4.2.8 this line replaces those above; other releases add them up")
	}
	var items []string
	for _, o := range c.Model.Trust.Options {
		low, high := o.Int, o.Int
		if o.Kind == syntax.ValueRange {
			high = o.High
		}
		if low < 1 || high > 65535 {
			r.Note(report.Folded, "trusted-range", "", "only 1 to 65535 are key identifiers: the rest of %s is ignored, as ntpd does",
				describeRange(low, high))
		}
		low, high = max(low, 1), min(high, 65535)
		if low > high {
			continue
		}
		items = append(items, fmt.Sprintf("%d-%d", low, high))
	}
	c.Model.Trusted = c.Model.Trust.Options
	set, err := symkey.ParseTrusted(items)
	if err != nil {
		r.Note(report.Error, "trusted", "", "%v", err)
		return
	}
	c.Model.TrustSet = set
}

func describeRange(low, high int64) string {
	if low == high {
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}
