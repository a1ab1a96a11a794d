// Command ntsbridge is a time server for sites that move from ntpd with
// symmetric keys or Autokey to Network Time Security. See the README.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"ntsbridge/bridge"
)

func main() { os.Exit(dispatch(os.Args)) }

// dispatch runs the program under the name by which it was called.
func dispatch(args []string) int {
	catchSignals(args)
	if filepath.Base(args[0]) == "ntp-keygen" {
		return ntpKeygen(args[1:])
	}
	return run(args[1:])
}

// run executes the command line and returns the exit status.
func run(args []string) int {
	root := newRootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	printError(messages(), cmd, args, err)
	return exitStatus(err)
}

// printError writes an error, as JSON where JSON was asked for.
func printError(w io.Writer, cmd *cobra.Command, args []string, err error) {
	asked := slices.Contains(args, "--json")
	if f := cmd.Flags().Lookup("json"); f != nil && f.Changed {
		asked = f.Value.String() == "true"
	}
	if asked {
		_ = json.NewEncoder(w).Encode(map[string]any{"error": err.Error(), "status": exitStatus(err)})
		return
	}
	fmt.Fprintln(w, "ntsbridge:", err)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "ntsbridge",
		Short:         "One time server for unauthenticated, symmetric-key, Autokey and NTS clients",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       bridge.Version(),
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Usage()
			return usageError("a command is missing; `ntsbridge serve` runs the server")
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError("%w", err) })
	root.AddCommand(newServeCommand(), newCheckCommand(), newConvertCommand(), newKeygenCommand(), newQueryCommand(),
		newStatusCommand(), newReloadCommand(), newServerStatsCommand(), newNTSCommand(), newCertificateCommand(),
		newTrackingCommand(), newSourcesCommand(), newSourceStatsCommand(), newSelectDataCommand(), newAuthDataCommand(),
		newWaitSyncCommand(), newMakeStepCommand())
	root.AddCommand(newCommands()...)
	root.AddCommand(newClientsCommand(), newKeysCommand(), newSummaryCommand(), newInventoryCommand(), newFleetCommand(),
		newSecretCommand(), newClockCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.RunE = func(*cobra.Command, []string) error {
				return usageError("completion for which shell? bash, zsh, fish or powershell")
			}
		case "help":
			c.Args = helpTopic
		}
	}
	wrongArguments(root)
	return root
}

// helpTopic makes what there is no help for wrong usage.
func helpTopic(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err == nil && len(rest) > 0 && found.HasSubCommands() {
		err = fmt.Errorf("unknown command %q for %q", rest[0], found.CommandPath())
	}
	return err
}

// wrongArguments makes wrong arguments wrong usage, as a wrong flag is: of a
// command and of those below it.
func wrongArguments(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return usageError("%w", err)
			}
			return nil
		}
	}
	for _, below := range c.Commands() {
		wrongArguments(below)
	}
}
