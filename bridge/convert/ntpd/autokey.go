package ntpd

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// keyDirs are where distributions have ntpd look for Autokey's files without
// keysdir.
var keyDirs = []string{"/etc/ntp/crypto", "/etc/ntp", "/var/lib/ntp", "/usr/local/etc"}

// buildAutokey reads crypto, keysdir and what goes with them.
func (c *reader) buildAutokey() {
	a := &c.Model.Autokey
	a.Lines = c.All("crypto")
	a.DirLine = c.LastOf("keysdir")
	c.autokeyTimers()
	identity := c.LastOf("ident")
	if len(a.Lines) == 0 {
		for _, s := range []*syntax.Statement{a.DirLine, identity} {
			if s != nil {
				c.Record(s).Note(report.Obsolete, "no-crypto", "", "without crypto ntpd has no Autokey")
			}
		}
		return
	}
	a.Enabled = true
	for _, s := range a.Lines {
		for _, o := range s.Options {
			switch o.Name {
			case "host":
				a.Host = o.Text
			case "ident":
				a.Ident = o.Text
			case "digest":
				a.Digest = o.Text
			case "pw":
				a.Pw, a.HasPassword = o.Text, true
			}
			a.CryptoLine = s
		}
		c.cryptoLine(s)
	}
	if identity != nil {
		c.Record(identity).Note(report.Folded, "ident", "", "the group of Autokey associations that others begin; none are made here")
	}
	c.autokeyDir()
	for _, name := range []string{a.Host, a.Ident} {
		if name != "" && (!spell.PlainName(name) || strings.Contains(name, "/")) {
			a.Enabled, a.Dead = false, "a name that cannot be part of a file name"
		}
	}
	if !spell.PlainPath(a.Dir) {
		a.Enabled, a.Dead = false, "keysdir is no name of a directory"
	}
	if a.Dead != "" {
		c.Record(a.Lines[0]).Note(report.Error, "autokey-names", "correct the names", "Autokey is left out: %s", a.Dead)
		return
	}
	if c.autokeyFiles(); !a.Enabled {
		for _, s := range append(a.Lines[1:], a.DirLine) {
			if s != nil {
				c.Record(s).Note(report.Folded, "autokey-dead", "", "Autokey is left out: see line %d", a.Lines[0].Line)
			}
		}
	}
	if a.Enabled {
		c.Record(a.Lines[0]).Note(report.Dangerous, "autokey", "move these clients to NTS, and give Autokey an end date",
			"Autokey is served on for its clients, but it authenticates nobody: its cookies have 32 bits and were broken in 2012")
	}
}

func (c *reader) cryptoLine(s *syntax.Statement) {
	r := c.Record(s)
	if _, ok := s.Last("pw"); ok {
		r.Note(report.Kept, "autokey-password", "", "the password goes into a file of its own, mode 0600, and into nothing else")
	}
	if s.Flag("randfile") {
		r.Note(report.Obsolete, "randfile", "", "randomness comes from the kernel")
	}
	if digest := s.Value("digest"); digest != "" && !autokeyDigest(digest) {
		r.Note(report.Unsupported, "autokey-digest", "take one that is, on all hosts", "digest %s is not offered", spell.Printable(digest))
		c.Model.Autokey.Digest = ""
	}
}

// autokeyDigest reports whether the server takes a digest (config's oneof).
func autokeyDigest(name string) bool {
	switch name {
	case "MD5", "MD4", "SHA1", "RIPEMD160", "SHA224", "SHA256", "SHA384", "SHA512", "SHA512-224", "SHA512-256",
		"SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512", "BLAKE2s256", "BLAKE2b512":
		return true
	}
	return false
}

func (c *reader) autokeyTimers() {
	for _, word := range []string{"automax", "revoke"} {
		s := c.LastOf(word)
		if s == nil {
			continue
		}
		r := c.Record(s)
		if v := s.Options[0].Int; v < 3 || v > 31 {
			r.Note(report.Folded, "timer-range", "delete the line", "%s %d is out of ntpd's range 3 to 31, and ignored", word, v)
			continue
		}
		r.Note(report.Folded, word, "", "Autokey's timers are the server's own")
	}
}

