package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/keyring"
	fleetreport "ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/statedir"
	"ntsbridge/symkey"
)

// retireFlags are those of `keys retire`.
type retireFlags struct {
	daemonFlags
	unused, reason string
	force, dryRun  bool
	json           bool
}

func newKeysRetireCommand() *cobra.Command {
	var f retireFlags
	cmd := &cobra.Command{
		Use:   "retire ID",
		Short: "Take a symmetric key out of its file, if nobody uses it any more",
		Long: `Take a symmetric key out of its file and let the daemon read its keys again, if its gate is open: no
client was answered by it for a time (--unused), in which the inventory watched without a gap and
forgot nobody, no source of our own uses it, and each group of the declared plan that names it, or
whose clients use it, is in the stage removed. The key's line is kept in FILE.retired (mode 0600),
so that it can be put back. A shut gate refuses; --force --reason does it all the same. The history
of the migration has who did it, when, why, and what the gate said. If the daemon does not take the
change, the file is put back as it was.`,
		Example: `  ntsbridge keys retire 5 -c ntsbridge.yaml --dry-run
  ntsbridge keys retire 5 -c ntsbridge.yaml --unused 60d`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.addLocal(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.unused, "unused", "30d", "`TIME` for which nobody may have used it")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what the gate says")
	flags.BoolVar(&f.force, "force", false, "retire it although the gate is shut; needs --reason")
	flags.StringVar(&f.reason, "reason", "", "`TEXT` that is kept with the line: why")
	flags.BoolVar(&f.json, "json", false, "print what the gate says as JSON")
	return cmd
}

func parseKeyID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil || id == 0 {
		return 0, usageError("%q is no key identifier: a number from 1 to 4294967295", s)
	}
	return uint32(id), nil
}

func (f *retireFlags) run(cmd *cobra.Command, arg string) error {
	id, err := parseKeyID(arg)
	if err != nil {
		return err
	}
	quiet, err := parseSpan("--unused", f.unused)
	if err != nil {
		return err
	}
	if f.force && f.reason == "" {
		return usageError("--force needs --reason, which is kept with the key")
	}
	cfg, err := f.load()
	if err != nil {
		return err
	}
	held, h, err := heldKey(cfg, id)
	if err != nil {
		return err
	}
	gates, err := retireGate(cfg, id, quiet)
	if err != nil {
		return err
	}
	stages, err := stageGate(cfg, id)
	if err != nil {
		return err
	}
	gates = append(gates, stages)
	if err := f.printGate(cmd.OutOrStdout(), gates); err != nil {
		return err
	}
	notes, err := newKeyNotes(cfg, id, f.reason, gates)
	if err != nil {
		return err
	}
	switch {
	case !gate.Open(gates) && !f.force:
		err := fmt.Errorf("key %d is not retired: %s", id, gate.Shut(gates))
		if !f.dryRun {
			err = errors.Join(err, notes.write(history.Refused))
		}
		return err
	case f.dryRun:
		return nil
	case !gate.Open(gates):
		if err := notes.write(history.Forced); err != nil {
			return err
		}
	}
	if err := notes.during(history.KeyRetired, func() error { return retire(cfg, h.File, id, f.reason) }); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "key %d was taken out of %s and is kept in %s\n", id, h.File, h.File+retiredMark)
	tellTrusted(cmd.ErrOrStderr(), cfg, held, id)
	return nil
}

// tellTrusted says how keys.trusted is to be once a key is gone, if it names it.
func tellTrusted(w io.Writer, cfg *config.Config, held []keyring.Held, id uint32) {
	left, named := keyring.Without(cfg.Keys.Trusted, id)
	switch {
	case !named:
	case len(held) < 2 || len(left) == 0:
		fmt.Fprintln(w, "it was the last one that clients had: take keys: out of the configuration, and reload")
	default:
		fmt.Fprintf(w, "in the configuration, write\n  trusted: [%s]\nbelow keys:, and reload\n", keyring.Ranges(left))
	}
}

func (f *retireFlags) printGate(w io.Writer, gates []gate.Result) error {
	if f.json {
		return printJSON(w, gates)
	}
	for _, g := range gates {
		state := "open"
		if !g.Open {
			state = "shut"
		}
		fmt.Fprintf(w, "%-12s %s  %s\n", g.Name, state, g.Evidence)
		for _, c := range g.Clients {
			fmt.Fprintf(w, "  %s: %s\n", c.Address, c.Why)
		}
	}
	return nil
}

// errEnough ends an export of which only the beginning is wanted.
var errEnough = errors.New("enough")

// retireGate asks the daemon who uses a key.
func retireGate(cfg *config.Config, id uint32, quiet time.Duration) ([]gate.Result, error) {
	client := control.NewClient(cfg.Control.Socket)
	now := time.Now()
	facts := &keyring.Facts{ID: id, Quiet: quiet, Now: now, Sources: ownKeys(cfg)[id]}
	watched, err := client.Export(context.Background(), func(inventory.Stored) error { return errEnough })
	switch {
	case errors.Is(err, control.ErrNoAnswer), errors.Is(err, control.ErrNoInventory):
		return keyring.Gate(facts), nil // nobody watches, which shuts the gate
	case err != nil && !errors.Is(err, errEnough):
		return nil, err
	}
	facts.Watched = intervals(watched)
	s, err := client.Summary("label")
	if err != nil {
		return nil, err
	}
	facts.Full = s.Full
	var text bytes.Buffer
	filter := &fleetreport.Filter{Keys: []uint32{id}, Since: quiet, Sort: "last"}
	if err := client.Clients(context.Background(), filter, "json", &text); err != nil {
		return nil, err
	}
	var rows []fleetreport.Row
	if err := json.Unmarshal(text.Bytes(), &rows); err != nil {
		return nil, err
	}
	from := fleetreport.Time(max(now.Add(-quiet).Unix(), 0))
	for i := range rows {
		for _, m := range rows[i].Means {
			if m.Kind == "symmetric" && m.Key == id && m.LastAnswered >= from {
				facts.Clients = append(facts.Clients, gate.Client{Address: rows[i].Address,
					Why: fmt.Sprintf("answered %s ago %s", fleetreport.Ago(m.LastAnswered, now), m.Implementation)})
			}
		}
	}
	return keyring.Gate(facts), nil
}

