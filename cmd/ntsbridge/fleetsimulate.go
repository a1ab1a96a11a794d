package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/kit"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/simulate"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/store"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/ntp"
)

// simulateFlags are those of `fleet simulate`.
type simulateFlags struct {
	importFlags
	stage, kits     string
	groups          []string
	gateways        []string
	ca              string
	outage, movedIn string
	json, csv, site bool
	limit           int
}

func newFleetSimulateCommand() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate [PLAN]",
		Short: "Say beforehand what a plan does to each client, and write files for those in the way",
		Long: `Say beforehand what a plan does to each client of the inventory: who continues and by what, who falls
silent and since when it has an alternative, and what NTS-KE has to bear. The clients are those of
the running daemon, of the store in the state directory where none runs, or of captures of the old
server (--pcap). What the configuration would not serve at all (keys that are not in keys.files,
access rules) counts too.

Without PLAN it is fleet.plan of the configuration, else the declared plan of the daemon. --stage
stops all groups at a stage; without it each goes as far as the plan says.

Outcomes: silent (no alternative is known), cannot-tell (several hosts behind one address),
elsewhere (it follows another server), continues (it uses a better or newer means already),
unchanged, refused (it is not answered now either), away (not seen for long).`,
		Example: `  ntsbridge fleet simulate fleet.yaml
  ntsbridge fleet simulate fleet.yaml --stage brown-out --csv > in-the-way.csv
  ntsbridge fleet simulate --site                # of all gateways of the site
  ntsbridge fleet simulate fleet.yaml --pcap old-server.pcap --keys /etc/ntp.keys
  ntsbridge fleet simulate fleet.yaml --kits kits --gateway time.example.net`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.daemonFlags.addLocal(cmd) // another host's is named by $NTSBRIDGE_GATEWAY: --gateway is of the kits
	f.bind(cmd, "state_dir", "state-dir", "`DIRECTORY` of the inventory where no daemon runs (default from the configuration)")
	flags := cmd.Flags()
	flags.StringVar(&f.stage, "stage", "", "stop at this `STAGE`: observe, warn, canary, brown-out, refuse, removed")
	flags.StringSliceVar(&f.groups, "group", nil, "only this `GROUP` of the plan")
	flags.StringArrayVar(&f.captures, "pcap", nil, "clients of this capture `FILE` instead of the inventory's")
	flags.StringSliceVar(&f.servers, "server", nil, "`ADDRESS` of the old server in the capture (default: found)")
	flags.StringVar(&f.keyFile, "keys", "", "key `FILE` of the old server, to tell large key numbers from Autokey")
	flags.StringArrayVar(&f.labels, "labels", nil, "`FILE` of labels (default: fleet.labels of the configuration)")
	flags.IntVar(&f.importFlags.clients, "max-clients", 1_000_000, "how many clients there is room for while reading")
	flags.StringVar(&f.kits, "kits", "", "write client files for those in the way into this `DIRECTORY`")
	flags.StringSliceVar(&f.gateways, "gateway", nil, "`NAME` of the gateway in its certificate, for the kits; may be repeated")
	flags.StringVar(&f.ca, "ca", "", "`FILE` on the clients with the certificates to trust, for the kits (default the system's)")
	flags.StringVar(&f.outage, "outage", "10m", "`TIME` of the outage that the load of NTS-KE is computed for")
	flags.StringVar(&f.movedIn, "moved-in", "1h", "`TIME` in which the clients that move are restarted")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.csv, "csv", false, "print CSV, a line per client and means that it loses")
	flags.BoolVar(&f.site, "site", false, "clients of all gateways of the site; what others saw is known by the day")
	flags.IntVar(&f.limit, "limit", 50, "at most so many clients in the table; 0: all")
	return cmd
}

func (f *simulateFlags) run(cmd *cobra.Command, args []string) error {
	if f.json && f.csv {
		return usageError("of --json and --csv only one makes sense")
	}
	if f.site && len(f.captures) > 0 {
		return usageError("--site asks the daemon, and --pcap reads captures: only one makes sense")
	}
	if f.kits != "" && len(f.gateways) == 0 {
		return usageError("--kits needs --gateway NAME, a name in the certificate of the gateway")
	}
	cfg, err := f.load()
	if err != nil {
		return err
	}
	o := simulate.LoadOptions{}
	if o.Outage, err = parseSpan("--outage", f.outage); err != nil {
		return err
	}
	if o.Moved, err = parseSpan("--moved-in", f.movedIn); err != nil {
		return err
	}
	if rate := migration.KECapacity(); rate > 0 {
		o.Cost = 1 / rate
	}
	seen, err := f.clientsSeen(cmd, cfg)
	if err != nil {
		return err
	}
	s, err := f.simulation(args, cfg, seen)
	if err != nil {
		return err
	}
	limit := 0
	if !f.json && !f.csv && f.kits == "" {
		limit = f.limit
	}
	rep, err := s.Run(seen.each, o, limit)
	if err != nil {
		return err
	}
	if f.kits != "" {
		if err := f.writeKits(cmd.ErrOrStderr(), rep); err != nil {
			return err
		}
	}
	switch out := cmd.OutOrStdout(); {
	case f.json:
		return printJSON(out, rep)
	case f.csv:
		return rep.WriteCSV(out)
	default:
		return rep.WriteText(out, f.limit)
	}
}

