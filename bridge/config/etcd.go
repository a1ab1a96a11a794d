package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What fleet.etcd.secrets may be.
const (
	SecretsFiles = "files"
	SecretsEtcd  = "etcd"
)

// Etcd is what the gateways of a site agree by.
type Etcd struct {
	// Endpoints are the URLs of etcd's members, https://HOST:2379. Default: empty,
	// this gateway works alone.
	Endpoints []string `mapstructure:"endpoints"`
	// Name is what this gateway is called among the others. Default: empty, the name
	// of this host.
	Name string `mapstructure:"name"`
	// Gateways are all gateways of the site, this one too: a gate needs each of them.
	Gateways []Gateway `mapstructure:"gateways"`
	// Prefix is what the names of all keys in etcd begin with. Default: /ntsbridge.
	Prefix string `mapstructure:"prefix"`
	// CA is a PEM file of authorities that etcd's certificate is judged by. Default:
	// empty, those of the system.
	CA string `mapstructure:"ca" path:"file"`
	// Certificate is a PEM file with the certificate chain that is shown to etcd.
	// Default: empty, none.
	Certificate string `mapstructure:"certificate" path:"file"`
	// Key is a PEM file with the private key of Certificate.
	Key string `mapstructure:"key" path:"file"`
	// User is etcd's name of the user. Default: empty, none.
	User string `mapstructure:"user"`
	// PasswordFile is a file of mode 0600 with the password of User in its first line.
	PasswordFile string `mapstructure:"password_file" path:"file"`
	// Timeout is how long a request to etcd may take. Default: 3s. Range: 100ms to 1m.
	Timeout time.Duration `mapstructure:"timeout" range:"100ms..1m" unit:"time"`
	// Lease is after which silence a gateway counts as gone, and by which a step ends
	// whose gateway does not reach etcd. Default: 20s. Range: 5s to 10m.
	Lease time.Duration `mapstructure:"lease" range:"5s..10m" unit:"time"`
	// FactsInterval is how long what has changed of a client may wait until the others
	// are told. Default: 15m. Range: 10s to 6h.
	FactsInterval time.Duration `mapstructure:"facts_interval" range:"10s..6h" unit:"time"`
	// Secrets says how cookie secret and Autokey seed get to all gateways: files (by
	// somebody's hand) or etcd (encrypted to the key of each). Default: files.
	Secrets string `mapstructure:"secrets" oneof:"files etcd"`
}

// Gateway is one of the site.
type Gateway struct {
	// Name is its fleet.etcd.name.
	Name string `mapstructure:"name" required:"true"`
	// Key is its public key, as `ntsbridge secret gateway` prints it there; needed for
	// secrets: etcd. Default: empty.
	Key string `mapstructure:"key"`
}

func defaultEtcd() Etcd {
	return Etcd{Prefix: "/ntsbridge", Timeout: 3 * time.Second, Lease: 20 * time.Second, FactsInterval: 15 * time.Minute, Secrets: SecretsFiles}
}

// Enabled reports whether the site's gateways agree by etcd.
func (e *Etcd) Enabled() bool { return len(e.Endpoints) > 0 }

// Names returns the names of all gateways of the site.
func (e *Etcd) Names() (list []string) {
	for _, g := range e.Gateways {
		list = append(list, g.Name)
	}
	return list
}

// maxGateways and maxGatewayName bound what every gateway keeps of the others.
const (
	maxGateways    = 64
	maxGatewayName = 63
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

// splitEndpoint reads https://HOST:PORT.
func splitEndpoint(s string) (scheme, host string, ok bool) {
	scheme, rest, found := strings.Cut(s, "://")
	rest = strings.TrimSuffix(rest, "/")
	at := strings.LastIndexByte(rest, ':')
	if !found || scheme != "https" && scheme != "http" || at <= 0 {
		return scheme, "", false
	}
	port, err := strconv.ParseUint(rest[at+1:], 10, 16)
	host = rest[:at]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() {
			return scheme, "", false
		}
		return scheme, host, err == nil && port > 0
	}
	return scheme, host, err == nil && port > 0 && validHost(host) && !strings.Contains(host, ":")
}

func staysHere(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Plain reports whether what goes to etcd leaves this host in the clear.
func (e *Etcd) Plain() bool {
	return slices.ContainsFunc(e.Endpoints, func(s string) bool {
		scheme, host, ok := splitEndpoint(s)
		return ok && scheme == "http" && !staysHere(host)
	})
}

func goodGateway(s string) bool {
	return s != "" && len(s) <= maxGatewayName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == "" &&
		strings.Trim(s, ".") != ""
}
