package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/fleet/capture"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	fleetreport "ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
	"ntsbridge/bridge/material"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

func newInventoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inventory",
		Short: "Fill the inventory of clients from captures",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Usage()
			return usageError("a command is missing; `ntsbridge inventory import --pcap FILE` reads a capture")
		},
	}
	cmd.AddCommand(newInventoryImportCommand())
	return cmd
}

// importFlags are those of `inventory import`.
type importFlags struct {
	clientFlags
	daemonFlags
	captures []string
	servers  []string
	keyFile  string
	labels   []string
	dryRun   bool
	clients  int
}

func newInventoryImportCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --pcap FILE",
		Short: "Read a capture of the old server's traffic, print its clients and keep them",
		Long: `Read captures (pcap or pcapng, also packed by gzip) of the traffic of the old time server, print
the clients in them as ` + "`ntsbridge clients`" + ` does, and add them to the inventory: that of the running
daemon, or else the file in the state directory. With --dry-run they are only printed.

On the host of the old server:  tcpdump -i any -w clients.pcap 'udp port 123 or tcp port 4460'
A day shows everybody whose poll interval is up to 1024 s; cron jobs need a week.`,
		Example: `  ntsbridge inventory import --pcap clients.pcap --dry-run
  ntsbridge inventory import --pcap monday.pcap --pcap tuesday.pcap.gz --keys /etc/ntp.keys --csv > clients.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.daemonFlags.add(cmd)
	f.bind(cmd, "state_dir", "state-dir", "`DIRECTORY` of the inventory (default from the configuration)")
	f.clientFlags.add(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.captures, "pcap", nil, "capture `FILE`; - is standard input (needs --server); may be given several times")
	flags.StringSliceVar(&f.servers, "server", nil, "`ADDRESS` of the old server (default: found in the capture)")
	flags.StringVar(&f.keyFile, "keys", "", "key `FILE` of the old server, to name digests and to tell large key numbers from Autokey")
	flags.StringArrayVar(&f.labels, "labels", nil, "`FILE` of labels (default: fleet.labels of the configuration)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print, and keep nothing")
	flags.IntVar(&f.clients, "max-clients", 1_000_000, "how many clients there is room for while reading")
	_ = cmd.MarkFlagRequired("pcap")
	return cmd
}

func (f *importFlags) run(cmd *cobra.Command) error {
	if err := f.complete(); err != nil {
		return err
	}
	format, err := f.format()
	if err != nil {
		return err
	}
	cfg, err := f.load()
	if err != nil {
		return err
	}
	v, err := newInventory(f.clients)
	if err != nil {
		return usageError("%w", err)
	}
	names, keys, err := f.names(cfg)
	if err != nil {
		return err
	}
	last, err := f.read(cmd, v, keys)
	if err != nil {
		return err
	}
	if err := printInventory(cmd.OutOrStdout(), v, &f.filter, names, format, last); err != nil || f.dryRun {
		return err
	}
	return f.keep(cmd.ErrOrStderr(), cfg, v)
}

func newInventory(capacity int) (*inventory.Inventory, error) {
	var seed [16]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, err
	}
	return inventory.New(inventory.Options{Capacity: capacity, Addresses: inventory.Addresses{TemporaryPrefix: 64},
		Seed: [2]uint64{binary.LittleEndian.Uint64(seed[:8]) | 1, binary.LittleEndian.Uint64(seed[8:])}})
}

// names returns labels and digests, and the keys of the old server.
func (f *importFlags) names(cfg *config.Config) (*fleetreport.Names, *symkey.Table, error) {
	files := f.labels
	if len(files) == 0 {
		files = cfg.Fleet.Labels
	}
	var all []label.Label
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		list, err := label.Parse(path, text)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, list...)
	}
	var keys *symkey.Table
	if f.keyFile != "" {
		file, err := material.ReadKeyFile(config.KeyFile{Path: f.keyFile, Format: "auto"})
		if err != nil {
			return nil, nil, err
		}
		if keys, err = symkey.NewTable(file.Keys, symkey.TrustAll); err != nil {
			return nil, nil, err
		}
	}
	n := &fleetreport.Names{Labels: label.NewSet(all), AEAD: func(id uint16) string { return aead.ID(id).String() },
		Digest: func(id uint32) string {
			if k := keys.Lookup(id); k != nil {
				return k.Algorithm()
			}
			return ""
		}}
	return n, keys, nil
}

// read reads the captures and returns when the last packet was.
func (f *importFlags) read(cmd *cobra.Command, v *inventory.Inventory, keys *symkey.Table) (last time.Time, err error) {
	o := capture.Options{Keys: keys}
	for _, s := range f.servers {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return last, usageError("--server %q is no address", s)
		}
		o.Servers = append(o.Servers, a)
	}
	for _, path := range f.captures {
		open := func() (io.ReadCloser, error) { return os.Open(path) }
		if path == "-" {
			if len(o.Servers) == 0 {
				return last, usageError("a capture from standard input needs --server: it can be read only once")
			}
			open = func() (io.ReadCloser, error) { return io.NopCloser(cmd.InOrStdin()), nil }
		}
		rep, err := capture.Read(open, o, v)
		if err != nil {
			return last, fmt.Errorf("%s: %w", path, err)
		}
		explain(cmd.ErrOrStderr(), path, rep)
		if rep.LastFrame.After(last) {
			last = rep.LastFrame
		}
	}
	return last, nil
}

// explain says what a capture had, and what limits it.
func explain(w io.Writer, path string, r *capture.Report) {
	fmt.Fprintf(w, "%s: %v\n", path, r)
	if r.Requests == 0 {
		fmt.Fprintf(w, "%s: no request for time to a server that could be told; name it with --server\n", path)
	}
	if r.OneSided {
		fmt.Fprintf(w, "%s: not a single answer: the capture shows one direction, so nothing is known of what was refused\n", path)
	}
	if r.Cut > 0 {
		fmt.Fprintf(w, "%s: %d packets are cut: capture with tcpdump -s 0\n", path, r.Cut)
	}
	if r.Damaged {
		fmt.Fprintf(w, "%s: the file ends in the middle of a frame, or is damaged there; it was read up to that\n", path)
	}
}

// printInventory prints the clients of an inventory as `clients` does.
func printInventory(out io.Writer, v *inventory.Inventory, f *fleetreport.Filter, n *fleetreport.Names, format string,
	now time.Time) error {
	w, err := fleetreport.NewWriter(out, format, now)
	if err != nil {
		return err
	}
	at := uint32(now.Unix())
	var c inventory.Client
	var row fleetreport.Row
	for _, place := range v.Sorted(at, func(c *inventory.Client) (order [2]uint64, ok bool) {
		return f.Order(c, n.Labels), f.Match(c, n.Labels, at)
	}) {
		if f.Limit > 0 && w.Count() >= f.Limit {
			break
		}
		if v.Read(place, at, &c) {
			row.Fill(&c, n)
			if err := w.Row(&row); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

// keep adds the clients to the inventory of the running daemon, or else to the
// store.
func (f *importFlags) keep(log io.Writer, cfg *config.Config, v *inventory.Inventory) error {
	var list []inventory.Stored
	v.Changes(func(k inventory.Key, record []byte) {
		list = append(list, inventory.Stored{Key: k, Record: append([]byte(nil), record...)})
	}, func(inventory.Key) {})
	client, err := f.clientOf(cfg)
	if err != nil {
		return err
	}
	full, err := client.Import(context.Background(), list)
	where := "the running daemon's inventory"
	if errors.Is(err, control.ErrNoAnswer) && f.remote().URL == "" {
		where = filepath.Join(cfg.StateDir, fleet.StoreFile)
		full, err = keepInStore(where, cfg, list)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%d clients were added to %s\n", len(list)-full, where)
	if full > 0 {
		return fmt.Errorf("there was no room for %d clients: raise fleet.clients", full)
	}
	return nil
}

func keepInStore(path string, cfg *config.Config, list []inventory.Stored) (full int, err error) {
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return 0, err
	}
	v, err := newInventory(cfg.Fleet.Clients)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	s, rep, err := store.Open(path, v, now)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if rep.PutAside != "" {
		return 0, fmt.Errorf("%s was damaged (%s) and is now %s; run this again to begin a new one", path, rep.Why, rep.PutAside)
	}
	for i := range list {
		noRoom, err := v.Merge(list[i].Key, list[i].Record)
		if err != nil {
			return full, err
		}
		if noRoom {
			full++
		}
	}
	return full, s.Write(store.Collect(v), now)
}
