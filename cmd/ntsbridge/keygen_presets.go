package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ntsbridge/bridge/keydir"
)

// presetFile is the name of ntp-keygen's file of options, in the home directory
// and in the current one.
const presetFile = ".ntprc"

// maxPresets is the longest file of options read, octets.
const maxPresets = 1 << 16

// withPresets returns the options with those under them that come from files
// and from the environment: ~/.ntprc, then ./.ntprc, then NTP_KEYGEN and
// NTP_KEYGEN_*, then the files of --load-opts; the command line goes before
// all. What was read is told, since an option in a forgotten file surprises.
func withPresets(line *optionValues, say io.Writer) (*optionValues, error) {
	all := newOptionValues()
	if !line.has("no-load-opts") {
		home, _ := os.UserHomeDir()
		for _, dir := range []string{home, "."} {
			if dir == "" {
				continue
			}
			name := filepath.Join(dir, presetFile)
			if err := all.load(name, say); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	if err := all.environment(os.Environ(), say); err != nil {
		return nil, err
	}
	for _, name := range line.args["load-opts"] {
		if err := all.load(name, say); err != nil {
			return nil, err
		}
	}
	all.over(line)
	return all, nil
}

// load reads a file of options.
func (v *optionValues) load(name string, say io.Writer) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPresets))
	if err != nil {
		return err
	}
	found, ignored, err := parsePresets(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(found.order) > 0 {
		fmt.Fprintf(say, "Using options from %s: %s\n", name, strings.Join(found.order, ", "))
	}
	for _, line := range ignored {
		fmt.Fprintf(say, "%s: %s is no option of this program, ignored\n", name, line)
	}
	v.over(found)
	return nil
}

// parsePresets reads lines of "name", "name value", "name = value" and "name:
// value". It ends at the first section of another program.
func parsePresets(text []byte) (found *optionValues, ignored []string, err error) {
	found = newOptionValues()
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
func (v *optionValues) setPreset(o *keygenOption, value string) error {
	if o.value == "" {
		value = ""
	} else if value == "" {
		return badOption("The '%s' option requires an argument.", o.name)
	}
	one := newOptionValues()
	if err := one.add(o, value); err != nil {
		return err
	}
	v.over(one)
	return nil
}

// unquote takes quotes off a value.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// environment reads NTP_KEYGEN, a command line, and NTP_KEYGEN_name.
func (v *optionValues) environment(environ []string, say io.Writer) error {
	const prefix = "NTP_KEYGEN"
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case name == prefix:
			found, err := parseKeygenArgs(strings.Fields(value))
			if err != nil {
				return fmt.Errorf("environment variable %s: %w", name, err)
			}
			v.over(found)
		case strings.HasPrefix(name, prefix+"_"):
			o, err := findLong(name[len(prefix)+1:])
			if err != nil || !o.preset {
				continue
			}
			if err := v.setPreset(o, value); err != nil {
				return fmt.Errorf("environment variable %s: %w", name, err)
			}
		default:
			continue
		}
		fmt.Fprintf(say, "Using options from the environment variable %s\n", name)
	}
	return nil
}

// save writes the options to a file that --load-opts reads, but for passwords:
// ntp-keygen writes those too, readable for everybody.
func (v *optionValues) save(name string, now time.Time, say io.Writer) error {
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return err
		}
		name = filepath.Join(home, presetFile)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#  ntp-keygen (ntsbridge)\n#  preset/initialization file\n#  %s\n#\n", now.Format(time.ANSIC))
	for i := range keygenOptions {
		o := &keygenOptions[i]
		switch {
		case !o.preset || !v.has(o.name):
		case o.name == "password" || o.name == "export-passwd":
			fmt.Fprintf(say, "The option %s is not saved; use --password-file or --export-password-file\n", o.name)
		case o.value == "":
			fmt.Fprintln(&b, o.name)
		default:
			fmt.Fprintf(&b, "%-18s %s\n", o.name+" =", v.text(o.name))
		}
	}
	if err := keydir.Replace(name, []byte(b.String())); err != nil {
		return err
	}
	fmt.Fprintf(say, "Saved the options to %s\n", name)
	return nil
}
