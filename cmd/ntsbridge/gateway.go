package main

import (
	"os"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
)

// The variables that stand for the flags of a gateway on another host.
const (
	envGateway   = "NTSBRIDGE_GATEWAY"
	envTokenFile = "NTSBRIDGE_GATEWAY_TOKEN_FILE"
	envCA        = "NTSBRIDGE_GATEWAY_CA"
	envCert      = "NTSBRIDGE_GATEWAY_CERT"
	envKey       = "NTSBRIDGE_GATEWAY_KEY"
)

// addGateway adds the flags of a daemon on another host.
func (f *daemonFlags) addGateway(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.gateway.URL, "gateway", "", "ask the gateway at this `URL`, https://HOST:PORT of its api.listen (default $"+envGateway+")")
	flags.StringVar(&f.gateway.TokenFile, "token-file", "", "`FILE` with the token for it, mode 0600 (default $"+envTokenFile+")")
	flags.StringVar(&f.gateway.CA, "api-ca", "", "`FILE` of authorities for its certificate (default $"+envCA+", or the system's)")
	flags.StringVar(&f.gateway.Cert, "api-cert", "", "`FILE` with a certificate to show instead of a token (default $"+envCert+")")
	flags.StringVar(&f.gateway.Key, "api-key", "", "`FILE` with its private key (default $"+envKey+")")
}

// remote is which gateway is asked: by flags, and else by variables. A command
// that names a daemon of this host by its flags asks that.
func (f *daemonFlags) remote() control.RemoteOptions {
	o := f.gateway
	if o.URL == "" && (f.file != "" || f.bound["run_dir"] != nil && f.bound["run_dir"].Changed) {
		return o
	}
	for _, v := range []struct {
		to   *string
		name string
	}{{&o.URL, envGateway}, {&o.TokenFile, envTokenFile}, {&o.CA, envCA}, {&o.Cert, envCert}, {&o.Key, envKey}} {
		if *v.to == "" {
			*v.to = os.Getenv(v.name)
		}
	}
	return o
}

// remoteClient returns what asks a gateway on another host, nil if none is named.
func (f *daemonFlags) remoteClient() (*control.Client, error) {
	o := f.remote()
	if o.URL != "" {
		return control.NewRemoteClient(o)
	}
	if f.gateway != (control.RemoteOptions{}) {
		return nil, usageError("--token-file, --api-ca, --api-cert and --api-key are for a gateway on another host: name it with --gateway URL")
	}
	return nil, nil
}

// clientOf is client for a configuration that was read already.
func (f *daemonFlags) clientOf(cfg *config.Config) (*control.Client, error) {
	if c, err := f.remoteClient(); c != nil || err != nil {
		return c, err
	}
	return control.NewClient(cfg.Control.Socket), nil
}
