package bridge

import (
	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/association"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/server"
	"ntsbridge/bridge/statedir"
)

// parts are everything that is made of a configuration and replaced as a
// whole by a reload.
type parts struct {
	cfg           *config.Config
	state         *server.State
	ke            nke.Config // without Listen addresses if NTS is off
	secret        []byte     // of NTS cookies
	autokey       *autokey.Server
	autokeyConfig autokey.Config       // that autokey was made from
	client        *autokey.Credentials // Autokey's client side, nil: no such source
	fetched       uint64               // generation of client's certificates that autokey gives out
	sources       []association.Spec
	leap          control.LeapTable
	leaps         follow.LeapConfig
	made          Made
	store         *statedir.Store // state directory, with what is to be written to it
}

// Made says what the first start generated.
type Made struct {
	Key          bool // symmetric key
	Certificate  bool
	CookieSecret bool
}

func limiterConfig(cfg *config.Config) access.LimiterConfig {
	return access.LimiterConfig{Clients: cfg.RateLimit.Clients,
		IPv4Prefix: cfg.RateLimit.IPv4Prefix, IPv6Prefix: cfg.RateLimit.IPv6Prefix}
}
