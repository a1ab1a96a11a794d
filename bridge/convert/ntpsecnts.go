package convert

import (
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
)

// ntpsecOptions reads what only ntpsec has on the line of a source.
func (c *conversion) ntpsecOptions(src *source) {
	if c.dialect != "ntpsec" {
		return
	}
	s, r := src.line, c.record(src.line)
	if src.nts {
		if src.ca == "" {
			src.ca = c.ntsAuthorities()
		}
		if name := s.Text("aead"); name != "" {
			src.aeads = c.aeads(r, name)
		}
		if s.Flag("noval") {
			r.Note(report.Dangerous, "nts-noval", "give the certificate with ca",
				"noval: ntpsec took any certificate of this server; here it is verified, and without ca by the system's authorities")
		}
	}
	for _, word := range []string{"cert", "require", "ask", "expire"} {
		if s.Flag(word) {
			r.Note(report.Unsupported, "nts-option", "", "%s has no counterpart", word)
		}
	}
	if src.ca != "" && !spell.PlainPath(src.ca) {
		src.left = "ca is no name of a file"
		r.Note(report.Error, "file-name", "give a name", "%s", src.left)
	} else if src.ca != "" && c.directory(absolute(src.ca)) {
		r.Note(report.Approximated, "nts-ca-directory", "put the certificates into one file", "%s is a directory, and a file is needed", absolute(src.ca))
	}
	if o, ok := s.Last("bias"); ok {
		src.offset = o.Number()
		if !(src.offset >= -3600 && src.offset <= 3600) {
			r.Note(report.Error, "bias", "write an offset below an hour", "an offset of %g s is not written", src.offset)
			src.offset = 0
		}
	}
}

// directory reports whether a name of the host is known to be a directory.
func (c *conversion) directory(name string) bool {
	if c.in.Files == nil {
		return false
	}
	f, err := c.in.Files.Open(rooted(name))
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.IsDir()
}

// ntsAuthorities returns nts ca, which counts for all sources without one.
func (c *conversion) ntsAuthorities() string {
	ca := ""
	for _, s := range c.all("nts") {
		if name := s.Text("ca"); name != "" {
			ca = name
		}
	}
	return ca
}

// aeads reads the name of an algorithm, of ntpsec, or numbers, of chronyd.
func (c *conversion) aeads(r *report.Record, names ...string) (list []config.AEAD) {
	for _, name := range names {
		var id config.AEAD
		if id.UnmarshalText([]byte(name)) == nil {
			list = append(list, id)
		} else {
			r.Note(report.Unsupported, "nts-aead", "", "algorithm %s is not offered", spell.Printable(name))
		}
	}
	return list
}
