package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"ntsbridge/bridge"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	configFlags
	noClock bool
}

func newServeCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server in the foreground until SIGTERM or SIGINT. SIGHUP reads configuration,\n" +
			"keys and certificates again; if anything is wrong with them, all of it is left as it was.\n" +
			"Without -c it serves everybody, with a key and an NTS certificate made on the first start.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.serve(cmd.OutOrStdout()) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.noClock, "no-clock", false, "never touch the system clock, whatever clock.mode says: measure and serve only")
	return cmd
}

func (f *serveFlags) serve(out io.Writer) error {
	cfg, err := f.load()
	if err != nil {
		return err
	}
	log := hclog.New(&hclog.LoggerOptions{Name: "ntsbridge", Output: os.Stderr,
		Level: hclog.LevelFromString(cfg.Log.Level), JSONFormat: cfg.Log.JSON})
	defer signal.Stop(signals)
	log.Info(bridge.Version())
	b, err := bridge.Start(cfg, log, bridge.Options{NoClock: f.noClock})
	if err != nil {
		return err
	}
	for _, a := range b.Addresses() {
		log.Info("serving", "ntp", a.String())
	}
	if f.file == "" {
		fmt.Fprint(out, b.ClientLines())
	}
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGHUP {
				log.Info("stopping", "signal", s.String())
				return b.Close()
			}
			f.reload(b, log)
		case err := <-b.Failed():
			log.Error("stopping", "error", err)
			return errors.Join(err, b.Close())
		}
	}
}

func (f *serveFlags) reload(b *bridge.Bridge, log hclog.Logger) {
	cfg, err := f.load()
	if err == nil {
		err = b.Reload(cfg)
	}
	if err != nil {
		log.Error("reload refused, everything goes on as before", "error", err)
		return
	}
	log.SetLevel(hclog.LevelFromString(cfg.Log.Level))
	log.Info("reloaded")
}
