package server

import (
	"bytes"
	"fmt"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// render writes the YAML, and proves that the server will read from it what
// was meant.
func (c *writer) render() []byte {
	c.Draft.Finish()
	c.Draft.Places(func(path string, lines []*syntax.Statement) { c.Became(path, lines...) })
	var out bytes.Buffer
	fmt.Fprintf(&out, "# ntsbridge, converted from %s (%s).\n", spell.Printable(c.In.Name), c.Daemon())
	fmt.Fprintf(&out, "# Each setting stands below the line that it comes from; the report says what became of the others.\n")
	text, err := c.Draft.YAML(c.Quote)
	if err == nil {
		out.Write(text)
		err = c.prove(out.Bytes())
	}
	if err != nil {
		c.Report.Note(report.Error, "mistake", "report it, with the input", "%v, and nothing is written; this is a mistake of ntsbridge",
			err)
		return nil
	}
	return out.Bytes()
}