func intervals(list []store.Interval) (out []gate.Interval) {
	for _, w := range list {
		out = append(out, gate.Interval{Start: w.Start, End: w.End})
	}
	return out
}

// retiredMark is behind the name of the file that keeps retired keys.
const retiredMark = ".retired"

// retire moves the line of a key, and lets the daemon read its keys again.
func retire(cfg *config.Config, path string, id uint32, why string) error {
	return editKeys(cfg, path, func(text []byte) ([]byte, error) {
		kept, cut, ok := keyring.Cut(text, id)
		if !ok {
			return nil, fmt.Errorf("%s: no line of its own for key %d", path, id)
		}
		before, err := os.ReadFile(path + retiredMark)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return kept, statedir.Write(path+retiredMark, keyring.Retired(before, cut, id, why, time.Now()), statedir.Secret)
	})
}

// editKeys changes a key file, and puts it back where the daemon refuses it.
func editKeys(cfg *config.Config, path string, edit func([]byte) ([]byte, error)) error {
	path, err := filepath.EvalSymlinks(path) // a link stays one
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	changed, err := edit(text)
	if err != nil {
		return err
	}
	write := func(text []byte) error {
		if err := statedir.Write(path, text, info.Mode().Perm()); err != nil {
			return err
		}
		return sameOwner(path, info)
	}
	if err := write(changed); err != nil {
		return err
	}
	if err := control.NewClient(cfg.Control.Socket).Reload(); err != nil && !errors.Is(err, control.ErrNoAnswer) {
		return errors.Join(fmt.Errorf("%s is as it was: %w", path, err), write(text))
	}
	return nil
}

// rollFlags are those of `keys roll`.
type rollFlags struct {
	daemonFlags
	to     uint
	digest string
}

func newKeysRollCommand() *cobra.Command {
	var f rollFlags
	cmd := &cobra.Command{
		Use:   "roll ID --to NEW",
		Short: "Give a symmetric key a successor; both are accepted until the old one is retired",
		Long: `Give a symmetric key a successor: a key made at random under another number is added to the same file,
and the daemon reads its keys again. Both are accepted from then on. Bring the new line to the
clients one after the other; ` + "`ntsbridge clients --key ID`" + ` says who still uses the old one, and
` + "`ntsbridge keys retire ID`" + ` takes it away when nobody does.`,
		Example: `  ntsbridge keys roll 5 --to 105 -c ntsbridge.yaml
  ntsbridge keys roll 5 --to 105 --digest SHA1 -c ntsbridge.yaml    # for clients without AES-CMAC`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.addLocal(cmd)
	cmd.Flags().UintVar(&f.to, "to", 0, "`NUMBER` of the new key")
	cmd.Flags().StringVar(&f.digest, "digest", "AES128CMAC", "`DIGEST` of the new key")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func (f *rollFlags) run(cmd *cobra.Command, arg string) error {
	id, err := parseKeyID(arg)
	if err != nil {
		return err
	}
	to, err := parseKeyID(strconv.FormatUint(uint64(f.to), 10))
	if err != nil {
		return err
	}
	cfg, err := f.load()
	if err != nil {
		return err
	}
	held, h, err := heldKey(cfg, id)
	if err != nil {
		return err
	}
	if _, taken := fileOf(held, to); taken {
		return fmt.Errorf("key %d is there already; take a number that no key has", to)
	}
	if trusted, err := cfg.TrustedKeys(); len(cfg.Keys.Files) > 0 && (err != nil || !trusted.Contains(to)) {
		return fmt.Errorf("key %d would not be accepted: add %d to keys.trusted first", to, to)
	}
	fresh, err := symkey.Generate(rand.Reader, to, f.digest)
	if err != nil {
		return usageError("%w", err)
	}
	files, err := keyFiles(cfg)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(files, func(k config.KeyFile) bool { return k.Path == h.File })
	file, err := material.ReadKeyFile(files[at])
	if err != nil {
		return err
	}
	notes, err := newKeyNotes(cfg, id, fmt.Sprintf("key %d %s is its successor", to, fresh.Algorithm()), []gate.Result{})
	if err != nil {
		return err
	}
	if err := notes.during(history.KeyRolled, func() error {
		return editKeys(cfg, h.File, func(text []byte) ([]byte, error) { return keyring.Add(text, file.Format, fresh) })
	}); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), `key %d %s was added to %s; key %d is accepted beside it
on each client: take the line of key %d over into its key file, and put %d in the place of %d
then:           ntsbridge clients --key %d      who still uses the old one
                ntsbridge keys retire %d        when nobody does
`, to, fresh.Algorithm(), h.File, id, to, to, id, id, id)
	return nil
}
