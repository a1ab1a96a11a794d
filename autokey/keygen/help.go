package keygen

import (
	"fmt"
	"strings"
)

// OptionsHelp describes every option, those of ntp-keygen first.
func OptionsHelp() string {
	var b strings.Builder
	b.WriteString("Options of ntp-keygen:\n")
	ours := false
	for i := range options {
		o := &options[i]
		if o.ours && !ours {
			ours = true
			b.WriteString("\nMore options:\n")
		}
		head := "    "
		if o.flag != 0 {
			head = fmt.Sprintf("-%c, ", o.flag)
		}
		head += "--" + o.name
		switch {
		case o.optional:
			head += "[=" + o.value + "]"
		case o.value != "":
			head += "=" + o.value
		}
		text := o.help
		if o.max != 0 {
			text += fmt.Sprintf(" (%d to %d)", o.min, o.max)
		}
		fmt.Fprintf(&b, "  %s\n        %s\n", head, text)
	}
	return b.String()
}
