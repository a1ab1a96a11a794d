package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/fleet/history"
)

// historyFlags are those of `fleet history`.
type historyFlags struct {
	daemonFlags
	file         string
	verify, json bool
	site         bool
}

func newFleetHistoryCommand() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Print what was declared, stepped, forced and rolled back, by whom and why",
		Long: `Print what was declared, stepped, forced and rolled back, by whom and why. Each line of the history
carries the hash of the one before it; it is verified whenever it is read. --verify prints only
the verdict, with the hash of the last line: who writes that down elsewhere can later see that
nothing was cut off the end. --file reads a file without a daemon.`,
		Example: `  ntsbridge fleet history
  ntsbridge fleet history --verify
  ntsbridge fleet history --verify --file backup/fleet-history.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := f.read()
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), text)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.verify, "verify", false, "print only whether it is whole, and the hash of its last line")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the lines as they are kept, JSON each")
	cmd.Flags().BoolVar(&f.site, "site", false, "of all gateways of the site, as etcd has it")
	cmd.Flags().StringVar(&f.file, "file", "", "read this `FILE`, no daemon")
	return cmd
}

func (f *historyFlags) read() ([]byte, error) {
	if f.file != "" {
		return os.ReadFile(f.file)
	}
	client, err := f.client()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if f.site {
		err = client.SiteHistory(context.Background(), &text)
	} else {
		err = client.FleetHistory(context.Background(), &text)
	}
	return text.Bytes(), err
}

func (f *historyFlags) print(out io.Writer, text []byte) error {
	end, err := history.Verify(bytes.NewReader(text), func(e *history.Entry) error {
		if f.verify || f.json {
			return nil
		}
		_, err := fmt.Fprintln(out, entryLine(e))
		return err
	})
	switch {
	case errors.Is(err, history.ErrBroken):
		return fmt.Errorf("%w: whoever could write the file changed it; the copy of a backup shows what it was", err)
	case err != nil:
		return err
	case f.json:
		_, err := out.Write(text)
		return err
	case f.verify:
		fmt.Fprintf(out, "%d lines, each as it was written; the last one has the hash %s\n", end.Lines, end.Hash)
	}
	return nil
}

func entryLine(e *history.Entry) string {
	s := fmt.Sprintf("%s  %-11s", e.Time.UTC().Format("2006-01-02 15:04:05"), e.What)
	if e.Group != "" {
		s += "  " + e.Group
	}
	if e.Means != "" && e.Key == 0 {
		s += " by " + e.Means
	}
	if e.Stage != "" {
		s += ": " + e.Stage
	}
	if e.Key != 0 {
		s += fmt.Sprintf("  key %d", e.Key)
	}
	if e.Step != 0 {
		s += fmt.Sprintf(" (step %d)", e.Step)
	}
	s += "  [" + e.Who
	if e.Gateway != "" {
		s += " on " + e.Gateway
	}
	s += "]"
	if e.Why != "" {
		s += "  " + e.Why
	}
	return s
}
