package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge/control"
)

// reportFlags are the flags of the commands that show the clock and its
// sources.
type reportFlags struct {
	daemonFlags
	json    bool
	watch   time.Duration // between two reports; 0: one
	options control.ReportOptions
}

// daemonFlags say which daemon is asked.
type daemonFlags struct {
	configFlags
	gateway control.RemoteOptions
}

func (f *daemonFlags) add(cmd *cobra.Command) {
	f.addLocal(cmd)
	f.addGateway(cmd)
}

// addLocal adds the flags of a daemon on this host.
func (f *daemonFlags) addLocal(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "configuration `FILE` of the running daemon")
	f.bind(cmd, "run_dir", "run-dir", "`DIRECTORY` of the control socket (default from the configuration)")
}

// socket returns the socket of the daemon that was started with the same
// configuration and run directory.
func (f *daemonFlags) socket() (path, readPath string, err error) {
	cfg, err := f.load()
	if err != nil {
		return "", "", err
	}
	if f.file == "" && !cfg.Has("run_dir") && !cfg.Has("control.socket") && !isSocket(cfg.Control.Socket) && isSocket(systemSocket) {
		return systemSocket, systemReadSocket, nil // of the daemon that the system runs
	}
	return cfg.Control.Socket, cfg.Control.ReadSocket, nil
}

// systemSocket is where the daemon of the system is asked.
const (
	systemSocket     = "/run/ntsbridge/control.sock"
	systemReadSocket = "/run/ntsbridge/read.sock"
)

func isSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&os.ModeSocket != 0
}

// client returns what asks the daemon, on this host or another one.
func (f *daemonFlags) client() (*control.Client, error) {
	if c, err := f.remoteClient(); c != nil || err != nil {
		return c, err
	}
	socket, read, err := f.socket()
	if err != nil {
		return nil, err
	}
	return control.NewReader(socket, read), nil
}

// report is a report that can be fetched and written.
type report[T any] struct {
	fetch func(*control.Client) (T, error)
	text  func(io.Writer, T, control.ReportOptions) error
}

// run fetches a report and prints it as the flags say.
func (r *report[T]) run(f *reportFlags, out io.Writer) error {
	client, err := f.client()
	if err != nil {
		return err
	}
	v, err := r.fetch(client)
	if err != nil {
		return err
	}
	if f.json {
		return printJSON(out, v)
	}
	if err := r.text(out, v, f.options); err != nil {
		return err
	}
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice && list.Len() == 0 && !f.options.CSV {
		_, err = fmt.Fprintln(out, "no sources are configured")
	}
	return err
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

var (
	trackingReport = report[*control.Tracking]{(*control.Client).Tracking,
		func(w io.Writer, t *control.Tracking, o control.ReportOptions) error { return t.WriteText(w, o) }}
	sourcesReport     = report[[]control.Source]{(*control.Client).Sources, control.WriteSources}
	selectReport      = report[[]control.SelectData]{(*control.Client).SelectData, control.WriteSelectData}
	sourceStatsReport = report[[]control.SourceStats]{(*control.Client).SourceStats, control.WriteSourceStats}
	authDataReport    = report[[]control.AuthData]{(*control.Client).AuthData, control.WriteAuthData}
)

// addWatchFlag lets a command that reads repeat itself.
func addWatchFlag(cmd *cobra.Command, interval *time.Duration) {
	cmd.Flags().DurationVar(interval, "watch", 0, "print it again every `INTERVAL`, 2s if none is given, until interrupted")
	cmd.Flags().Lookup("watch").NoOptDefVal = "2s"
}

// watch writes a report, once or until it fails. On a terminal each is written
// over the last one.
func watch(interval time.Duration, out io.Writer, write func(io.Writer) error) error {
	if interval <= 0 {
		return write(out)
	}
	interval = max(interval, 100*time.Millisecond)
	clear := ""
	if f, ok := out.(*os.File); ok && isTerminal(f) {
		clear = "\x1b[H\x1b[2J"
	}
	for {
		var page bytes.Buffer
		if err := write(&page); err != nil {
			return err
		}
		if _, err := fmt.Fprint(out, clear, page.String()); err != nil {
			return err
		}
		time.Sleep(interval)
	}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// newReportCommand returns a command that prints a report; run may be asked
// for a variant of it.
func newReportCommand(name, short, long string, run func(*reportFlags, io.Writer) error) (*cobra.Command, *reportFlags) {
	f := new(reportFlags)
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Long:  long,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.json && f.options.CSV:
				return usageError("--json and --csv together make no sense")
			case f.options.Addresses && f.options.WholeNames:
				return usageError("--numeric and --names together make no sense")
			}
			return watch(f.watch, cmd.OutOrStdout(), func(out io.Writer) error { return run(f, out) })
		},
	}
	addWatchFlag(cmd, &f.watch)
	f.daemonFlags.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.options.CSV, "csv", false, "print chronyc's comma-separated values")
	cmd.Flags().BoolVarP(&f.options.Addresses, "numeric", "n", false, "print addresses instead of names")
	cmd.Flags().BoolVarP(&f.options.WholeNames, "names", "N", false, "print whole names, however long")
	return cmd, f
}

