package config

import "time"

// What fleet.privacy.addresses may be.
const (
	AddressesFull  = "full"
	AddressesShort = "short"
	AddressesHash  = "hash"
)

// Fleet is the inventory of clients: who uses which means.
type Fleet struct {
	// Enabled keeps the inventory. Default: true.
	Enabled bool `mapstructure:"enabled"`
	// Clients is how many clients there is room for, at most 250 octets each.
	// Default: 100000. Range: 64 to 16777216.
	Clients int `mapstructure:"clients" range:"64..16777216" unit:"clients"`
	// Retention is how long a client that is silent stays. Default: 9600h, 400
	// days. Range: 1h to 87600h.
	Retention time.Duration `mapstructure:"retention" range:"1h..87600h" unit:"time"`
	// Labels are files of owners, sites and notes of prefixes, read again by a
	// reload. Default: none.
	Labels []string `mapstructure:"labels" path:"file"`
	// Plan is the file of the plan by which clients are moved, which `fleet check`,
	// `fleet diff` and `fleet apply` read if they are given none. Only what was
	// applied counts. Default: none.
	Plan string `mapstructure:"plan" path:"file"`
	// OtherGateways are files with the clients of the site's other gateways, as
	// `ntsbridge clients --json` writes them there: whoever was answered by one of
	// them in the last 6 hours has another server, for the gate of that name. Read
	// again each minute. Default: none.
	OtherGateways []string `mapstructure:"other_gateways" path:"file"`
	// TemporaryPrefix is how many bits of an IPv6 address that looks temporary
	// count as one client; 128 counts each address. Default: 64. Range: 32 to
	// 128.
	TemporaryPrefix int          `mapstructure:"temporary_prefix" range:"32..128" unit:"bits"`
	Privacy         FleetPrivacy `mapstructure:"privacy"`
	Etcd            Etcd         `mapstructure:"etcd"`
}

// FleetPrivacy says what is kept of addresses.
type FleetPrivacy struct {
	// Addresses is full, short (cut to the prefixes below) or hash (under a key
	// in the state directory). Default: full.
	Addresses string `mapstructure:"addresses" oneof:"full short hash"`
	// IPv4Prefix and IPv6Prefix are what short keeps. Defaults: 24 and 48.
	// Ranges: 8 to 32 and 16 to 128.
	IPv4Prefix int `mapstructure:"ipv4_prefix" range:"8..32" unit:"bits"`
	IPv6Prefix int `mapstructure:"ipv6_prefix" range:"16..128" unit:"bits"`
}

func defaultFleet() Fleet {
	return Fleet{Enabled: true, Clients: 100_000, Retention: 400 * 24 * time.Hour, TemporaryPrefix: 64,
		Privacy: FleetPrivacy{Addresses: AddressesFull, IPv4Prefix: 24, IPv6Prefix: 48}, Etcd: defaultEtcd()}
}
