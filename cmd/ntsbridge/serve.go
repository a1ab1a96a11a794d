package main

import (
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"ntsbridge/bridge"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/confine"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	configFlags
	noClock bool
	passed  bridge.Passed // sockets of the service manager
}

// load is configFlags' with the addresses of passed sockets.
func (f *serveFlags) load() (*config.Config, error) {
	cfg, err := f.configFlags.load()
	if err == nil {
		f.passed.Addresses(cfg)
	}
	return cfg, err
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
	var err error
	if f.passed, err = bridge.SortSockets(activation.Files(true)); err != nil {
		return err
	}
	cfg, err := f.load()
	if err != nil {
		return err
	}
	log := hclog.New(&hclog.LoggerOptions{Name: "ntsbridge", Output: messages(),
		Level: hclog.LevelFromString(cfg.Log.Level), JSONFormat: cfg.Log.JSON})
	defer signal.Stop(signals)
	log.Info(bridge.Version())
	asked := make(chan chan error)
	b, err := bridge.Start(cfg, log, bridge.Options{NoClock: f.noClock, Sockets: f.passed, Reload: func() error { return askReload(asked) },
		Shutdown: askShutdown})
	if err != nil {
		return err
	}
	if err := f.confine(cfg, log); err != nil {
		return errors.Join(err, b.Close())
	}
	for _, a := range b.Addresses() {
		log.Info("serving", "ntp", a.String())
	}
	if f.file == "" {
		fmt.Fprint(out, b.ClientLines())
	}
	return f.attend(b, log, asked)
}

// statusInterval is how often the service manager is told of a new status.
const statusInterval = 5 * time.Second

// attend does what signals, the control socket and the service manager want,
// until one of them ends the daemon.
func (f *serveFlags) attend(b *bridge.Bridge, log hclog.Logger, asked <-chan chan error) error {
	n := &notifier{log: log}
	n.ready(b)
	status := time.NewTicker(statusInterval)
	defer status.Stop()
	watchdog := make(<-chan time.Time) // never
	interval := watchdogInterval()
	if interval > 0 {
		t := time.NewTicker(interval)
		defer t.Stop()
		watchdog = t.C
	}
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGHUP {
				log.Info("stopping", "signal", s.String())
				n.stopping()
				return b.Close()
			}
			_ = f.reload(b, log, n) // the log says why not
		case answer := <-asked:
			answer <- f.reload(b, log, n)
		case <-status.C:
			n.refresh(b)
		case <-watchdog:
			n.feed(b, interval)
		case err := <-b.Failed():
			log.Error("stopping", "error", err)
			n.stopping()
			return errors.Join(err, b.Close())
		}
	}
}

// confine gives up what only a start needs.
func (f *serveFlags) confine(cfg *config.Config, log hclog.Logger) error {
	sets := cfg.Clock.Mode == config.ClockDiscipline && cfg.Clock.Process == "" && !f.noClock
	report, err := confine.Enter(confine.NewPlan(cfg, f.file, sets))
	for _, note := range report.Notes {
		log.Warn("confinement", "note", note)
	}
	if err != nil {
		return fmt.Errorf("confinement: %w; sandbox: off leaves the sandbox out, user: root stays root", err)
	}
	log.Info("confined", "user", report.User, "capabilities", strings.Join(report.Capabilities, " "),
		"landlock", report.Landlock, "seccomp", report.Seccomp)
	return nil
}

// reloadPatience is how long somebody who asks for a reload waits.
const reloadPatience = 4 * time.Second

// askShutdown ends the daemon as SIGTERM does.
func askShutdown() {
	select {
	case signals <- syscall.SIGTERM:
	default: // one is on its way
	}
}

// askReload asks for a reload and waits for what comes of it.
func askReload(asked chan<- chan error) error {
	answer, late := make(chan error, 1), time.After(reloadPatience)
	select {
	case asked <- answer:
	case <-late:
		return errors.New("the daemon is busy with another change")
	}
	select {
	case err := <-answer:
		return err
	case <-late:
		return errors.New("the reload takes long; the log will say what came of it")
	}
}

func (f *serveFlags) reload(b *bridge.Bridge, log hclog.Logger, n *notifier) error {
	n.reloading()
	defer n.ready(b)
	cfg, err := f.load()
	if err == nil {
		err = b.Reload(cfg)
	}
	if err != nil {
		log.Error("reload refused, everything goes on as before", "error", err)
		return err
	}
	log.SetLevel(hclog.LevelFromString(cfg.Log.Level))
	log.Info("reloaded")
	return nil
}
