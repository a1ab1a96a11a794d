package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/confine"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/statedir"
)

// configFlags name a configuration. Those that are bound to options go over
// what files and variables of the environment say.
type configFlags struct {
	file  string
	bound map[string]*pflag.Flag // by option
}

// add adds the flags.
func (f *configFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "configuration `FILE`")
	f.bind(cmd, "state_dir", "state-dir", "`DIRECTORY` of what survives a restart (default from the configuration)")
	f.bind(cmd, "run_dir", "run-dir", "`DIRECTORY` of the control socket (default from the configuration)")
	f.bind(cmd, "log.level", "log-level", "least `LEVEL` of what is logged: trace, debug, info, warn, error")
}

// bind adds a flag for an option.
func (f *configFlags) bind(cmd *cobra.Command, option, name, usage string) {
	if f.bound == nil {
		f.bound = make(map[string]*pflag.Flag)
	}
	cmd.Flags().String(name, "", usage)
	f.bound[option] = cmd.Flags().Lookup(name)
}

// fallbackStratum is what the daemon serves without a configuration while
// nothing disciplines the clock, so that it works on a fresh machine.
const fallbackStratum = 10

// load reads the configuration, or takes the embedded default, and resolves
// it.
func (f *configFlags) load() (*config.Config, error) {
	cfg, err := material.ReadConfig(material.Input{File: f.file, Flags: f.bound,
		Default: func(c *config.Config) {
			if !c.Has("clock.fallback_stratum") {
				c.Clock.FallbackStratum = fallbackStratum
			}
		}})
	if err == nil { // what an earlier start gave away is no stranger's
		statedir.BelongsTo(confine.Plan{User: cfg.User}.Owner())
	}
	return cfg, err
}
