package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/config"
)

type checkFlags struct {
	file, stateDir, runDir string
	json, strict           bool
}

// newCheckCommand returns the command that validates a configuration and
// everything it names, and prints who would be served how.
func newCheckCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Validate a configuration and say who would be served how",
		Long: `Reads a configuration and everything that it names: key files, Autokey files,
certificates, directories, addresses. Changes nothing. Prints who would be
served how to standard output, and what is wrong to standard error.

Exit status: 0 good; 1 serve would fail; 2 wrong usage; 3 warnings, with --strict.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "config", "c", "", "configuration `FILE`")
	addDirFlags(cmd, &f.stateDir, &f.runDir)
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	flags.BoolVar(&f.strict, "strict", false, "end with status 3 if there are warnings")
	return cmd
}

func (f *checkFlags) run(out, errOut io.Writer) error {
	if f.file == "" {
		return usageError("no configuration named; write ntsbridge check -c FILE")
	}
	for _, dir := range []*string{&f.stateDir, &f.runDir} {
		if *dir == "" {
			continue
		}
		var err error
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	report, err := config.Check(f.file, config.CheckOptions{
		Environment: config.CurrentEnvironment(),
		Now:         time.Now(),
		StateDir:    f.stateDir,
		RunDir:      f.runDir,
	})
	if err != nil {
		return err
	}
	if err := f.print(report, out, errOut); err != nil {
		return err
	}
	return f.verdict(report)
}

func (f *checkFlags) print(report *config.Report, out, errOut io.Writer) error {
	if f.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	if len(report.UDP) > 0 { // else the file could not be understood
		if err := report.WriteServed(out); err != nil {
			return err
		}
		if report.Count(config.Note) > 0 {
			fmt.Fprintln(out)
		}
		if err := report.WriteFindings(out, config.Note); err != nil {
			return err
		}
	}
	return report.WriteFindings(errOut, config.Warning, config.Failure)
}

// verdict turns the findings into an exit status.
func (f *checkFlags) verdict(report *config.Report) error {
	failures, warnings := report.Count(config.Failure), report.Count(config.Warning)
	switch {
	case failures > 0:
		return &statusError{exitFailed, fmt.Errorf("%s: %d errors, %d warnings", f.file, failures, warnings)}
	case warnings > 0 && f.strict:
		return &statusError{exitFindings, fmt.Errorf("%s: %d warnings", f.file, warnings)}
	}
	return nil
}
