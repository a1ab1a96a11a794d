package keygen

import (
	"fmt"

	"ntsbridge/autokey/keyfile"
)

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
var ntpKeygenLimits = peerLimits{bits: 512, maxBits: keyfile.MaxNewBits, scheme: "RSA-MD5", sha2: true, iff: 512, gq: 512, mv: 256,
	allowDSA: true}

func limitsOf(v *Values) (peerLimits, error) {
	if !v.Has("oldest-peer") {
		return ntpKeygenLimits, nil
	}
	for _, l := range peerVersions {
		if l.version == v.Text("oldest-peer") {
			return l, nil
		}
	}
	return peerLimits{}, badOption("oldest-peer %q: want 4.2.6 or 4.2.8", clipped(v.Text("oldest-peer")))
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
