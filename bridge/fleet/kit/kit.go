// Package kit makes what a client needs to move to NTS: a configuration for the
// program that was seen on it, or for the one that takes its place where that
// program has no NTS.
//
// The configurations are the converter's, from what a distribution installs for
// the program, so that one writer knows each format. What a host had beside it
// (its own sources, keys, reference clocks) is not known from its packets: where
// the host's file is at hand, `ntsbridge convert --client-format` makes a better
// one.
//
// Pure: it opens no files.
package kit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ntsbridge/bridge/convert"
	"ntsbridge/bridge/fleet/inventory"
)

// Options are what clients are told of the site.
type Options struct {
	Gateways []string // names in the certificates of the servers, one at least
	CA       string   // file with the certificates to trust on the clients; empty: the system's
}

// Kit is a configuration for a kind of client.
type Kit struct {
	Seen   string // program that the clients run now, as the inventory guesses it; empty: not known
	Format string // daemon that the configuration is for, as convert names it; empty: there is none
	Path   string // where that daemon reads it
	File   string // a name for the file among other kits
	Advice string // what to do, a sentence or two
	Text   []byte // nil where Format is empty
}

// target is what a program is moved to.
type target struct {
	format string
	advice string
}

const (
	hasNTS = "%s has NTS: replace its servers with these lines."
	noNTS  = "%s has no NTS: install chrony in its place and give it this file."
)

var targets = map[string]target{
	inventory.Chrony:    {"chrony", hasNTS},
	inventory.Ntpsec:    {"ntpsec", hasNTS},
	inventory.NtpdRs:    {"ntpd-rs", hasNTS},
	inventory.Ntpd:      {"ntpsec", "%s has no NTS: install ntpsec, which reads the same ntp.conf, and give it this file."},
	inventory.OpenNTPD:  {"chrony", noNTS},
	inventory.Timesyncd: {"chrony", noNTS},
	inventory.Busybox:   {"chrony", noNTS},
	inventory.Ntpdate:   {"chrony", "%s sets the clock once and has no NTS: `chronyd -q -f FILE` with this file does the same by NTS."},
	inventory.Sntp:      {"chrony", "%s sets the clock once and has no NTS: `chronyd -q -f FILE` with this file does the same by NTS."},
	inventory.Ntpdig:    {"chrony", "%s sets the clock once and has no NTS: `chronyd -q -f FILE` with this file does the same by NTS."},
	inventory.W32time: {"", "%s has no NTS: let the domain's servers have time by NTS and the members follow them, or install " +
		"an NTS client for Windows; until then protect it in the plan."},
	inventory.Arduino: {"", "%s is a library of small devices without NTS: protect it in the plan, or put it behind a host with NTS."},
	inventory.SNTP:    {"", "a simple client of an unknown make: ask its owner whether it can do NTS; until then protect it in the plan."},
	"":                {"", "its program is not known: look at the host; `ntsbridge convert --client-format` makes its file from the old one."},
}

// daemon is where a format's file lies and what its daemon has by default.
type daemon struct{ path, input string }

var daemons = map[string]daemon{
	"chrony": {"/etc/chrony/chrony.conf", "server old.invalid iburst\ndriftfile /var/lib/chrony/chrony.drift\nntsdumpdir /var/lib/chrony\n" +
		"makestep 1 3\nrtcsync\nleapsectz right/UTC\n"},
	"ntpsec": {"/etc/ntpsec/ntp.conf", "server old.invalid iburst\ndriftfile /var/lib/ntpsec/ntp.drift\n" +
		"restrict default kod nomodify noquery limited\nrestrict 127.0.0.1\nrestrict ::1\n"},
	"ntpd-rs": {"/etc/ntpd-rs/ntp.toml", "server old.invalid iburst\n"},
}

// For makes the kit for clients of a program.
func For(program string, opt *Options) (*Kit, error) {
	if len(opt.Gateways) == 0 {
		return nil, errors.New("kit: no gateway: clients need the name in the server's certificate")
	}
	t, ok := targets[program]
	if !ok {
		t = targets[""]
	}
	k := &Kit{Seen: program, Format: t.format, Advice: t.advice}
	if strings.Contains(t.advice, "%s") {
		k.Advice = fmt.Sprintf(t.advice, program)
	}
	if t.format == "" {
		return k, nil
	}
	d := daemons[t.format]
	dialect := t.format
	if dialect == "ntpd-rs" {
		dialect = "ntp"
	}
	r := convert.Convert(convert.Input{Name: inputName, Data: []byte(d.input), Path: d.path}, convert.Options{Dialect: dialect,
		Client: &convert.ClientOptions{Format: t.format, Gateways: slices.Clone(opt.Gateways), CA: opt.CA}})
	if r.Output == nil || len(r.Secrets) > 0 {
		return nil, fmt.Errorf("kit: no configuration of %s for %q and the gateways %q", t.format, program, opt.Gateways)
	}
	k.Path = d.path
	k.Text = k.text(r.Output)
	k.File = strings.ReplaceAll(fileWord(program), " ", "-") + "." + extension[t.format]
	return k, nil
}

var extension = map[string]string{"chrony": "chrony.conf", "ntpsec": "ntpsec.conf", "ntpd-rs": "ntp.toml"}

func fileWord(program string) string { return strings.ToLower(program) }

// inputName is how the converter's comments call the configuration that stands
// for what was there before.
const inputName = "as-installed"

// text gives the configuration a first line of its own instead of the lines it
// was made from.
func (k *Kit) text(output []byte) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: time by NTS, for hosts that were seen with %s.\n# %s\n", k.Path, orUnknown(k.Seen), k.Advice)
	blank := false
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "#") && strings.Contains(line, inputName) {
			continue
		}
		if empty := strings.TrimSpace(line) == ""; !empty || !blank {
			b.WriteString(line)
			blank = empty
		}
	}
	return []byte(b.String())
}

func orUnknown(program string) string {
	if program == "" {
		return "an unknown program"
	}
	return program
}
