package main

import (
	"bytes"
	"context"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/audit"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
)

func newFleetReportCommand() *cobra.Command {
	var f importFlags
	var asJSON, asCSV, ofSite bool
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write the report for the auditor: where each group stands, who is left, and by what evidence",
		Long: `Write the report for the auditor, as Markdown (or CSV, or JSON): for each group and legacy means where
it stands, who still uses it, when the last client left and by what evidence, and every step that
was taken, forced or backed out, by whom and why. "Left" is only said of time that the inventory
watched without a gap. The hash of the history's last line is in it: hold it against
` + "`fleet history --verify`" + `.`,
		Example: `  ntsbridge fleet report > migration.md
  ntsbridge fleet report --csv > migration.csv
  ntsbridge fleet report --site              # of all gateways, with what each did`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON && asCSV {
				return usageError("of --json and --csv only one makes sense")
			}
			cfg, err := f.load()
			if err != nil {
				return err
			}
			r, err := f.report(cfg, ofSite)
			if err != nil {
				return err
			}
			switch out := cmd.OutOrStdout(); {
			case asJSON:
				return printJSON(out, r)
			case asCSV:
				return r.WriteCSV(out)
			default:
				return r.WriteMarkdown(out)
			}
		},
	}
	f.daemonFlags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print CSV, a line per group and means")
	cmd.Flags().BoolVar(&ofSite, "site", false, "of all gateways of the site: their clients, steps and history; in CSV a column for each")
	return cmd
}

// report asks the daemon for all that the report is made from.
func (f *importFlags) report(cfg *config.Config, ofSite bool) (*audit.Report, error) {
	client, err := f.clientOf(cfg)
	if err != nil {
		return nil, err
	}
	names, _, err := f.names(cfg)
	if err != nil {
		return nil, err
	}
	table, err := newInventory(cfg.Fleet.Clients)
	if err != nil {
		return nil, err
	}
	watched, err := client.Export(context.Background(), func(s inventory.Stored) error {
		_, err := table.Restore(s.Key, s.Record)
		return err
	})
	if err != nil {
		return nil, err
	}
	facts := &audit.Facts{Now: time.Now(), Watched: intervals(watched)}
	summary, err := client.Summary("label")
	if err != nil {
		return nil, err
	}
	facts.Full = summary.Full
	if facts.Status, err = client.FleetBrief(); err != nil {
		return nil, err
	}
	seen := &seenClients{table: table, last: facts.Now}
	if ofSite {
		if err := seen.ofSite(client, facts); err != nil {
			return nil, err
		}
	}
	where := stage.Where{Labels: names.Labels, Autokey: map[netip.Prefix]string{}}
	_ = seen.each(func(c *inventory.Client) {
		if c.Group != "" && c.Prefix.IsValid() {
			where.Autokey[c.Prefix] = c.Group
		}
	})
	text, err := client.DeclaredPlan()
	if err != nil {
		return nil, err
	}
	if text != "" {
		p, findings := plan.Parse("the declared plan", []byte(text))
		if err := findings.Err(); err != nil {
			return nil, err
		}
		facts.Resolver = stage.NewResolver(p, where)
	}
	return f.audited(client, audit.New(facts), seen)
}

// audited puts clients and history into a report. A broken history is a line of
// it.
func (f *importFlags) audited(client *control.Client, b *audit.Builder, seen *seenClients) (*audit.Report, error) {
	if err := seen.each(b.Add); err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	read := client.FleetHistory
	if seen.others != nil {
		read = client.SiteHistory
	}
	if err := read(context.Background(), &lines); err != nil {
		return nil, err
	}
	end, broken := history.Verify(&lines, func(e *history.Entry) error { b.Entry(e); return nil })
	return b.Report(end, broken), nil
}

// ofSite takes in what the other gateways of the site told.
func (s *seenClients) ofSite(client *control.Client, facts *audit.Facts) error {
	told, others, err := client.SiteFacts(context.Background(), s.last)
	if err != nil {
		return err
	}
	s.others = others
	facts.Watched, facts.Notes = told.Watched, told.Notes
	facts.Gateways = append([]string{told.Self}, told.Gateways...)
	facts.Full.Forgotten += told.Forgotten
	facts.Full.LastForgotten = max(facts.Full.LastForgotten, told.Last)
	for _, x := range told.Stands {
		facts.Stands = append(facts.Stands, audit.Stand{Gateway: x.Gateway, Group: x.Group, Means: x.Means, Stage: x.Stage})
	}
	return nil
}
