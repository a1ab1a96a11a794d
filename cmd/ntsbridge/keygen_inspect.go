package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/keydir"
)

// inspectFlags are the flags of keygen inspect.
type inspectFlags struct {
	passwordFile string
	json, strict bool
}

func newInspectCommand() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "keygen inspect [flags] FILE...",
		Short: "Say what key files are and whether ntpd takes them",
		Long: `Says of each file what it is, for whom, until when, how weak it is, its
filestamp and fingerprint, and whether an ntpd 4.2.8p15 takes it, as server and
as client, and why not. A certificate and its key have the same fingerprint, so
have all files of one group.

A password is needed for encrypted files only, and asked for on the terminal;
without one it says what can be seen from outside.

Exit status: 0 done; 1 a file cannot be read; 2 wrong usage; 3 with --strict: a
file that some daemon does not take in any role.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("no file named; write keygen inspect FILE")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "read the password from the first line of `FILE`")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON array")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "end with status 3 if a file cannot work")
	return cmd
}

// inspected is one file of the JSON output.
type inspected struct {
	File  string `json:"file"`
	Error string `json:"error,omitempty"`
	*keyfile.Inspection
}

func (f *inspectFlags) run(files []string, out, say io.Writer) error {
	p := &passwords{}
	if f.passwordFile != "" {
		var err error
		if p.given, err = readPasswordFile(f.passwordFile); err != nil {
			return err
		}
	}
	var all []inspected
	failed, refused := 0, 0
	for _, name := range files {
		i, err := inspectFile(name, p, time.Now())
		entry := inspected{File: name, Inspection: i}
		if err != nil {
			failed++
			entry.Error = err.Error()
		} else if !works(i) {
			refused++
		}
		all = append(all, entry)
	}
	if err := f.print(all, out, say); err != nil {
		return err
	}
	switch {
	case failed > 0:
		return &statusError{exitFailed, fmt.Errorf("%d of %d files cannot be read", failed, len(files))}
	case refused > 0 && f.strict:
		return &statusError{exitFindings, fmt.Errorf("%d of %d files cannot work", refused, len(files))}
	}
	return nil
}

func (f *inspectFlags) print(all []inspected, out, say io.Writer) error {
	if f.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(all)
	}
	for _, entry := range all {
		if entry.Inspection != nil {
			writeInspection(out, entry.File, entry.Inspection)
		}
		if entry.Error != "" {
			fmt.Fprintf(say, "%s: %s\n", entry.File, entry.Error)
		}
	}
	return nil
}

// works reports whether a daemon takes a file in at least one role.
func works(i *keyfile.Inspection) bool {
	return i.Server == nil && i.Client == nil || i.Server != nil && i.Server.OK || i.Client != nil && i.Client.OK
}

// inspectFile inspects one file; it asks for a password only if one is needed.
func inspectFile(name string, p *passwords, now time.Time) (*keyfile.Inspection, error) {
	data, err := keydir.ReadFile(name)
	if err != nil {
		return nil, err
	}
	i, err := keyfile.Inspect(data, p.given, now)
	if errors.Is(err, keyfile.ErrPassword) && p.ask(name) {
		i, err = keyfile.Inspect(data, p.given, now)
	}
	if errors.Is(err, keyfile.ErrPassword) {
		err = fmt.Errorf("%w; give it with --password-file FILE", err)
	}
	return i, err
}

// writeInspection prints what is known of a file.
func writeInspection(w io.Writer, name string, i *keyfile.Inspection) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", label, fmt.Sprintf(format, args...))
	}
	kind := string(i.Kind)
	if kind == "" {
		kind = "private key, not opened"
	}
	fmt.Fprintf(w, "%s: %s\n", name, kind)
	if i.Label != "" {
		line("line 1", "%s, of %s", i.Label, i.Owner)
	}
	line("filestamp", "%d (%s)", i.Filestamp, i.Made.Format(time.DateTime+" MST"))
	if i.Encrypted != "" {
		line("form", "%s, encrypted (%s)", i.Form, i.Encrypted)
	} else {
		line("form", "%s", i.Form)
	}
	if i.Algorithm != "" {
		line("key", "%s, %d bits", i.Algorithm, i.Bits)
	}
	if i.Fingerprint != "" {
		line("fingerprint", "%s", i.Fingerprint)
	}
	if c := i.Certificate; c != nil {
		writeCertificate(line, c)
	}
	for _, k := range i.MVKeys {
		state := "good"
		if k.Revoked {
			state = "revoked"
		}
		line("client key", "%d %s", k.Number, state)
	}
	writeAcceptance(line, "server", i.Server)
	writeAcceptance(line, "client", i.Client)
	for _, f := range i.Findings {
		line("note", "%s", f.Text)
	}
}

func writeCertificate(line func(string, string, ...any), c *keyfile.CertificateFact) {
	use := "neither trusted nor private"
	switch {
	case c.Trusted:
		use = "trusted"
	case c.Private:
		use = "private"
	}
	if c.GQ {
		use += ", with a GQ public value"
	}
	line("subject", "%s", c.Subject)
	if c.Issuer != c.Subject {
		line("issuer", "%s", c.Issuer)
	}
	line("use", "%s", use)
	line("valid", "%s to %s", c.NotBefore.Format(time.DateTime+" MST"), c.NotAfter.Format(time.DateTime+" MST"))
	line("signature", "%s, serial %s", c.Signature, c.Serial)
}

func writeAcceptance(line func(string, string, ...any), role string, a *keyfile.Acceptance) {
	switch {
	case a == nil:
	case a.OK:
		line(role, "ntpd 4.2.8p15 takes it")
	default:
		for _, reason := range a.Reasons {
			line(role, "no: %s", reason)
		}
	}
}
