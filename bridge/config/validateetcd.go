package config

import (
	"fmt"
	"slices"
	"strings"
)

func (c *Config) validateEtcd(j *judge) {
	e := &c.Fleet.Etcd
	const at = "fleet.etcd."
	plain := e.validateEndpoints(j)
	if (e.Certificate == "") != (e.Key == "") {
		j.refuse(at+"certificate", "and key go together; write both or none")
	}
	if (e.User == "") != (e.PasswordFile == "") {
		j.refuse(at+"user", "and password_file go together; write both, or none to be known by the certificate")
	}
	if plain && e.User != "" {
		j.refuse(at+"user", "its password would go over the network in the clear; write https:// endpoints")
	}
	if !strings.HasPrefix(e.Prefix, "/") || strings.HasSuffix(e.Prefix, "/") || len(e.Prefix) > 200 ||
		strings.ContainsAny(e.Prefix, " \x00") {
		j.refuse(at+"prefix", "%.60q: write such as /ntsbridge, without a slash at the end", e.Prefix)
	}
	if e.Name != "" && !goodGateway(e.Name) {
		j.refuse(at+"name", "%.60q: a name has 1 to %d letters, digits, dots, dashes and underscores", e.Name, maxGatewayName)
	}
	var seen []string
	for i, g := range e.Gateways {
		path := fmt.Sprintf("%sgateways[%d].name", at, i)
		switch {
		case !goodGateway(g.Name):
			j.refuse(path, "%.60q: a name has 1 to %d letters, digits, dots, dashes and underscores", g.Name, maxGatewayName)
		case slices.Contains(seen, g.Name):
			j.refuse(path, "%s is in the list twice; delete one", g.Name)
		}
		seen = append(seen, g.Name)
	}
	if !e.Enabled() {
		return
	}
	switch {
	case !c.Fleet.Enabled:
		j.refuse(at+"endpoints", "has no effect with fleet.enabled: false, since gateways share what they know of clients; delete one of them")
	case len(e.Gateways) == 0:
		j.refuse(at+"gateways", "is missing; name all gateways of the site, this one too: else nobody knows whether one is missing")
	case len(e.Gateways) > maxGateways:
		j.refuse(at+"gateways", "%d gateways, at most %d", len(e.Gateways), maxGateways)
	case e.Name != "" && !slices.Contains(seen, e.Name):
		j.refuse(at+"gateways", "has no %s, which is this one's name; add it", e.Name)
	}
	if e.Lease < 2*e.Timeout {
		j.refuse(at+"lease", "%v is less than twice fleet.etcd.timeout: one slow request would end it; write at least %v", e.Lease, 2*e.Timeout)
	}
	if e.Secrets == SecretsEtcd {
		for i, g := range e.Gateways {
			if g.Key == "" {
				j.refuse(fmt.Sprintf("%sgateways[%d].key", at, i), "is missing, and secrets: etcd encrypts to it; "+
					"write what `ntsbridge secret gateway` prints on %s", g.Name)
			}
		}
	}
}

// validateEndpoints tells whether something would leave this host in the clear.
func (e *Etcd) validateEndpoints(j *judge) (plain bool) {
	first := ""
	for i, s := range e.Endpoints {
		path := fmt.Sprintf("fleet.etcd.endpoints[%d]", i)
		scheme, host, ok := splitEndpoint(s)
		if first == "" {
			first = scheme
		}
		switch {
		case !ok:
			j.refuse(path, "%.100q: write it as https://HOST:2379", s)
		case slices.Contains(e.Endpoints[:i], s):
			j.refuse(path, "%.100q is in the list twice; delete one", s)
		case scheme != first:
			j.refuse(path, "%.100q: all endpoints are https://, or all http://", s)
		case scheme == "http" && (e.Certificate != "" || e.CA != ""):
			j.refuse(path, "%.100q: ca and certificate have no effect on http://; write https://", s)
		}
		plain = plain || scheme == "http" && !staysHere(host)
	}
	return plain
}