// seenClients are clients, and until when they were watched.
type seenClients struct {
	table   *inventory.Inventory
	last    time.Time
	watched uint32
	labels  *label.Set
	others  *site.View // what the other gateways know, nil: it is of one gateway
}

func (s *seenClients) each(see func(*inventory.Client)) error {
	var c inventory.Client
	for i := range s.table.Places() {
		if s.table.Read(i, uint32(s.last.Unix()), &c) {
			if s.others != nil {
				s.others.Add(&c)
			}
			see(&c)
		}
	}
	if s.others != nil {
		s.others.Rest(func(c *inventory.Client) { see(c) })
	}
	return nil
}

// clientsSeen reads captures, or the daemon's inventory, or its store.
func (f *simulateFlags) clientsSeen(cmd *cobra.Command, cfg *config.Config) (*seenClients, error) {
	names, keys, err := f.names(cfg)
	if err != nil {
		return nil, err
	}
	s := &seenClients{labels: names.Labels, last: time.Now()}
	if s.table, err = newInventory(max(f.importFlags.clients, cfg.Fleet.Clients)); err != nil {
		return nil, usageError("%w", err)
	}
	var watched []store.Interval
	if len(f.captures) > 0 {
		if s.last, err = f.read(cmd, s.table, keys); err != nil {
			return nil, err
		}
		s.watched = uint32(s.last.Unix())
		_ = s.each(func(c *inventory.Client) { s.watched = min(s.watched, c.First) })
		return s, nil
	}
	if watched, err = f.fetch(cmd.ErrOrStderr(), cfg, s); err != nil {
		return nil, err
	}
	if f.site {
		if watched, err = f.fetchOthers(cfg, s); err != nil {
			return nil, err
		}
	}
	s.watched = watchedSince(watched, uint32(s.last.Unix()))
	return s, nil
}

// fetch fills the table from the daemon, or from its store where none answers: as
// of when that was watched last.
func (f *simulateFlags) fetch(told io.Writer, cfg *config.Config, s *seenClients) ([]store.Interval, error) {
	client, err := f.clientOf(cfg)
	if err != nil {
		return nil, err
	}
	watched, err := client.Export(context.Background(), func(r inventory.Stored) error {
		_, err := s.table.Restore(r.Key, r.Record)
		return err
	})
	if !errors.Is(err, control.ErrNoAnswer) || f.remote().URL != "" {
		return watched, err
	}
	path := filepath.Join(cfg.StateDir, fleet.StoreFile)
	_, watched, errStore := store.Read(path, s.table)
	if errStore != nil {
		return nil, fmt.Errorf("%w; and no store is in the state directory: %w; `--pcap FILE` takes the clients from a capture", err, errStore)
	}
	fmt.Fprintf(told, "note: no daemon answers; the clients are those of %s\n", path)
	if n := len(watched); n > 0 {
		s.last = time.Unix(int64(watched[n-1].End), 0)
	}
	return watched, nil
}

// fetchOthers asks the daemon for what the other gateways know, and returns when
// all of them watched.
func (f *simulateFlags) fetchOthers(cfg *config.Config, s *seenClients) (watched []store.Interval, err error) {
	client, err := f.clientOf(cfg)
	if err != nil {
		return nil, err
	}
	told, others, err := client.SiteFacts(context.Background(), s.last)
	if err != nil {
		return nil, err
	}
	s.others = others
	for _, w := range told.Watched {
		watched = append(watched, store.Interval{Start: w.Start, End: w.End})
	}
	return watched, nil
}

// watchedSince is since when there was no gap of more than an hour in watching,
// now if the last one ends there.
func watchedSince(list []store.Interval, now uint32) uint32 {
	for i := len(list) - 1; i >= 0; i-- {
		if now-min(now, list[i].End) > 3600 {
			break
		}
		now = list[i].Start
	}
	return now
}

// canaryKeyFile has the key that chooses canaries, in the state directory.
const canaryKeyFile = "fleet-canary.key"

