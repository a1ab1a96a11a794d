package job

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// maxKeyFile is far above what 65535 keys take.
const maxKeyFile = 8 << 20

// ReadKeys reads the keys file as ntpd would.
func (c *Job) ReadKeys(r *report.Record) {
	if c.In.Files == nil && !c.keysMatter() {
		r.Note(report.Folded, "keys-unused", "", "the keys file is not at hand, but none of its keys is used")
		return
	}
	if c.In.Files == nil && c.Opt.Client != nil {
		r.Note(report.Changed, "keys-unread", "give the host's root directory with --root",
			"the keys file is not at hand: which keys it has is not known, and none can be kept for the gateway")
		return
	}
	if c.In.Files == nil {
		r.Note(report.Changed, "keys-unread", "give the host's root directory with --root",
			"the keys file is not at hand: which keys it has is not checked before the server reads it, by the rules of %s", c.Daemon())
		return
	}
	data, err := c.Read(c.Model.KeyFile.Argument())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Note(report.Error, "keys-missing", "make the file, or delete the line", "%s is not there: %s had no keys", c.Model.KeyPath,
			c.Daemon())
		c.Model.KeysRejected = true
		return
	case err != nil:
		r.Note(report.Dangerous, "keys-unread", "make the file readable", "the keys file cannot be read: which keys it has is not checked")
		return
	case len(data) > maxKeyFile:
		r.Note(report.Error, "keys-too-long", "give the right file", "%s has %d octets: that is no keys file", c.Model.KeyPath, len(data))
		c.Model.KeysRejected = true
		return
	}
	defer clear(data)
	switch c.Dialect {
	case "ntpsec":
		c.Model.Keys, err = symkey.ParseNTPsecKeys(c.Model.KeyPath, data)
	case "chrony":
		c.Model.Keys, err = symkey.ParseChronyKeys(c.Model.KeyPath, data)
	default:
		c.Model.Keys, err = symkey.ParseNTPKeys(c.Model.KeyPath, data)
	}
	c.keyFindings(r)
	if err != nil {
		c.Model.KeysRejected = true
		r.Note(report.Error, "keys-rejected", "correct the keys file, and convert again: every client with a key was refused until now",
			"with this keys file %s authenticates nothing, since it rejects it as a whole; %d keys could be read", c.Daemon(),
			len(c.Model.Keys.Readable))
	}
}

// keysMatter reports whether any key of the file can be used.
func (c *Job) keysMatter() bool {
	if c.Dialect != "chrony" {
		return c.Model.Trust != nil
	}
	return len(c.All("allow")) > 0 || slices.ContainsFunc(c.All("server", "pool", "peer"), func(s *syntax.Statement) bool {
		return slices.ContainsFunc(s.Options, func(o syntax.Option) bool { return spell.AsciiLower(o.Text) == "key" })
	})
}

// keyFindings tells of the keys file and of its usable keys.
func (c *Job) keyFindings(r *report.Record) {
	f := c.Model.Keys
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
		case found.KeyID != 0 && !c.Model.TrustSet.Contains(found.KeyID):
			class = report.Folded
		case weak[found.Text]:
			continue // said below
		}
		r.Note(class, "keys-line", "", "%s:%d: %s", c.Model.KeyPath, found.Line, found.Text)
	}
	unused := 0
	for _, k := range f.Keys {
		if !c.Model.TrustSet.Contains(k.ID()) {
			unused++
			continue
		}
		for _, text := range k.Weaknesses() {
			r.Note(report.Dangerous, "weak-key", "make a new key, for example of type AES128CMAC", "key %d: %s", k.ID(), text)
		}
		if len(k.Addresses()) > 0 {
			r.Note(report.Folded, "key-addresses", "",
				"key %d has an address list, of those who may serve time under it, as in ntpd: clients are not refused by it", k.ID())
		}
	}
	if unused > 0 && c.Model.Trust != nil {
		r.Note(report.Folded, "untrusted-keys", "", "%d keys of the file are not trusted and stay so", unused)
	}
}

// UsableKey reports whether an association can use a key, and why not. Without
// a keys file at hand it is taken to be there.
func (c *Job) UsableKey(id uint32) (ok bool, why string) {
	m := &c.Model
	switch {
	case m.KeyFile == nil:
		return false, "there is no keys file"
	case !m.TrustSet.Contains(id):
		return false, fmt.Sprintf("key %d is not trusted", id)
	case m.KeysRejected:
		return false, "no key is loaded from the keys file"
	case m.Keys == nil:
		return true, ""
	}
	for _, k := range m.Keys.Keys {
		if k.ID() == id {
			return true, ""
		}
	}
	return false, fmt.Sprintf("the keys file has no usable key %d", id)
}
