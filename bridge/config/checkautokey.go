package config

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// privateKeyFiles are the links that ntp-keygen makes to files with secrets,
// without "ntpkey_" and the name.
var privateKeyFiles = []string{"host", "sign", "iffkey", "gqkey", "mvkey", "mvta"}

// longTakeover is how far off the end of a takeover makes one wonder.
const longTakeover = 2 * 365 * day

// autokey loads the key set of the host as serve does.
func (k *checker) autokey() {
	a := &k.config.Autokey
	if !a.Enabled {
		return
	}
	k.find(Note, "autokey.enabled", "Autokey is legacy-signed, not authenticated; move its clients to NTS")
	k.generated("autokey.seed_file", a.SeedFile, 4)
	k.takeover()
	if a.LeapFile != "" && k.public("autokey.leap_file", a.LeapFile) {
		k.leapFile(a.LeapFile)
	}
	info, err := os.Stat(a.KeysDir)
	if err != nil || !info.IsDir() {
		k.find(Failure, "autokey.keysdir", "%s is not a directory; write the one with the ntpkey_* files", a.KeysDir)
		return
	}
	k.writable("autokey.keysdir", a.KeysDir)
	for _, kind := range privateKeyFiles {
		for _, name := range slices.Compact([]string{a.Host, a.Ident}) {
			file := filepath.Join(a.KeysDir, "ntpkey_"+kind+"_"+name)
			if _, err := os.Stat(file); name != "" && !errors.Is(err, fs.ErrNotExist) {
				k.secret("autokey.keysdir", file)
			}
		}
	}
	k.host()
}

func (k *checker) takeover() {
	t := &k.config.Autokey.Takeover
	if k.config.Autokey.Seed == SeedZero {
		k.find(Warning, "autokey.seed", "cookies are made from seed 0, which anybody can forge, so that an ntpd can serve here again; "+
			"end the trial with autokey.seed: own, and a takeover with a date for the clients that have such cookies")
	}
	switch {
	case !t.Enabled:
	case !k.opt.Now.Before(t.Until):
		k.find(Warning, "autokey.takeover.until", "is over since %s: cookies of ntpd are refused; delete the section, "+
			"or write a later date", t.Until.Format(time.DateOnly))
	case t.Until.Sub(k.opt.Now) > longTakeover:
		k.find(Warning, "autokey.takeover.until", "is more than two years away, and until then anybody can forge "+
			"Autokey packets; write an earlier date")
	default:
		k.find(Note, "autokey.takeover.enabled", "cookies of seed 0, which anybody can forge, are accepted until %s",
			t.Until.Format(time.DateOnly))
	}
}

// AutokeyOptions returns what keyfile.LoadHost needs, with the password read
// from its file.
func (c *Config) AutokeyOptions(now time.Time) (keyfile.HostOptions, error) {
	a := &c.Autokey
	opt := keyfile.HostOptions{Host: a.Host, Ident: a.Ident, Now: now}
	if a.PasswordFile == "" {
		return opt, nil
	}
	f, err := os.Open(a.PasswordFile)
	if err != nil {
		return opt, err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 1<<12)).ReadString('\n')
	if err != nil && err != io.EOF {
		return opt, err
	}
	if opt.Password = strings.TrimRight(line, "\r\n"); opt.Password == "" {
		return opt, fmt.Errorf("%s: the first line is empty; write the password there", a.PasswordFile)
	}
	return opt, nil
}

// host loads the key set.
func (k *checker) host() {
	a := &k.config.Autokey
	if a.PasswordFile != "" && !k.secret("autokey.password_file", a.PasswordFile) {
		return
	}
	opt, err := k.config.AutokeyOptions(k.opt.Now)
	if err != nil {
		k.find(Failure, "autokey.password_file", "%v", err)
		return
	}
	h, err := keyfile.LoadHost(os.DirFS(a.KeysDir), opt)
	if err != nil {
		k.find(Failure, "autokey.keysdir", "%s: %v", a.KeysDir, err)
		return
	}
	for _, found := range h.Findings {
		k.findIn(severityOfCode(found.Code), filepath.Join(a.KeysDir, found.File), 0, found.Text)
	}
	k.fact("Autokey", "host %s, identity %s, digest %s", h.Name, identities(h), a.Digest)
}

// severityOfCode grades a finding about a key set. That Autokey's keys and
// digests are weak is no news: serving it at all is the finding.
func severityOfCode(code string) Severity {
	switch code {
	case keyfile.FindExpired, keyfile.FindNotYetValid, keyfile.FindKeyMismatch:
		return Failure
	case keyfile.FindWeakKey, keyfile.FindWeakDigest, keyfile.FindPassword:
		return Note
	}
	return Warning
}

// identities names the identity schemes that a host offers.
func identities(h *keyfile.Host) string {
	var names []string
	for name, there := range map[string]bool{"IFF": h.IFF != nil, "GQ": h.GQ != nil, "MV": h.MV != nil} {
		if there {
			names = append(names, name)
		}
	}
	switch {
	case len(names) > 0:
	case h.Certificate.Private:
		names = []string{"PC"}
	default:
		names = []string{"TC"}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// leapFile looks at the line with the date of expiry ("#@" and NTP seconds).
func (k *checker) leapFile(name string) {
	data, err := os.ReadFile(name)
	if err != nil {
		k.find(Failure, "autokey.leap_file", "%v", err)
		return
	}
	for line := range strings.Lines(string(data)) {
		rest, ok := strings.CutPrefix(line, "#@")
		if !ok {
			continue
		}
		seconds, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 32)
		if err != nil {
			k.findIn(Failure, name, 0, "the line #@ has no date in NTP seconds; get the file anew")
			return
		}
		if expires := ntp.Timestamp(seconds << 32).Time(k.opt.Now.Truncate(time.Second)); expires.Before(k.opt.Now) {
			k.findIn(Warning, name, 0, "expired on "+expires.UTC().Format(time.DateOnly)+"; get the file anew from IERS")
		}
		return
	}
	k.findIn(Failure, name, 0, "has no line #@ with the date of expiry; is it a leap second list?")
}
