package keygen

import (
	"strconv"
	"strings"
)

// option is one option of keygen.
type option struct {
	flag     byte   // single letter; 0: none
	name     string // long name
	value    string // what the argument is called; empty: takes none
	number   bool   // the argument is an integer
	min, max int    // range of the integer; both 0: any
	optional bool   // the argument may be missing
	many     bool   // may be given several times
	preset   bool   // may come from a file or the environment
	ours     bool   // not one of ntp-keygen
	help     string
}

// options are the options of ntp-keygen 4.2.8p15 in its order, then ours.
var options = []option{
	{flag: 'b', name: "imbits", value: "BITS", number: true, min: 256, max: 2048, preset: true, help: "identity modulus; default " +
		"512, with -V alone 256"},
	{flag: 'c', name: "certificate", value: "SCHEME", preset: true, help: "certificate scheme; default that of the old certificate, " +
		"RSA-MD5"},
	{flag: 'C', name: "cipher", value: "CIPHER", preset: true, help: "cipher of private keys; default des-ede3-cbc"},
	{flag: 'd', name: "debug-level", many: true, preset: true, help: "tell more of what is made; never secrets"},
	{flag: 'D', name: "set-debug-level", value: "NUM", number: true, many: true, preset: true, help: "the same, by number"},
	{flag: 'e', name: "id-key", preset: true, help: "write the clients' group file (IFF, GQ, MV) to standard output"},
	{flag: 'G', name: "gq-params", preset: true, help: "make a GQ server key"},
	{flag: 'H', name: "host-key", preset: true, help: "make a new host key"},
	{flag: 'I', name: "iffkey", preset: true, help: "make an IFF server key"},
	{flag: 'i', name: "ident", value: "GROUP", preset: true, help: "group name, as -s @GROUP"},
	{flag: 'l', name: "lifetime", value: "DAYS", number: true, preset: true, help: "life of the certificate; default 365"},
	{flag: 'm', name: "modulus", value: "BITS", number: true, min: 256, max: 4096, preset: true, help: "RSA or DSA modulus; default 512"},
	{flag: 'M', name: "md5key", preset: true, help: "make symmetric keys (ntp.keys) and nothing else"},
	{flag: 'P', name: "pvt-cert", preset: true, help: "private certificate (PC scheme)"},
	{flag: 'p', name: "password", value: "PASSWORD", preset: true, help: "password of this host's files; default the host name"},
	{flag: 'q', name: "export-passwd", value: "PASSWORD", preset: true, help: "write the group's server key (IFF, GQ, MV) under this " +
		"password to standard output"},
	{flag: 's', name: "subject-name", value: "[HOST][@GROUP]", preset: true, help: "host name, and group name"},
	{flag: 'S', name: "sign-key", value: "RSA|DSA", preset: true, help: "make a sign key"},
	{flag: 'T', name: "trusted-cert", preset: true, help: "trusted certificate (TC scheme)"},
	{flag: 'V', name: "mv-params", value: "NUM", number: true, preset: true, help: "make an MV group with NUM client keys, the last " +
		"of them revoked"},
	{flag: 'v', name: "mv-keys", value: "NUM", number: true, preset: true, help: "sets the number only, as in ntp-keygen"},
	{name: "version", value: "v|c|n", optional: true, help: "print the version and end"},
	{flag: '?', name: "help", help: "print this and end"},
	{flag: '!', name: "more-help", help: "the same"},
	{flag: '>', name: "save-opts", value: "FILE", optional: true, help: "save the options, but for passwords, to FILE (default " +
		"~/.ntprc) and end"},
	{flag: '<', name: "load-opts", value: "FILE", many: true, help: "load options from FILE"},
	{name: "no-load-opts", help: "do not read ~/.ntprc and ./.ntprc"},

	{name: "password-file", value: "FILE", preset: true, ours: true, help: "as -p, read from the first line of FILE"},
	{name: "export-password-file", value: "FILE", preset: true, ours: true, help: "as -q, read from the first line of FILE"},
	{name: "ask-password", ours: true, help: "ask for the password of this host's files on the terminal"},
	{name: "keysdir", value: "DIR", preset: true, ours: true, help: "work in DIR, not in the current directory"},
	{name: "mv-client", value: "NUM", number: true, min: 1, max: 97, ours: true, help: "with -e: export this MV client key; default 1"},
	{name: "scheme", value: "iff|gq|mv", ours: true, help: "with -e and -q: export this scheme's file only"},
	{name: "oldest-peer", value: "4.2.6|4.2.8", preset: true, ours: true, help: "make the strongest that ntpd of this version and " +
		"later read: 4.2.6 RSA 1024 and SHA-1, 4.2.8 RSA 2048 and SHA-256; refuse what they do not"},
	{name: "pkcs8", preset: true, ours: true, help: "write host, sign, IFF and GQ keys as PKCS #8 (stronger encryption; not for " +
		"OpenSSL 0.9.8; not for MV)"},
	{name: "if-expires-within", value: "DAYS", number: true, ours: true, help: "renew only: do nothing if the certificate is valid " +
		"for longer"},
}

// parseNumber reads an integer as strtol does: 0x and 0 prefixes count.
func parseNumber(s string) (int, error) {
	n, err := strconv.ParseInt(s, 0, 32)
	if err != nil || strings.Contains(s, "_") {
		return 0, badOption("'%s' is not a recognizable number.", clipped(s))
	}
	return int(n), nil
}

func (o *option) check(arg string) error {
	n, err := parseNumber(arg)
	if err != nil {
		return err
	}
	if (o.min != 0 || o.max != 0) && (n < o.min || n > o.max) {
		return badOption("%s option value %d is out of range.\nit must be in the range:\n\t%d to %d", o.name, n, o.min, o.max)
	}
	return nil
}

// findFlag finds an option by its letter.
func findFlag(c byte) *option {
	for i := range options {
		if options[i].flag == c && c != 0 {
			return &options[i]
		}
	}
	return nil
}

// findLong finds an option by its long name or an unambiguous beginning of at
// least two letters, in either case, "_" being "-". An abbreviation is looked
// up among ntp-keygen's own names first, so that ours take none of them away.
func findLong(name string) (*option, error) {
	wanted := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	for i := range options {
		if options[i].name == wanted {
			return &options[i], nil
		}
	}
	if len(wanted) < 2 {
		return nil, badOption("invalid option name: %s", clipped(name))
	}
	for _, ours := range []bool{false, true} {
		var found []*option
		for i := range options {
			if o := &options[i]; o.ours == ours && strings.HasPrefix(o.name, wanted) {
				found = append(found, o)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return nil, badOption("ambiguous option -- %s: could be %s or %s", clipped(name), found[0].name, found[1].name)
		}
	}
	return nil, badOption("illegal option -- %s", clipped(name))
}
