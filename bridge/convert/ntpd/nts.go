package ntpd

import (
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// ntpsecOptions reads what only ntpsec has on the line of a source.
func (c *reader) ntpsecOptions(src *job.Source) {
	if c.Dialect != "ntpsec" {
		return
	}
	s, r := src.Line, c.Record(src.Line)
	if src.Nts {
		if src.Ca == "" {
			if s := c.ntsAuthority(); s != nil {
				src.Ca, src.TrustLine = s.Value("ca"), s
			}
		}
		if name := s.Value("aead"); name != "" {
			src.Aeads = c.Aeads(r, name)
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
	if src.Ca != "" && !spell.PlainPath(src.Ca) {
		src.Left = "ca is no name of a file"
		r.Note(report.Error, "file-name", "give a name", "%s", src.Left)
	}
	if o, ok := s.Last("bias"); ok {
		src.Offset = o.Number()
		if !(src.Offset >= -3600 && src.Offset <= 3600) {
			r.Note(report.Error, "bias", "write an offset below an hour", "an offset of %g s is not written", src.Offset)
			src.Offset = 0
		}
	}
}

// ntsAuthority returns the line nts ca that counts, for all sources without one;
// nil if there is none.
func (c *reader) ntsAuthority() (line *syntax.Statement) {
	for _, s := range c.All("nts") {
		if s.Value("ca") != "" {
			line = s
		}
	}
	return line
}
