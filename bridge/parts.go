package bridge

import (
	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/association"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/server"
)

// parts are everything that is made of a configuration and replaced as a
// whole by a reload.
type parts struct {
	cfg           *config.Config
	set           *material.Set // what the configuration names
	state         *server.State
	ke            nke.Config // without Listen addresses if NTS is off
	autokey       *autokey.Server
	autokeyConfig autokey.Config       // that autokey was made from
	client        *autokey.Credentials // Autokey's client side, nil: no such source
	fetched       uint64               // generation of client's certificates that autokey gives out
	sources       []association.Spec
	leap          control.LeapTable
	leaps         follow.LeapConfig
	names         *report.Names // of clients
	hashKey       []byte        // that their addresses are hashed under, nil: they are not
}

func limiterConfig(cfg *config.Config) access.LimiterConfig {
	return access.LimiterConfig{Clients: cfg.RateLimit.Clients,
		IPv4Prefix: cfg.RateLimit.IPv4Prefix, IPv6Prefix: cfg.RateLimit.IPv6Prefix}
}
