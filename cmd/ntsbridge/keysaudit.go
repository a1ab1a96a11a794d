package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/keyring"
	fleetreport "ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/material"
	"ntsbridge/symkey"
)

func newKeysAuditCommand() *cobra.Command {
	var daemon daemonFlags
	var age, unused string
	var asJSON, strict bool
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Say what speaks against each symmetric key: age, digest, who shares it, who uses it",
		Long: `Say what speaks against each symmetric key of keys.files: how old it is (by what ntp-keygen noted in
the file, else by when the file changed last: then it is at least so old), its digest and length,
how many clients and owners share it, whether another key has the same secret, whether a source of
our own uses it, and when a client used it last. Without a running daemon nothing is said of use.`,
		Example: `  ntsbridge keys audit -c ntsbridge.yaml
  ntsbridge keys audit -c ntsbridge.yaml --max-age 180d --strict    # status 3 if there is any finding`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l := keyring.DefaultLimits
			for _, f := range []struct {
				flag, text string
				to         *time.Duration
			}{{"--max-age", age, &l.Age}, {"--unused", unused, &l.Unused}} {
				d, err := parseSpan(f.flag, f.text)
				if err != nil {
					return err
				}
				*f.to = d
			}
			cfg, err := daemon.load()
			if err != nil {
				return err
			}
			list, err := audited(cmd.ErrOrStderr(), cfg, l)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), list)
			} else {
				err = writeAudit(cmd.OutOrStdout(), list)
			}
			findings := 0
			for _, a := range list {
				findings += len(a.Findings)
			}
			if err == nil && strict && findings > 0 {
				return &statusError{exitFindings, fmt.Errorf("%d findings about %d keys", findings, len(list))}
			}
			return err
		},
	}
	daemon.addLocal(cmd)
	cmd.Flags().StringVar(&age, "max-age", "365d", "a key that is older than this `TIME` is a finding")
	cmd.Flags().StringVar(&unused, "unused", "90d", "a key that no client used for this `TIME` is a finding")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with status 3 if there is any finding")
	return cmd
}

// audited judges the keys of the configuration's files with what the daemon knows
// of their use.
func audited(told io.Writer, cfg *config.Config, l keyring.Limits) ([]*keyring.Audited, error) {
	held, err := heldKeys(cfg)
	if err != nil {
		return nil, err
	}
	client := control.NewClient(cfg.Control.Socket)
	var watched time.Time
	used, err := client.Keys()
	if err == nil {
		var s *fleetreport.Summary
		if s, err = client.Summary("label"); err == nil {
			watched = time.Unix(int64(s.Watched), 0)
		}
	}
	if err != nil {
		fmt.Fprintln(told, "note: nothing is known of who uses the keys:", err)
		used = nil
	}
	return keyring.Audit(held, used, watched, l, time.Now()), nil
}

// keyFiles are the key files of a configuration.
func keyFiles(cfg *config.Config) ([]config.KeyFile, error) {
	files := cfg.Keys.Files
	if len(files) == 0 && cfg.Keys.Generate {
		if own := material.GeneratedKeyFile(cfg); cfg.StateDir != "" {
			if _, err := os.Stat(own); err == nil {
				files = []config.KeyFile{{Path: own, Format: "ntp"}}
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("the configuration names no key file (keys.files); name the daemon's configuration with -c FILE")
	}
	return files, nil
}

// heldKeys reads the key files.
func heldKeys(cfg *config.Config) (list []keyring.Held, err error) {
	files, err := keyFiles(cfg)
	if err != nil {
		return nil, err
	}
	trusted, err := cfg.TrustedKeys()
	if err != nil {
		return nil, err
	}
	if len(cfg.Keys.Files) == 0 {
		trusted = symkey.TrustAll
	}
	own := ownKeys(cfg)
	for _, f := range files {
		file, err := material.ReadKeyFile(f)
		if err != nil {
			return nil, err
		}
		made, exact, err := madeAt(f.Path)
		if err != nil {
			return nil, err
		}
		for _, k := range file.Keys {
			list = append(list, keyring.Held{Key: k, File: f.Path, Trusted: trusted.Contains(k.ID()), Made: made, Exact: exact,
				Sources: own[k.ID()]})
		}
	}
	return list, nil
}

// madeAt tells when the keys of a file can have been made at the latest.
func madeAt(path string) (made time.Time, exact bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return made, false, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return made, false, err
	}
	// A file that was edited later may have younger keys.
	if made, ok := keyring.MadeAt(text); ok && !info.ModTime().After(made.Add(24*time.Hour)) {
		return made, true, nil
	}
	return info.ModTime(), false, nil
}

// ownKeys are the keys that our own sources and broadcasts use.
func ownKeys(cfg *config.Config) map[uint32][]string {
	own := map[uint32][]string{}
	for i := range cfg.Sources {
		s := &cfg.Sources[i]
		if s.Key > 0 {
			own[uint32(s.Key)] = append(own[uint32(s.Key)], strings.TrimSpace(fmt.Sprintf("sources[%d] %s", i, s.Server)))
		}
	}
	for i := range cfg.Broadcast {
		if b := &cfg.Broadcast[i]; b.Key > 0 {
			own[uint32(b.Key)] = append(own[uint32(b.Key)], fmt.Sprintf("broadcast[%d]", i))
		}
	}
	return own
}

func writeAudit(w io.Writer, list []*keyring.Audited) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	now := time.Now()
	fmt.Fprintln(t, "Key\tDigest\tBits\tAge\tClients\tOwners\tLast used\tFindings")
	for _, a := range list {
		age := fleetreport.Ago(a.Made, now)
		if !a.Exact && a.Made != 0 {
			age = ">" + age
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%d\t%d\t%s\t%d\n", a.ID, a.Digest, a.Bits, age, a.Clients, len(a.Labels),
			fleetreport.Ago(a.Last, now), len(a.Findings))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, a := range list {
		for _, f := range a.Findings {
			if _, err := fmt.Fprintf(w, "key %d: %s\n", a.ID, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// fileOf finds the file that a key is in.
func fileOf(held []keyring.Held, id uint32) (h *keyring.Held, ok bool) {
	i := slices.IndexFunc(held, func(h keyring.Held) bool { return h.Key.ID() == id })
	if i < 0 {
		return nil, false
	}
	return &held[i], true
}

// heldKey reads the key files and finds the one that a key is in.
func heldKey(cfg *config.Config, id uint32) (held []keyring.Held, h *keyring.Held, err error) {
	if held, err = heldKeys(cfg); err != nil {
		return nil, nil, err
	}
	h, ok := fileOf(held, id)
	if !ok {
		return nil, nil, fmt.Errorf("key %d is in none of the key files", id)
	}
	return held, h, nil
}