// simulation puts the plan in force.
func (f *simulateFlags) simulation(args []string, cfg *config.Config, seen *seenClients) (*simulate.Simulation, error) {
	p, err := f.readPlan(args, cfg)
	if err != nil {
		return nil, err
	}
	policy := simulate.Policy{Plan: p, Stage: simulate.Targets, Groups: f.groups, Where: stage.Where{Labels: seen.labels,
		Autokey: map[netip.Prefix]string{}}, Gateway: f.gateway(cfg)}
	if f.stage != "" {
		var ok bool
		if policy.Stage, ok = plan.ParseStage(f.stage); !ok {
			return nil, usageError("--stage %q is none of observe, warn, canary, brown-out, refuse, removed", f.stage)
		}
	}
	// The daemon's key, where it can be read: then the clients are those that it
	// will choose.
	if policy.Key, err = os.ReadFile(filepath.Join(cfg.StateDir, canaryKeyFile)); err != nil {
		policy.Key = []byte("simulation")
	}
	_ = seen.each(func(c *inventory.Client) {
		if c.Group != "" && c.Prefix.IsValid() {
			policy.Where.Autokey[c.Prefix] = c.Group
		}
	})
	return simulate.New(policy, seen.each, uint32(seen.last.Unix()), seen.watched)
}

// readPlan reads the plan of the command line, of the configuration, or the
// declared one.
func (f *simulateFlags) readPlan(args []string, cfg *config.Config) (*plan.Plan, error) {
	name, text := cfg.Fleet.Plan, ""
	if len(args) > 0 {
		name = args[0]
	}
	if name != "" {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		text = string(b)
	} else {
		client, err := f.clientOf(cfg)
		if err != nil {
			return nil, err
		}
		declared, err := client.DeclaredPlan()
		if err != nil || declared == "" {
			return nil, usageError("which plan? Name a file, set fleet.plan in the configuration, or declare one (fleet apply)")
		}
		name, text = "the declared plan", declared
	}
	p, findings := plan.Parse(name, []byte(text))
	if err := findings.Err(); err != nil {
		return nil, fmt.Errorf("%s cannot be used; `ntsbridge fleet check` says why: %w", name, err)
	}
	return p, nil
}

// gateway is what the configuration serves; without one on the command line or in
// its usual place nothing is known of that.
func (f *simulateFlags) gateway(cfg *config.Config) simulate.Gateway {
	g := simulate.Gateway{Ours: f.ours()}
	if f.file == "" {
		return g
	}
	set := material.Load(cfg, material.Options{Now: time.Now()})
	g.Access = set.Access
	g.No = map[ntp.Kind]bool{ntp.KindAutokey: set.Autokey == nil, ntp.KindNTS: set.NTS == nil}
	if keys := set.Keys; keys != nil {
		g.HasKey = func(id uint32) bool { return keys.Lookup(id) != nil }
	}
	return g
}

// ours tells whether a reference identifier is an address of this host, or of the
// old server.
func (f *simulateFlags) ours() func(uint32) bool {
	ours := map[uint32]bool{}
	list, _ := net.InterfaceAddrs() // without, only --server is known
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			ours[ntp.ReferenceID(p.Addr())] = true
		}
	}
	for _, s := range f.servers {
		if a, err := netip.ParseAddr(s); err == nil {
			ours[ntp.ReferenceID(a)] = true
		}
	}
	return func(refid uint32) bool { return ours[refid] }
}

// writeKits writes a file for each program that clients in the way were seen
// with, and a list of which client gets which.
func (f *simulateFlags) writeKits(told io.Writer, rep *simulate.Report) error {
	if err := os.MkdirAll(f.kits, 0o755); err != nil {
		return err
	}
	opt := &kit.Options{Gateways: f.gateways, CA: f.ca}
	kits := map[string]*kit.Kit{}
	var list strings.Builder
	out := csv.NewWriter(&list)
	_ = out.Write([]string{"address", "label", "implementation", "loses", "file", "path", "advice"})
	n := 0
	rows := slices.Clone(rep.Rows)
	slices.SortStableFunc(rows, func(a, b simulate.Row) int { return cmp.Compare(a.Program, b.Program) })
	for i := range rows {
		r := &rows[i]
		if !r.InTheWay() {
			continue
		}
		k := kits[r.Program]
		if k == nil {
			var err error
			if k, err = kit.For(r.Program, opt); err != nil {
				return err
			}
			kits[r.Program] = k
		}
		n++
		_ = out.Write([]string{r.Address, r.Label, r.Program, strings.Join(r.LosesNamed(), ", "), k.File, k.Path, k.Advice})
	}
	out.Flush()
	files := 1
	for _, program := range slices.Sorted(maps.Keys(kits)) {
		if k := kits[program]; k.Text != nil {
			files++
			if err := writeFile(filepath.Join(f.kits, k.File), k.Text, 0o644); err != nil {
				return err
			}
		}
	}
	if err := writeFile(filepath.Join(f.kits, "clients.csv"), []byte(list.String()), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(told, "%s: %d files for %d clients in the way; clients.csv says which gets which\n", f.kits, files, n)
	return nil
}
