package config

import (
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
