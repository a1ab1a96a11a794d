package keygen

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Load reads a file of options, such as ~/.ntprc, over those of v: lines of
// "name", "name value", "name = value" and "name: value", up to the first
// section of another program. It tells which options it took and which lines
// it did not understand, since an option in a forgotten file surprises.
func (v *Values) Load(name string, text []byte) (told []string, err error) {
	found, ignored, err := parsePresets(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(found.order) > 0 {
		told = append(told, fmt.Sprintf("Using options from %s: %s", name, strings.Join(found.order, ", ")))
	}
	for _, line := range ignored {
		told = append(told, fmt.Sprintf("%s: %s is no option of this program, ignored", name, line))
	}
	v.Over(found)
	return told, nil
}

// parsePresets reads what Load does.
func parsePresets(text []byte) (found *Values, ignored []string, err error) {
	found = new(Values)
	for number, raw := range bytes.Split(text, []byte("\n")) {
		line := strings.TrimSpace(string(raw))
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' || line[0] == '<' {
			break
		}
		name, value := line, ""
		if end := strings.IndexAny(line, " \t=:"); end >= 0 {
			name = line[:end]
			value = strings.TrimLeft(line[end:], " \t")
			if value != "" && (value[0] == '=' || value[0] == ':') {
				value = strings.TrimLeft(value[1:], " \t")
			}
		}
		o, lookup := findLong(name)
		if lookup != nil || !o.preset {
			ignored = append(ignored, fmt.Sprintf("line %d", number+1))
			continue
		}
		if err := found.setPreset(o, unquote(value)); err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", number+1, err)
		}
	}
	return found, ignored, nil
}

// setPreset puts in an option in place of one from before.
func (v *Values) setPreset(o *option, value string) error {
	if o.value == "" {
		value = ""
	} else if value == "" {
		return badOption("The '%s' option requires an argument.", o.name)
	}
	one := new(Values)
	if err := one.add(o, value); err != nil {
		return err
	}
	v.Over(one)
	return nil
}

// unquote takes quotes off a value.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// Environment reads NTP_KEYGEN, a command line, and NTP_KEYGEN_name from lines
// of "name=value", and tells which it took.
func (v *Values) Environment(environ []string) (told []string, err error) {
	const prefix = "NTP_KEYGEN"
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case name == prefix:
			found, err := ParseArgs(strings.Fields(value))
			if err != nil {
				return nil, fmt.Errorf("environment variable %s: %w", name, err)
			}
			v.Over(found)
		case strings.HasPrefix(name, prefix+"_"):
			o, err := findLong(name[len(prefix)+1:])
			if err != nil || !o.preset {
				continue
			}
			if err := v.setPreset(o, value); err != nil {
				return nil, fmt.Errorf("environment variable %s: %w", name, err)
			}
		default:
			continue
		}
		told = append(told, "Using options from the environment variable "+name)
	}
	return told, nil
}

// Saved returns a file of the options that Load reads, but for passwords:
// ntp-keygen writes those too, readable for everybody. left are the options
// that are not in it.
func (v *Values) Saved(now time.Time) (text []byte, left []string) {
	b := fmt.Appendf(nil, "#  ntp-keygen (ntsbridge)\n#  preset/initialization file\n#  %s\n#\n", now.Format(time.ANSIC))
	for i := range options {
		o := &options[i]
		switch {
		case !o.preset || !v.Has(o.name):
		case o.name == "password" || o.name == "export-passwd":
			left = append(left, o.name)
		case o.value == "":
			b = fmt.Appendln(b, o.name)
		default:
			b = fmt.Appendf(b, "%-18s %s\n", o.name+" =", v.Text(o.name))
		}
	}
	return b, left
}
