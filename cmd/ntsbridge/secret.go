package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts"
)

func newSecretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Show or change the secret of the NTS cookies, make tokens for the API, print the key of this gateway",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError("say what to do: `ntsbridge secret status`, `ntsbridge secret rotate`, `ntsbridge secret token` or " +
				"`ntsbridge secret gateway`")
		},
	}
	cmd.AddCommand(newSecretStatusCommand(), newSecretRotateCommand(), newSecretTokenCommand(), newSecretGatewayCommand())
	return cmd
}

// secretStatus is what can be told of a secret.
type secretStatus struct {
	File        string     `json:"file"`
	Fingerprint string     `json:"fingerprint"` // of this day of UTC
	Begin       time.Time  `json:"begin"`       // cookies from before cannot be opened with it
	From        *time.Time `json:"from,omitempty"`
	Until       *time.Time `json:"until,omitempty"` // of a previous one: when nothing of it is accepted any more
	Former      bool       `json:"former"`
}

type secretsStatus struct {
	Current  secretStatus  `json:"current"`
	Previous *secretStatus `json:"previous,omitempty"`
}

func newSecretStatusCommand() *cobra.Command {
	var f configFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the cookie secret on disk can open, and whether gateways share it",
		Long: "Show what the files of the cookie secret can open. Gateways that share a secret show the same\n" +
			"fingerprint on the same day of UTC, whatever they have opened or forgotten. Nothing secret is printed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.load()
			if err != nil {
				return err
			}
			s, err := readSecrets(&cfg.NTS.Cookies)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(s.status(&cfg.NTS.Cookies, time.Now()))
			}
			return s.status(&cfg.NTS.Cookies, time.Now()).write(cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// secrets are the files of the cookie secret.
type secrets struct {
	current, previous *nts.Secret // previous: nil if there is none
	text              []byte      // of the current one
}

func readSecrets(c *config.Cookies) (*secrets, error) {
	s := new(secrets)
	var err error
	if s.current, s.text, err = readCookieSecret(c.SecretFile); err != nil {
		return nil, err
	}
	if s.previous, _, err = readCookieSecret(c.PreviousSecretFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return s, nil
}

func readCookieSecret(path string) (*nts.Secret, []byte, error) {
	text, err := statedir.ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w; the first start of the server makes it", err)
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := nts.ParseSecret(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, text, nil
}

func (s *secrets) status(c *config.Cookies, now time.Time) *secretsStatus {
	out := &secretsStatus{Current: statusOf(c.SecretFile, s.current, now)}
	if from := s.current.From().UTC(); !s.current.From().IsZero() {
		out.Current.From = &from
	}
	if s.previous != nil {
		p := statusOf(c.PreviousSecretFile, s.previous, now)
		if until := s.current.PreviousUntil(c.Rotation, c.Kept).UTC(); out.Current.From != nil {
			p.Until = &until
		}
		out.Previous = &p
	}
	return out
}

func statusOf(path string, s *nts.Secret, now time.Time) secretStatus {
	return secretStatus{File: path, Fingerprint: s.Fingerprint(now), Begin: s.Begin().UTC(), Former: s.Former()}
}

func (s *secretsStatus) write(out io.Writer) error {
	show := func(what string, x *secretStatus) string {
		text := fmt.Sprintf("%-9s %s\n  fingerprint of today  %s\n", what, x.File, x.Fingerprint)
		if x.Former {
			return text + "  opens                 all cookies of any time: the server has not moved it on yet\n"
		}
		return text + fmt.Sprintf("  opens                 cookies since %s\n", x.Begin.Format(time.RFC3339))
	}
	text := show("current", &s.Current)
	if s.Current.From != nil {
		text += fmt.Sprintf("  seals                 since or from %s\n", s.Current.From.Format(time.RFC3339))
	}
	if s.Previous != nil {
		text += show("previous", s.Previous)
		if s.Previous.Until != nil {
			text += fmt.Sprintf("  accepted until        %s\n", s.Previous.Until.Format(time.RFC3339))
		}
	}
	_, err := io.WriteString(out, text)
	return err
}

// secretRotateFlags are the flags of secret rotate.
type secretRotateFlags struct {
	configFlags
	in     time.Duration
	force  bool
	revoke bool
}

// maxRotateIn is the longest time before a new secret is used.
const maxRotateIn = 30 * 24 * time.Hour

func newSecretRotateCommand() *cobra.Command {
	var f secretRotateFlags
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Change the cookie secret without a client noticing",
		Long: "Make a new cookie secret, keep the one before beside it, and let the running daemon read both. Until\n" +
			"the time that --in says, cookies are sealed with the old secret and opened with both, so that there is\n" +
			"time to copy the two files to other gateways. The old one's cookies are opened as long as\n" +
			"nts.cookies.kept says.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.rotate(cmd.OutOrStdout(), time.Now()) },
	}
	f.add(cmd)
	cmd.Flags().DurationVar(&f.in, "in", time.Hour, "`TIME` until the new secret seals cookies, for copying it to other gateways")
	cmd.Flags().BoolVar(&f.force, "force", false, "rotate although the secret before this one is still accepted; it is given up")
	cmd.Flags().BoolVar(&f.revoke, "revoke", false, "the secret was stolen: accept no cookie of it from now on; every client does a key establishment")
	return cmd
}

func (f *secretRotateFlags) rotate(out io.Writer, now time.Time) error {
	if f.in < 0 || f.in > maxRotateIn {
		return usageError("--in %v: want 0s to %v", f.in, maxRotateIn)
	}
	cfg, err := f.load()
	if err != nil {
		return err
	}
	c := &cfg.NTS.Cookies
	old, err := readSecrets(c)
	if err != nil {
		return err
	}
	if !material.Dated(now) {
		return fmt.Errorf("the clock says %s: set it first", now.UTC().Format(time.DateOnly))
	}
	if until := old.current.PreviousUntil(c.Rotation, c.Kept); old.previous != nil && now.Before(until) && !f.force && !f.revoke {
		return fmt.Errorf("%s is still accepted, until %s: a change now would cost its clients a key establishment; wait, or use --force",
			c.PreviousSecretFile, until.UTC().Format(time.RFC3339))
	}
	next, err := material.NewCookieSecret(c, now)
	if err != nil {
		return err
	}
	if !f.revoke {
		next = next.SealingFrom(now.Add(f.in))
	}
	if err := f.write(c, old.text, next); err != nil {
		return err
	}
	f.tell(out, c, next, f.inForce(cfg, next))
	if cfg.Fleet.Etcd.Enabled() && cfg.Fleet.Etcd.Secrets == config.SecretsEtcd {
		fmt.Fprintln(out, "The daemon hands it out to the other gateways through etcd: `ntsbridge fleet status --site` says if that fails.")
	}
	return nil
}

// write writes the secret before, then the new one: at any moment what is sealed
// with is on disk.
func (f *secretRotateFlags) write(c *config.Cookies, old []byte, next *nts.Secret) error {
	if f.revoke {
		if err := os.Remove(c.PreviousSecretFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} else if err := statedir.Write(c.PreviousSecretFile, old, statedir.Secret); err != nil {
		return err
	}
	return statedir.Write(c.SecretFile, next.AppendText(nil), statedir.Secret)
}

// inForce lets the daemon read the files. One that was moving the old secret on
// at the same moment may have written it again: then the new one is put back.
func (f *secretRotateFlags) inForce(cfg *config.Config, next *nts.Secret) (err error) {
	for range 3 {
		if err = control.NewClient(cfg.Control.Socket).Reload(); err != nil {
			return err
		}
		found, _, readErr := readCookieSecret(cfg.NTS.Cookies.SecretFile)
		if readErr == nil && found.Same(next) {
			return nil
		}
		if err = statedir.Write(cfg.NTS.Cookies.SecretFile, next.AppendText(nil), statedir.Secret); err != nil {
			return err
		}
	}
	return errors.New("the file is written by somebody else at the same time")
}

// tell says what was done and what is to do.
func (f *secretRotateFlags) tell(out io.Writer, c *config.Cookies, next *nts.Secret, reload error) {
	fmt.Fprintf(out, "new cookie secret: %s", c.SecretFile)
	if f.revoke {
		fmt.Fprintf(out, "\nno cookie of the one before is accepted: every client does one new key establishment\n")
	} else {
		fmt.Fprintf(out, ", seals cookies from %s\nthe one before: %s, accepted until %s\n", next.From().UTC().Format(time.RFC3339),
			c.PreviousSecretFile, next.PreviousUntil(c.Rotation, c.Kept).UTC().Format(time.RFC3339))
	}
	if reload != nil {
		fmt.Fprintf(out, "the running daemon has not read it (%v): run `ntsbridge reload`, or start it\n", reload)
	} else {
		fmt.Fprintln(out, "the running daemon has read it")
	}
	when := "now"
	if !f.revoke {
		when = "before that time"
	}
	fmt.Fprintf(out, "If other gateways share the secret: %s, copy what is there of these files to each, owner and mode 0600 kept,\n"+
		"and run `ntsbridge reload` there. `ntsbridge secret status` then shows the same fingerprints on all.\n", when)
}
