package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
	engine "ntsbridge/autokey/keygen"
	"ntsbridge/bridge/keydir"
)

// Exit statuses of ntp-keygen, which keygen has too.
const (
	keygenFailed = 255
	keygenUsage  = 1
)

// newKeygenCommand returns keygen. It reads its command line itself, by the
// rules of ntp-keygen.
func newKeygenCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "keygen [ntp-keygen options] | keygen inspect|repair|renew ...",
		Short:              "Make, inspect, repair and renew Autokey files, with the options of ntp-keygen",
		Long:               keygenLong,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return keygen(args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// ntpKeygen is what runs when the program is called ntp-keygen.
func ntpKeygen(args []string) int {
	err := keygen(args, os.Stdout, os.Stderr)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "ntp-keygen:", err)
	return exitStatus(err)
}

// keygen runs the command and gives each error its exit status.
func keygen(args []string, out, say io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "inspect":
			return subcommand(newInspectCommand(), args[1:], out, say)
		case "repair":
			return subcommand(newRepairCommand(), args[1:], out, say)
		}
	}
	err := makeKeys(args, out, say)
	if errors.Is(err, engine.ErrUsage) {
		return &statusError{keygenUsage, fmt.Errorf("%w\nTry 'keygen --help' for more information", err)}
	}
	if err != nil {
		return &statusError{keygenFailed, err}
	}
	return nil
}

// subcommand runs a command that does not belong to ntp-keygen.
func subcommand(cmd *cobra.Command, args []string, out, say io.Writer) error {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError("%w", err) })
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(say)
	return cmd.Execute()
}

// makeKeys is keygen without a subcommand, and renew.
func makeKeys(args []string, out, say io.Writer) error {
	renew := len(args) > 0 && args[0] == "renew"
	if renew {
		args = args[1:]
	}
	line, err := engine.ParseArgs(args)
	if err != nil {
		return err
	}
	switch {
	case line.Has("help") || line.Has("more-help"):
		_, err := io.WriteString(out, keygenLong+"\n"+engine.OptionsHelp())
		return err
	case line.Has("version"):
		_, err := fmt.Fprintln(out, "ntp-keygen (ntsbridge), compatible with 4.2.8p15")
		return err
	}
	options, err := withPresets(line, say)
	if err != nil {
		return err
	}
	if line.Has("save-opts") {
		return saveOptions(options, line.Text("save-opts"), say)
	}
	dir := keydir.New(filepath.Clean(options.Text("keysdir")))
	if err := dir.Writable(); err != nil {
		return err
	}
	in, err := keygenInputs(options, line, dir, say)
	if err != nil {
		return err
	}
	in.Renew = renew
	plan, err := engine.Make(in)
	if errors.Is(err, engine.ErrStillValid) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := commitPlan(plan, dir, options, say); err != nil {
		return err
	}
	_, err = out.Write(plan.Output)
	return err
}

// keygenInputs gathers what a plan depends on.
func keygenInputs(options, line *engine.Values, dir *keydir.Dir, say io.Writer) (engine.Inputs, error) {
	system, err := os.Hostname()
	if err != nil {
		return engine.Inputs{}, err
	}
	in := engine.Inputs{Options: options, System: system, Read: dir.Read, Target: dir.Target, Now: time.Now(), Rand: rand.Reader}
	shown := false // a line of progress is on the terminal
	in.Tell = func(n engine.Note) {
		if shown {
			fmt.Fprint(say, "\r\x1b[K")
			shown = false
		}
		if n.Warning {
			n.Text = "warning: " + n.Text
		}
		fmt.Fprintln(say, n.Text)
	}
	if file, ok := say.(*os.File); ok && terminal(file) {
		progress := showProgress(file)
		in.Progress = func(what string, tried int) { shown = true; progress(what, tried) }
	}
	if interactive() {
		in.Ask = func(file string) string {
			password, _ := askPassword("Password of " + file)
			return password
		}
	}
	warn := func(format string, args ...any) {
		in.Tell(engine.Note{Text: fmt.Sprintf(format, args...), Warning: true})
	}
	in.Password, in.ExportPassword, err = passwordOptions(options, line, warn)
	return in, err
}

// commitPlan writes the files and tells of them.
func commitPlan(plan *engine.Plan, dir *keydir.Dir, options *engine.Values, say io.Writer) error {
	for _, f := range plan.Files {
		dir.Put(keydir.File(f))
	}
	files, err := dir.Commit()
	if err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintf(say, "Generating new %s file and link\n%s->%s\n", linkKind(f.Link), f.Link, f.Name)
		if options.Verbose() {
			// What inspect tells: no secrets, unlike ntp-keygen -d.
			if i, err := keyfile.Inspect(f.Content, plan.Password, time.Now()); err == nil {
				writeInspection(say, f.Name, i)
			}
		}
	}
	return nil
}

// linkKind is what a link says of its file: "host" of "ntpkey_host_tick".
func linkKind(link string) string {
	kind, _, found := strings.Cut(strings.TrimPrefix(link, "ntpkey_"), "_")
	if !found {
		return "md5"
	}
	return kind
}

// showProgress returns a progress function that keeps one line of the terminal
// up to date.
func showProgress(file *os.File) identity.Progress {
	var last time.Time
	return func(what string, tried int) {
		if now := time.Now(); now.Sub(last) > 200*time.Millisecond {
			last = now
			fmt.Fprintf(file, "\r%s: %d candidates tried\x1b[K", what, tried)
		}
	}
}