// autokeyDir finds the directory with Autokey's files.
func (c *reader) autokeyDir() {
	a := &c.Model.Autokey
	if a.DirLine != nil {
		if name := a.DirLine.Argument(); spell.PlainPath(name) {
			a.Dir = job.Absolute(name)
		} else {
			a.Dir = ""
			c.Record(a.DirLine).Note(report.Error, "file-name", "give a name", "that is no name of a directory")
		}
		return
	}
	dirs := keyDirs
	if c.Opt.KeysDir != "" {
		dirs = []string{c.Opt.KeysDir}
	}
	a.Dir = dirs[len(dirs)-1]
	for _, dir := range dirs {
		if c.In.Files == nil {
			break
		}
		if found, _ := fs.Glob(c.In.Files, job.Rooted(dir)+"/ntpkey_cert_*"); len(found) > 0 {
			a.Dir = dir
			break
		}
	}
	c.Record(a.Lines[0]).Note(report.Approximated, "keysdir-default", "check the directory, or give it with --keysdir",
		"there is no keysdir: %s is taken for the directory that ntpd was compiled with", a.Dir)
}

// autokeyFiles looks at the files as ntpd does when it starts.
func (c *reader) autokeyFiles() {
	a := &c.Model.Autokey
	r := c.Record(a.Lines[0])
	if c.In.Files == nil {
		r.Note(report.Dangerous, "autokey-unread", "give the host's root directory with --root",
			"Autokey's files are not at hand: they are not checked")
		return
	}
	opt := keyfile.HostOptions{Host: a.Host, Ident: a.Ident, Password: a.Pw, Now: c.Opt.Now}
	if opt.Host == "" {
		opt.Host = c.Opt.Hostname
	}
	if opt.Host == "" {
		r.Note(report.Dangerous, "autokey-host", "give the name with --hostname",
			"without crypto host the files have the name of the host, which is not known: they are not checked")
		return
	}
	dir, err := fs.Sub(c.In.Files, job.Rooted(a.Dir))
	if err != nil {
		r.Note(report.Error, "autokey-files", "", "%s: %v", a.Dir, err)
		return
	}
	h, err := keyfile.LoadHost(dir, opt)
	if err != nil {
		class, text := report.Error, "ntpd exits with these files: %v"
		if errors.Is(err, fs.ErrPermission) {
			class, text = report.Dangerous, "they cannot be read: %v"
		} else {
			a.Enabled, a.Dead = false, err.Error()
		}
		r.Note(class, "autokey-files", "correct the files in "+a.Dir+", and convert again", text, err)
		return
	}
	for _, f := range h.Findings {
		r.Note(autokeyFindingClass(f.Code), "autokey-"+f.Code, "", "%s: %s", path.Join(a.Dir, f.File), f.Text)
	}
	if a.Ident == "" && (h.IFF != nil || h.GQ != nil || h.MV != nil) {
		r.Note(report.Folded, "autokey-schemes", "", "%s offers an identity scheme; clients use it only with ident on their server line",
			h.Name)
	}
	if h.IFF == nil && h.GQ == nil && h.MV == nil && !h.Certificate.Private {
		r.Note(report.Dangerous, "autokey-tc", "move to NTS", "no identity scheme: with TC a client believes whoever answers first")
	}
}

func autokeyFindingClass(code string) report.Class {
	switch code {
	case keyfile.FindGQTooLarge, keyfile.FindGQMismatch, keyfile.FindIncomplete, keyfile.FindExpired, keyfile.FindKeyMismatch,
		keyfile.FindWeakKey, keyfile.FindWeakDigest, keyfile.FindPassword:
		return report.Dangerous
	}
	return report.Changed
}

// groupTraps looks at the group of an association with Autokey.
func (c *reader) groupTraps(s *job.Source) {
	r := c.Record(s.Line)
	if s.Ident == "" {
		r.Note(report.Dangerous, "autokey-no-ident", "move it to NTS",
			"autokey without ident is TC in silence: any server with a trusted certificate of its own is believed")
		return
	}
	if c.In.Files == nil || c.Model.Autokey.Dir == "" {
		return
	}
	dir, err := fs.Sub(c.In.Files, job.Rooted(c.Model.Autokey.Dir))
	if err != nil {
		return
	}
	found := 0
	for _, scheme := range []keyfile.Scheme{keyfile.IFF, keyfile.GQ, keyfile.MV} {
		g, err := keyfile.LoadGroup(dir, scheme, s.Ident)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			r.Note(report.Dangerous, "autokey-group", "get the group file anew", "the group file cannot verify: %v", err)
			found++
		default:
			found++
			_ = g
		}
	}
	if found == 0 {
		r.Note(report.Dangerous, "autokey-group-missing",
			"get the group file ntpkey_iffpar_"+spell.Printable(s.Ident)+" from the server, or move to NTS",
			"there is no group file for ident %s in %s: this is TC in silence", spell.Printable(s.Ident), c.Model.Autokey.Dir)
	}
}
