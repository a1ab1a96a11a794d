package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ntsbridge/bridge"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
)

type checkFlags struct {
	configFlags
	json, strict, offline, noClock bool
}

// newCheckCommand returns the command that validates a configuration and
// everything it names, and prints who would be served how.
func newCheckCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Validate a configuration and say who would be served how",
		Long: `Does what a start of the server does, but for serving: reads a configuration and
everything that it names (key files, Autokey files, certificates), and asks the
machine for the addresses, directories and capabilities that serve needs. Changes
nothing. Prints who would be served how to standard output, and what is wrong to
standard error, in three grades:

  error        serve would not start
  not served   serve starts, and this is not served or not followed
  warning      works, but not safely, not for long or not as it seems

Run it as the user that the daemon runs as. On another machine use --offline.

Exit status: 0 serve starts; 1 serve would not start; 2 wrong usage; 3 serve
starts, but something is not served or there are warnings, with --strict.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if f.file != "" && f.file != args[0] {
					return usageError("two configurations named, %s and %s; name one", f.file, args[0])
				}
				f.file = args[0]
			}
			return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	flags.BoolVar(&f.strict, "strict", false, "end with status 3 if something is not served, or there are warnings")
	flags.BoolVar(&f.offline, "offline", false, "do not ask this machine for addresses, directories and capabilities")
	flags.BoolVar(&f.noClock, "no-clock", false, "check for serve --no-clock")
	return cmd
}

func (f *checkFlags) run(out, errOut io.Writer) error {
	if f.file == "" {
		return usageError("no configuration named; write ntsbridge check FILE")
	}
	report, err := f.check()
	if err != nil {
		return err
	}
	if err := f.print(report, out, errOut); err != nil {
		return err
	}
	return f.verdict(report)
}

// check does it; the error is about a configuration file that cannot be read
// at all.
func (f *checkFlags) check() (*material.Report, error) {
	cfg, err := f.load()
	var problems config.Problems
	if errors.As(err, &problems) {
		report := material.NewReport(f.file)
		report.Problems(problems)
		return report, nil
	}
	if err != nil {
		return nil, err
	}
	return bridge.Check(cfg, f.file, bridge.Options{NoClock: f.noClock}, f.offline), nil
}

func (f *checkFlags) print(report *material.Report, out, errOut io.Writer) error {
	if f.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	if len(report.UDP) > 0 { // else the file could not be understood
		if err := report.WriteServed(out); err != nil {
			return err
		}
		if report.Findings.Count(material.Note) > 0 {
			fmt.Fprintln(out)
		}
		if err := report.Findings.Write(out, material.Note); err != nil {
			return err
		}
	}
	return report.Findings.Write(errOut, material.Warning, material.NotServed, material.NoStart)
}

// verdict turns the findings into an exit status.
func (f *checkFlags) verdict(report *material.Report) error {
	count := report.Findings.Count
	errs, lost, warnings := count(material.NoStart), count(material.NotServed), count(material.Warning)
	verdict := fmt.Errorf("%s: %d errors, %d not served, %d warnings", f.file, errs, lost, warnings)
	switch {
	case errs > 0:
		return &statusError{exitFailed, verdict}
	case lost+warnings > 0 && f.strict:
		return &statusError{exitFindings, verdict}
	}
	return nil
}
