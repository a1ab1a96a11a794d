package material

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/config"
)

// privateKeyFiles are the links that ntp-keygen makes to files with secrets,
// without "ntpkey_" and the name.
var privateKeyFiles = []string{"host", "sign", "iffkey", "gqkey", "mvkey", "mvta"}

const day = 24 * time.Hour

// longTakeover is how far off the end of a takeover makes one wonder.
const longTakeover = 2 * 365 * day

// autokey loads what the server side needs. A key set that cannot be used is
// its own failure; a lost seed is not, since a new one strands every client.
func (k *loader) autokey() {
	a := &k.config.Autokey
	if !a.Enabled {
		return
	}
	if k.fipsAutokey() {
		return
	}
	k.find(Note, "autokey.enabled", "Autokey is legacy-signed, not authenticated; move its clients to NTS")
	k.takeover()
	out := &Autokey{}
	var err error
	if out.Seeds, err = seeds(k.Store, a.SeedFile); err != nil {
		k.find(NoStart, "autokey.seed_file", "%v", err)
	}
	var ok bool
	if out.Digest, ok = autokey.ParseDigest(a.Digest); !ok {
		k.find(NotServed, "autokey.digest", "%q is not known; use the one of the clients' crypto line, MD5 if it has none", a.Digest)
		return
	}
	if a.LeapFile != "" && k.public("autokey.leap_file", a.LeapFile) {
		k.leapFile(out)
	}
	if out.Host = k.host("autokey"); out.Host != nil {
		k.Autokey = out
		k.fact("Autokey", "host %s, identity %s, digest %s", out.Host.Name, identities(out.Host), a.Digest)
	}
}

func (k *loader) takeover() {
	t := &k.config.Autokey.Takeover
	if k.config.Autokey.Seed == config.SeedZero {
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
func AutokeyOptions(cfg *config.Config, now time.Time) (keyfile.HostOptions, error) {
	a := &cfg.Autokey
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

// host loads the key set of this host; nil after a finding about the option
// that needs it.
func (k *loader) host(section string) *keyfile.Host {
	h, err := k.loadHost()
	if err == nil && !k.privateFiles() {
		return nil
	}
	if err != nil {
		path := section
		if k.config.Has("autokey.keysdir") && section == "autokey" {
			path = "autokey.keysdir"
		}
		var password *passwordError
		if errors.As(err, &password) {
			path = "autokey.password_file"
		}
		k.find(NotServed, path, "%v", err)
		return nil
	}
	a := &k.config.Autokey
	k.writable("autokey.keysdir", a.KeysDir)
	for _, found := range h.Findings {
		k.findIn(gradeOfCode(found.Code), filepath.Join(a.KeysDir, found.File), 0, found.Text)
		k.Findings[len(k.Findings)-1].Dated = found.Code == keyfile.FindExpired || found.Code == keyfile.FindNotYetValid
	}
	return h
}

// privateFiles looks at those of the key set.
func (k *loader) privateFiles() bool {
	a, ok := &k.config.Autokey, true
	for _, kind := range privateKeyFiles {
		for _, name := range slices.Compact([]string{a.Host, a.Ident}) {
			file := filepath.Join(a.KeysDir, "ntpkey_"+kind+"_"+name)
			if _, err := os.Stat(file); name != "" && !errors.Is(err, fs.ErrNotExist) {
				ok = k.secret("autokey.keysdir", file) && ok
			}
		}
	}
	return ok
}

// passwordError is about the password file.
type passwordError struct{ error }

func (k *loader) loadHost() (*keyfile.Host, error) {
	a := &k.config.Autokey
	if a.KeysDir == "" {
		return nil, errors.New("needs the key files of this host; write autokey.keysdir")
	}
	if info, err := os.Stat(a.KeysDir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("keysdir %s is not a directory; write the one with the ntpkey_* files", a.KeysDir)
	}
	if a.PasswordFile != "" && !k.secret("autokey.password_file", a.PasswordFile) {
		return nil, &passwordError{fmt.Errorf("the key set cannot be read without %s", a.PasswordFile)}
	}
	options, err := AutokeyOptions(k.config, k.opt.Now)
	if err != nil {
		return nil, &passwordError{err}
	}
	host, err := keyfile.LoadHost(os.DirFS(a.KeysDir), options)
	if err != nil {
		return nil, fmt.Errorf("keysdir %s: %w", a.KeysDir, err)
	}
	return host, nil
}

// gradeOfCode grades a finding about a key set. That Autokey's keys and
// digests are weak is no news: serving it at all is the finding.
func gradeOfCode(code string) Grade {
	switch code {
	case keyfile.FindExpired, keyfile.FindNotYetValid, keyfile.FindKeyMismatch:
		return NotServed
	case keyfile.FindWeakKey, keyfile.FindWeakDigest, keyfile.FindPassword, keyfile.FindGroup:
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

// credentials loads, once, what this host needs as a client of Autokey.
func (k *loader) credentials(path string) (*autokey.Credentials, error) {
	if k.Client != nil {
		return k.Client, nil
	}
	var host *keyfile.Host
	var err error
	if k.Autokey != nil {
		host = k.Autokey.Host
	} else if host, err = k.loadHost(); err != nil {
		return nil, err
	}
	k.Client, err = autokey.NewCredentials(host, rand.Reader)
	return k.Client, err
}
