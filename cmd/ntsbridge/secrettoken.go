package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/statedir"
)

// tokenFlags are those of `secret token`.
type tokenFlags struct{ name, role, file string }

func newSecretTokenCommand() *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a token for the API over HTTPS",
		Long: `Make a token of 256 random bits for the API over HTTPS and print it: this is the only time, since
the file that api.tokens names keeps its hash. With --file its line is added to that file, which is
made with mode 0600 if it is not there; without, the line is printed to standard error, to be added.
` + "`ntsbridge reload`" + ` puts the file in force. To take a token back, delete its line and reload.`,
		Example: `  ntsbridge secret token --name grafana --file /etc/ntsbridge/api.tokens
  ntsbridge secret token --name ops --role write --file /etc/ntsbridge/api.tokens > ~/ntsbridge.token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr()) },
	}
	cmd.Flags().StringVar(&f.name, "name", "", "`NAME` of who gets it, for the log and the history")
	cmd.Flags().StringVar(&f.role, "role", "read", "what it lets do: read or write")
	cmd.Flags().StringVar(&f.file, "file", "", "add its line to this `FILE`")
	return cmd
}

func (f *tokenFlags) run(out, notes io.Writer) error {
	role, err := remote.ParseRole(f.role)
	if err != nil {
		return usageError("--role: %w", err)
	}
	secret, line, err := remote.NewToken(f.name, role)
	if err != nil {
		return usageError("--name: %w", err)
	}
	if f.file == "" {
		fmt.Fprintf(notes, "add this line to the file of api.tokens (mode 0600), then run `ntsbridge reload`:\n%s\n", line)
	} else if err := addLine(f.file, line); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, secret)
	return err
}

// addLine adds a line to a file of tokens that is right with it.
func addLine(path, line string) error {
	text, err := statedir.ReadSecret(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, line+"\n"...)
	if _, err := remote.ParseTokens(text); err != nil {
		return fmt.Errorf("%s:%w; nothing was written", path, err)
	}
	return statedir.Write(path, text, statedir.Secret)
}
