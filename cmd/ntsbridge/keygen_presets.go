package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	engine "ntsbridge/autokey/keygen"
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
// all.
func withPresets(line *engine.Values, say io.Writer) (*engine.Values, error) {
	all := new(engine.Values)
	if !line.Has("no-load-opts") {
		home, _ := os.UserHomeDir()
		for _, dir := range []string{home, "."} {
			if dir == "" {
				continue
			}
			if err := loadOptions(all, filepath.Join(dir, presetFile), say); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	told, err := all.Environment(os.Environ())
	if err != nil {
		return nil, err
	}
	tellAll(say, told)
	for _, name := range line.All("load-opts") {
		if err := loadOptions(all, name, say); err != nil {
			return nil, err
		}
	}
	all.Over(line)
	return all, nil
}

// loadOptions reads a file of options.
func loadOptions(v *engine.Values, name string, say io.Writer) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPresets))
	if err != nil {
		return err
	}
	told, err := v.Load(name, text)
	tellAll(say, told)
	return err
}

func tellAll(say io.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(say, line)
	}
}

// saveOptions writes the options to a file that --load-opts reads.
func saveOptions(v *engine.Values, name string, say io.Writer) error {
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return err
		}
		name = filepath.Join(home, presetFile)
	}
	text, left := v.Saved(time.Now())
	for _, option := range left {
		fmt.Fprintf(say, "The option %s is not saved; use --password-file or --export-password-file\n", option)
	}
	if err := keydir.Replace(name, text); err != nil {
		return err
	}
	fmt.Fprintf(say, "Saved the options to %s\n", name)
	return nil
}
