package main

import (
	"fmt"
	"strings"

	"ntsbridge/autokey/keyfile"
)

// keygenNames are the names of a run.
type keygenNames struct {
	host       string // in file names and links
	group      string // in the names of identity files
	subject    string // of the certificate
	groupGiven bool
}

// namesOf takes the names from the options: -s [HOST][@GROUP], -i GROUP, else
// the system's host name. A group in -s goes before -i, as in ntp-keygen.
func namesOf(v *optionValues, system string) (keygenNames, error) {
	n := keygenNames{host: system, group: v.text("ident"), groupGiven: v.has("ident")}
	if v.has("subject-name") {
		host, group, hasGroup := strings.Cut(v.text("subject-name"), "@")
		if hasGroup {
			n.group, n.groupGiven = group, true
		}
		if host != "" {
			n.host = host
		} else if !hasGroup {
			return n, badOption("the subject-name option has an empty name")
		}
	}
	if err := checkName("host", n.host); err != nil {
		return n, err
	}
	if !n.groupGiven {
		n.group, n.subject = n.host, n.host
		return n, nil
	}
	n.subject = n.host + "@" + n.group
	return n, checkName("group", n.group)
}

// checkName refuses what cannot be part of a file name.
func checkName(what, name string) error {
	bad := func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }
	if name == "" || strings.ContainsFunc(name, bad) || len(name) > 200 {
		return badOption("%s name %q: want 1 to 200 characters without blanks and slashes", what, clipped(name))
	}
	return nil
}

// peerLimits is what the oldest peer reads, and the strongest that it does.
type peerLimits struct {
	version  string
	bits     int // of new RSA keys
	maxBits  int
	scheme   string
	sha2     bool
	iff, gq  int // bits of new groups
	mv       int
	allowDSA bool
}

// peerVersions are the values of --oldest-peer. 4.2.6 stands for OpenSSL 0.9.8,
// 4.2.8 for OpenSSL 1.1, with which everything here was tried.
var peerVersions = []peerLimits{
	{version: "4.2.6", bits: 1024, maxBits: 2048, scheme: "RSA-SHA1", iff: 512, gq: 512, mv: 512, allowDSA: true},
	{version: "4.2.8", bits: 2048, maxBits: 4096, scheme: "RSA-SHA256", sha2: true, iff: 1024, gq: 1016, mv: 1024},
}

// ntpKeygenLimits are the defaults of ntp-keygen, which refuses nothing.
var ntpKeygenLimits = peerLimits{bits: 512, maxBits: keyfile.MaxNewBits, scheme: "RSA-MD5", sha2: true, iff: 512, gq: 512, mv: 256, allowDSA: true}

func limitsOf(v *optionValues) (peerLimits, error) {
	if !v.has("oldest-peer") {
		return ntpKeygenLimits, nil
	}
	for _, l := range peerVersions {
		if l.version == v.text("oldest-peer") {
			return l, nil
		}
	}
	return peerLimits{}, badOption("oldest-peer %q: want 4.2.6 or 4.2.8", clipped(v.text("oldest-peer")))
}

// check refuses what the oldest peer cannot read.
func (l *peerLimits) check(bits int, nid keyfile.NID) error {
	if bits > l.maxBits {
		return fmt.Errorf("a modulus of %d bits is too much for ntpd %s, at most %d", bits, l.version, l.maxBits)
	}
	switch nid {
	case keyfile.RSASHA224, keyfile.RSASHA256, keyfile.RSASHA384, keyfile.RSASHA512, keyfile.DSASHA224, keyfile.DSASHA256:
		if !l.sha2 {
			return fmt.Errorf("scheme %v may be unknown to ntpd %s; use RSA-SHA1, or leave --oldest-peer out", nid, l.version)
		}
	}
	return nil
}