func newStatusCommand() *cobra.Command {
	status := report[*control.Status]{(*control.Client).Status,
		func(w io.Writer, s *control.Status, o control.ReportOptions) error { return s.WriteText(w, o) }}
	var f reportFlags
	cmd := &cobra.Command{Use: "status", Short: "Print what the running daemon serves, and what is the matter with it",
		Long: "Print what the running daemon serves, and what is the matter with it: another program on one of\n" +
			"its ports, a certificate that ends, a source that is not at work.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return watch(f.watch, cmd.OutOrStdout(), func(out io.Writer) error { return status.run(&f, out) })
		},
	}
	f.daemonFlags.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	addWatchFlag(cmd, &f.watch)
	return cmd
}

func newNTSCommand() *cobra.Command {
	nts := report[*control.NTS]{(*control.Client).NTS,
		func(w io.Writer, n *control.NTS, o control.ReportOptions) error { return n.WriteText(w, o) }}
	var f reportFlags
	cmd := &cobra.Command{Use: "nts", Short: "Print the running daemon's certificates, what NTS-KE does, and who refuses it",
		Long: "Print where the running daemon serves NTS-KE, its certificates with names, end, chain and what\n" +
			"clients hold against them, how the last reload went, what became of connections, and the\n" +
			"clients that end the handshake when they see the certificate: mostly they do not trust it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return watch(f.watch, cmd.OutOrStdout(), func(out io.Writer) error { return nts.run(&f, out) })
		},
	}
	f.daemonFlags.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	addWatchFlag(cmd, &f.watch)
	return cmd
}

func newTrackingCommand() *cobra.Command {
	cmd, f := newReportCommand("tracking", "Print how well the clock is known",
		"Print what the running daemon knows of the clock, as chronyc's tracking: what it follows, how\nfar off the clock is, how fast it runs, and the bounds of its error.",
		trackingReport.run)
	cmd.Flags().BoolVarP(&f.options.Legend, "verbose", "v", false, "print what chronyc does not have, too")
	return cmd
}

func newSelectDataCommand() *cobra.Command {
	cmd, f := newReportCommand("selectdata", "Print how the sources were selected",
		"Print how the sources of the running daemon were selected, as chronyc's selectdata.", selectReport.run)
	cmd.Flags().BoolVarP(&f.options.Legend, "verbose", "v", false, "explain the columns")
	return cmd
}

func newSourcesCommand() *cobra.Command {
	var selection bool
	cmd, f := newReportCommand("sources", "Print the sources of time",
		"Print the sources of the running daemon, as chronyc's sources, or with --select as its\nselectdata. The column Why says of each source that is not used what is the matter with it.",
		func(f *reportFlags, out io.Writer) error {
			f.options.Why = f.options.Why || f.options.Legend
			if selection {
				return selectReport.run(f, out)
			}
			return sourcesReport.run(f, out)
		})
	cmd.Flags().BoolVar(&selection, "select", false, "print how selection sees the sources")
	cmd.Flags().BoolVarP(&f.options.Legend, "verbose", "v", false, "explain the columns, and add the column Why")
	cmd.Flags().BoolVar(&f.options.Why, "why", false, "add the column Why")
	return cmd
}

func newSourceStatsCommand() *cobra.Command {
	cmd, f := newReportCommand("sourcestats", "Print what was estimated from each source",
		"Print what the running daemon estimated from each source alone, as chronyc's sourcestats.\nNR is always 0: it belongs to a method that is not used here.",
		sourceStatsReport.run)
	addLegendFlag(cmd, f)
	return cmd
}

func newAuthDataCommand() *cobra.Command {
	cmd, f := newReportCommand("authdata", "Print how the sources are authenticated",
		"Print how the sources of the running daemon are authenticated, as chronyc's authdata. Mode AK\nis Autokey: legacy-signed, which nobody should take for authenticated.",
		authDataReport.run)
	addLegendFlag(cmd, f)
	return cmd
}

func addLegendFlag(cmd *cobra.Command, f *reportFlags) {
	cmd.Flags().BoolVarP(&f.options.Legend, "verbose", "v", false, "explain the columns")
}

func newMakeStepCommand() *cobra.Command {
	var f daemonFlags
	cmd := &cobra.Command{
		Use:   "makestep",
		Short: "Correct the clock at once, by a step",
		Long:  "Let the running daemon correct what it believes to be the clock's offset at once, by a step,\nas chronyc's makestep does. The owner and the group of the control socket may do this.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			if err := client.MakeStep(); err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), "200 OK\n")
			return err
		},
	}
	f.add(cmd)
	return cmd
}
