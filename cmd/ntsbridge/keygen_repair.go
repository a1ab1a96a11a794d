package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/keydir"
)

// repairFlags are the flags of keygen repair.
type repairFlags struct {
	passwordFile, serverKey, serverPasswordFile, output string
	group, dryRun                                       bool
}

func newRepairCommand() *cobra.Command {
	var f repairFlags
	cmd := &cobra.Command{
		Use:   "keygen repair [flags] FILE...",
		Short: "Remake group files of ntp-keygen that cannot work",
		Long: `Tells identity files apart that ntp-keygen wrote so that no ntpd 4.2.8p15 can
work with them, and writes them again in place, under the same filestamp:

- GQ server keys and group files are rearranged (nothing is missing in them);
- IFF group files get back the public value that their form lost, from the
  server's key (--server-key FILE);
- a server's key in the place of a group file, or an encrypted group file,
  becomes one for clients (also any server's key, with --group).

MV files of ntp-keygen have lost values that nothing gives back: make the group
anew. A file that works is left alone.

Exit status: 0 done, or nothing to do; 1 failed; 2 wrong usage.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("no file named; write keygen repair FILE")
			}
			if f.output != "" && len(args) != 1 {
				return usageError("--output goes with one file")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(args, cmd.ErrOrStderr()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.passwordFile, "password-file", "", "read the password of the files from the first line of `FILE`")
	flags.StringVar(&f.serverKey, "server-key", "", "the server's key `FILE` of the same group")
	flags.StringVar(&f.serverPasswordFile, "server-password-file", "", "read the password of the server's key from `FILE` (default "+
		"that of --password-file)")
	flags.StringVarP(&f.output, "output", "o", "", "write to `FILE`, not in place")
	flags.BoolVar(&f.group, "group", false, "make a group file for clients of a server's key (with --output)")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would be done, write nothing")
	return cmd
}

func (f *repairFlags) run(files []string, say io.Writer) error {
	if f.group && f.output == "" {
		return usageError("--group without --output would replace the server's key; name the new file")
	}
	p := &passwords{}
	server, err := f.prepare(p)
	if err != nil {
		return err
	}
	failed := 0
	for _, name := range files {
		done, err := f.repair(name, p, server)
		switch {
		case errors.Is(err, keyfile.ErrNothingToRepair):
			fmt.Fprintf(say, "%s: %v\n", name, err)
		case err != nil:
			failed++
			fmt.Fprintf(say, "%s: %v\n", name, err)
		default:
			fmt.Fprintf(say, "%s: %s\n", name, done)
		}
	}
	if failed > 0 {
		return &statusError{exitFailed, fmt.Errorf("%d of %d files were not repaired", failed, len(files))}
	}
	return nil
}

// prepare reads the passwords and the server's key.
func (f *repairFlags) prepare(p *passwords) (*keyfile.KeyFile, error) {
	var err error
	if f.passwordFile != "" {
		if p.given, err = readPasswordFile(f.passwordFile); err != nil {
			return nil, err
		}
	}
	if f.serverKey == "" {
		return nil, nil
	}
	sp := &passwords{given: p.given}
	if f.serverPasswordFile != "" {
		if sp.given, err = readPasswordFile(f.serverPasswordFile); err != nil {
			return nil, err
		}
	}
	data, err := keydir.ReadFile(f.serverKey)
	if err != nil {
		return nil, err
	}
	key, err := keyfile.ReadKey(data, sp.given)
	if errors.Is(err, keyfile.ErrPassword) && sp.ask(f.serverKey) {
		key, err = keyfile.ReadKey(data, sp.given)
	}
	if err != nil {
		return nil, fmt.Errorf("server key %s: %w", f.serverKey, err)
	}
	return key, nil
}

func (f *repairFlags) repair(name string, p *passwords, server *keyfile.KeyFile) (string, error) {
	data, err := keydir.ReadFile(name)
	if err != nil {
		return "", err
	}
	if keyfile.NeedsPassword(data) {
		p.ask(name)
	}
	content, done, err := keyfile.Repair(rand.Reader, data, keyfile.RepairOptions{
		Password: p.given, Server: server, Group: f.group, Now: time.Now(),
	})
	if errors.Is(err, keyfile.ErrPassword) {
		err = fmt.Errorf("%w; give it with --password-file FILE", err)
	}
	if err != nil || f.dryRun {
		return done + ", not written", err
	}
	return done, f.write(name, content)
}

// write writes the new content in place, or to the named file.
func (f *repairFlags) write(name string, content []byte) error {
	path := name
	if f.output != "" {
		path = f.output
	}
	return keydir.Replace(path, content)
}
