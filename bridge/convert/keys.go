package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// maxKeyFile is far above what 65535 keys take.
const maxKeyFile = 8 << 20

// buildKeys finds out which symmetric keys ntpd could use.
func (c *conversion) buildKeys() {
	m := &c.model
	m.keyFile, m.trust = c.lastOf("keys"), c.lastOf("trustedkey")
	if m.trust != nil {
		c.buildTrusted()
	}
	for _, word := range []string{"controlkey", "requestkey"} {
		if s := c.lastOf(word); s != nil {
			c.record(s).Note(report.Obsolete, word, "", "changes over the network, with or without a key, are not offered")
		}
	}
	if m.keyFile == nil {
		if m.trust != nil {
			c.record(m.trust).Note(report.Folded, "trusted-without-file", "delete the line", "there is no keys file: ntpd had no key to trust")
		}
		return
	}
	r := c.record(m.keyFile)
	if !spell.PlainPath(m.keyFile.Argument()) {
		r.Note(report.Error, "file-name", "give a name", "that is no name of a file")
		m.keysRejected = true
		return
	}
	m.keyPath = absolute(m.keyFile.Argument())
	if !strings.HasPrefix(m.keyFile.Argument(), "/") {
		r.Note(report.Approximated, "relative-name", "write an absolute name", "the name is relative to the directory in which ntpd was started, taken to be /")
	}
	c.readKeys(r)
	if m.trust == nil {
		r.Note(report.Folded, "no-trusted-key", "name the keys that may be used with trustedkey", "ntpd trusts no key without trustedkey: none of this file is usable, as before")
	}
}

// readKeys reads the keys file as ntpd would.
func (c *conversion) readKeys(r *report.Record) {
	if c.in.Files == nil && !c.keysMatter() {
		r.Note(report.Folded, "keys-unused", "", "the keys file is not at hand, but none of its keys is used")
		return
	}
	if c.in.Files == nil {
		r.Note(report.Changed, "keys-unread", "give the host's root directory with --root",
			"the keys file is not at hand: which keys it has is not checked before the server reads it, by the rules of %s", c.daemon())
		return
	}
	data, err := c.read(c.model.keyFile.Argument())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Note(report.Error, "keys-missing", "make the file, or delete the line", "%s is not there: ntpd had no keys", c.model.keyPath)
		c.model.keysRejected = true
		return
	case err != nil:
		r.Note(report.Dangerous, "keys-unread", "make the file readable", "the keys file cannot be read: which keys it has is not checked")
		return
	case len(data) > maxKeyFile:
		r.Note(report.Error, "keys-too-long", "give the right file", "%s has %d octets: that is no keys file", c.model.keyPath, len(data))
		c.model.keysRejected = true
		return
	}
	defer clear(data)
	switch c.dialect {
	case "ntpsec":
		c.model.keys, err = symkey.ParseNTPsecKeys(c.model.keyPath, data)
	case "chrony":
		c.model.keys, err = symkey.ParseChronyKeys(c.model.keyPath, data)
	default:
		c.model.keys, err = symkey.ParseNTPKeys(c.model.keyPath, data)
	}
	c.keyFindings(r)
	if err != nil {
		c.model.keysRejected = true
		r.Note(report.Error, "keys-rejected", "correct the keys file, and convert again: every client with a key was refused until now",
			"with this keys file ntpd authenticates nothing, since it rejects it as a whole; %d keys could be read", len(c.model.keys.Readable))
	}
}

// keysMatter reports whether any key of the file can be used.
func (c *conversion) keysMatter() bool {
	if c.dialect != "chrony" {
		return c.model.trust != nil
	}
	return len(c.all("allow")) > 0 || slices.ContainsFunc(c.all("server", "pool", "peer"), func(s *syntax.Statement) bool {
		return slices.ContainsFunc(s.Options, func(o syntax.Option) bool { return spell.AsciiLower(o.Text) == "key" })
	})
}

// keyFindings tells of the keys file and of its usable keys.
func (c *conversion) keyFindings(r *report.Record) {
	f := c.model.keys
	weak := make(map[string]bool)
	for _, k := range f.Keys {
		for _, text := range k.Weaknesses() {
			weak[fmt.Sprintf("key %d: %s", k.ID(), text)] = true
		}
	}
	for _, found := range f.Findings {
		class := report.Changed
		switch {
		case found.Severity == symkey.Error:
			class = report.Error
		case found.KeyID != 0 && !c.model.trustSet.Contains(found.KeyID):
			class = report.Folded
		case weak[found.Text]:
			continue // said below
		}
		r.Note(class, "keys-line", "", "%s:%d: %s", c.model.keyPath, found.Line, found.Text)
	}
	unused := 0
	for _, k := range f.Keys {
		if !c.model.trustSet.Contains(k.ID()) {
			unused++
			continue
		}
		for _, text := range k.Weaknesses() {
			r.Note(report.Dangerous, "weak-key", "make a new key, for example of type AES128CMAC", "key %d: %s", k.ID(), text)
		}
		if len(k.Addresses()) > 0 {
			r.Note(report.Changed, "key-addresses", "", "key %d has an address list: ntpd checked it for servers only, here it holds for clients too", k.ID())
		}
	}
	if unused > 0 && c.model.trust != nil {
		r.Note(report.Folded, "untrusted-keys", "", "%d keys of the file are not trusted and stay so", unused)
	}
}

// buildTrusted reads the trustedkey line that counts.
func (c *conversion) buildTrusted() {
	r := c.record(c.model.trust)
	if len(c.all("trustedkey")) > 1 {
		r.Note(report.Changed, "trusted-replaced", "write one line with all keys", "in ntpd 4.2.8 this line replaces those above; other releases add them up")
	}
	var items []string
	for _, o := range c.model.trust.Options {
		low, high := o.Int, o.Int
		if o.Kind == syntax.ValueRange {
			high = o.High
		}
		if low < 1 || high > 65535 {
			r.Note(report.Folded, "trusted-range", "", "only 1 to 65535 are key identifiers: the rest of %s is ignored, as ntpd does", describeRange(low, high))
		}
		low, high = max(low, 1), min(high, 65535)
		if low > high {
			continue
		}
		items = append(items, fmt.Sprintf("%d-%d", low, high))
	}
	c.model.trusted = c.model.trust.Options
	set, err := symkey.ParseTrusted(items)
	if err != nil {
		r.Note(report.Error, "trusted", "", "%v", err)
		return
	}
	c.model.trustSet = set
}

func describeRange(low, high int64) string {
	if low == high {
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

// usableKey reports whether an association can use a key, and why not. Without
// a keys file at hand it is taken to be there.
func (c *conversion) usableKey(id uint32) (ok bool, why string) {
	m := &c.model
	switch {
	case m.keyFile == nil:
		return false, "there is no keys file"
	case !m.trustSet.Contains(id):
		return false, fmt.Sprintf("key %d is not trusted", id)
	case m.keysRejected:
		return false, "ntpd loads no key from the keys file"
	case m.keys == nil:
		return true, ""
	}
	for _, k := range m.keys.Keys {
		if k.ID() == id {
			return true, ""
		}
	}
	return false, fmt.Sprintf("the keys file has no usable key %d", id)
}
