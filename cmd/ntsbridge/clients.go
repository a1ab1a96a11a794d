package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/control"
	fleetreport "ntsbridge/bridge/fleet/report"
)

// clientFlags are the flags that say which clients are wanted, and how they are
// printed.
type clientFlags struct {
	filter                         fleetreport.Filter
	keys                           []uint
	prefixes                       []string
	since, silent, first           string
	json, csv, ansible, likeChrony bool
	watch                          time.Duration
}

func (f *clientFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.filter.Kinds, "kind", nil, "only clients that used this `KIND`: none, symmetric, autokey, nts")
	flags.UintSliceVar(&f.keys, "key", nil, "only clients that used this symmetric key `ID`")
	flags.StringSliceVar(&f.prefixes, "prefix", nil, "only clients in this `PREFIX`, such as 192.0.2.0/24")
	flags.StringSliceVar(&f.filter.Labels, "label", nil, "only clients with this `OWNER` or site, or with this word in their note")
	flags.BoolVar(&f.filter.LegacyOnly, "legacy-only", false, "only clients that used something else than NTS")
	flags.StringVar(&f.since, "since", "", "only what was seen in the last `TIME`, such as 24h or 7d")
	flags.StringVar(&f.first, "first-within", "", "only clients that were first seen in the last `TIME`, such as 7d")
	flags.StringVar(&f.silent, "silent-for", "", "only clients that were not seen for this `TIME`")
	flags.StringVar(&f.filter.Sort, "sort", "",
		"order: "+strings.Join(fleetreport.Sorts, ", ")+"; with - in front the other way round (default address)")
	flags.IntVar(&f.filter.Limit, "limit", 0, "at most so many clients (default all)")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.csv, "csv", false, "print CSV, a line per client and means")
	flags.BoolVar(&f.ansible, "ansible", false, "print a dynamic inventory for Ansible, with groups by means, label and program")
	flags.BoolVar(&f.likeChrony, "chrony", false, "print the table of chronyc's clients")
}

// complete reads the flags that have a syntax.
func (f *clientFlags) complete() (err error) {
	for _, k := range f.keys {
		if k > 1<<32-1 {
			return usageError("--key %d: key identifiers go up to 4294967295", k)
		}
		f.filter.Keys = append(f.filter.Keys, uint32(k))
	}
	for _, s := range f.prefixes {
		p, err := netip.ParsePrefix(s)
		if a, errAddr := netip.ParseAddr(s); errAddr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return usageError("--prefix %q is no prefix such as 192.0.2.0/24", s)
		}
		f.filter.Prefixes = append(f.filter.Prefixes, p.Masked())
	}
	if f.filter.Since, err = parseSpan("--since", f.since); err != nil {
		return err
	}
	if f.filter.New, err = parseSpan("--first-within", f.first); err != nil {
		return err
	}
	if f.filter.SilentFor, err = parseSpan("--silent-for", f.silent); err != nil {
		return err
	}
	if err := f.filter.Check(); err != nil {
		return usageError("%w", err)
	}
	return nil
}

// format returns the one that the flags choose.
func (f *clientFlags) format() (string, error) {
	format, count := "table", 0
	for name, is := range map[string]bool{"json": f.json, "csv": f.csv, "ansible": f.ansible, "chrony": f.likeChrony} {
		if is {
			format = name
			count++
		}
	}
	if count > 1 {
		return "", usageError("of --json, --csv, --ansible and --chrony only one makes sense")
	}
	return format, nil
}

// parseSpan reads a time such as 90m, 24h or 7d; empty is 0.
func parseSpan(flag, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n < 1e5 {
			return time.Duration(n * 24 * float64(time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, usageError("%s %q is no time such as 90m, 24h or 7d", flag, s)
	}
	return d, nil
}

func newClientsCommand() *cobra.Command {
	var f clientFlags
	var daemon daemonFlags
	cmd := &cobra.Command{
		Use:   "clients [ADDRESS]",
		Short: "Print who asks for time, by which means, and what program it seems to be",
		Long: `Print who asks this server for time, by which means (none, a symmetric key, Autokey, NTS), when
each was used last, how often, what was refused and why, and what program it seems to be. A
client that has moved has two means: it is done when the old one stays silent. With ADDRESS,
print everything that is known of one.`,
		Example: `  ntsbridge clients --legacy-only --since 7d          # the list of hosts to work on next
  ntsbridge clients --key 5 --csv                     # who must change before key 5 goes
  ntsbridge clients --kind autokey --label payments
  ntsbridge clients --legacy-only --ansible > legacy.json
  ntsbridge clients 192.0.2.7`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.complete(); err != nil {
				return err
			}
			format, err := f.format()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if f.filter.Address, err = netip.ParseAddr(args[0]); err != nil {
					return usageError("%q is no address; --prefix takes networks, --label words", args[0])
				}
				if format == "table" {
					format = "detail"
				}
			}
			client, err := daemon.client()
			if err != nil {
				return err
			}
			return f.print(cmd, client, format)
		},
	}
	daemon.add(cmd)
	f.add(cmd)
	cmd.Flags().BoolVar(&f.filter.Resolve, "names", false, "ask DNS for host names (the daemon remembers them)")
	cmd.Flags().BoolVar(&f.filter.Site, "site", false, "of all gateways of the site; what others saw is known by the day")
	cmd.Flags().BoolVar(&f.filter.ByGateway, "by-gateway", false, "with --site, a column for each gateway: when it saw a means last")
	addWatchFlag(cmd, &f.watch)
	return cmd
}

// print prints the list once, or again and again.
func (f *clientFlags) print(cmd *cobra.Command, client *control.Client, format string) error {
	if f.watch > 0 && format != "table" && format != "detail" {
		return usageError("--watch is for the table")
	}
	return watch(f.watch, cmd.OutOrStdout(), func(out io.Writer) error { return f.once(context.Background(), client, format, out) })
}

func (f *clientFlags) once(ctx context.Context, client *control.Client, format string, out io.Writer) error {
	if format == "table" {
		summary := client.Summary
		if f.filter.Site {
			summary = client.SummarySite
		}
		s, err := summary("label")
		if err != nil {
			return err
		}
		if err := fleetreport.WriteSummary(out, s, false); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	counted := &countingWriter{Writer: out}
	if err := client.Clients(ctx, &f.filter, format, counted); err != nil {
		return err
	}
	if format == "detail" && counted.n == 0 {
		return fmt.Errorf("%v has not asked for time, or was forgotten (`ntsbridge summary` says if any were)", f.filter.Address)
	}
	return nil
}

type countingWriter struct {
	io.Writer
	n int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.n += len(p)
	return c.Writer.Write(p)
}

func newKeysCommand() *cobra.Command {
	var daemon daemonFlags
	var unused string
	var asJSON, site bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Print who uses which symmetric key and Autokey group",
		Long: `Print each symmetric key and Autokey group: how many clients use it, when it was used last, and
by which labels. Keys that clients asked for and that are not here are printed with who asked.
With --unused, print only keys that nobody used for a time.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			idle, err := parseSpan("--unused", unused)
			if err != nil {
				return err
			}
			client, err := daemon.client()
			if err != nil {
				return err
			}
			keys := client.Keys
			if site {
				keys = client.KeysSite
			}
			return watch(interval, cmd.OutOrStdout(), func(out io.Writer) error {
				list, err := keys()
				if err != nil {
					return err
				}
				if unused != "" {
					list = fleetreport.Unused(list, idle, time.Now())
				}
				if asJSON {
					if list == nil {
						list = []*fleetreport.Key{}
					}
					return printJSON(out, list)
				}
				return fleetreport.WriteKeys(out, list, time.Now())
			})
		},
	}
	addWatchFlag(cmd, &interval)
	daemon.add(cmd)
	cmd.Flags().BoolVar(&site, "site", false, "as all gateways of the site see them")
	cmd.Flags().StringVar(&unused, "unused", "", "only keys that nobody used for this `TIME`, such as 90d")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(newKeysAuditCommand(), newKeysRollCommand(), newKeysRetireCommand())
	return cmd
}

func newSummaryCommand() *cobra.Command {
	var daemon daemonFlags
	var by string
	var asJSON, site bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "summary",
		Short: "Print how many hosts use which means, and how that has changed",
		Long: `Print hosts by the best and by the worst means that they use, for all and for each label or
prefix, with the change since a day, a week and a month; and what limits the figures: time that
nobody watched, clients that were forgotten.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := daemon.client()
			if err != nil {
				return err
			}
			summary := client.Summary
			if site {
				summary = client.SummarySite
			}
			return watch(interval, cmd.OutOrStdout(), func(out io.Writer) error {
				s, err := summary(by)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(out, s)
				}
				return fleetreport.WriteSummary(out, s, true)
			})
		},
	}
	addWatchFlag(cmd, &interval)
	daemon.add(cmd)
	cmd.Flags().BoolVar(&site, "site", false, "of all gateways of the site")
	cmd.Flags().StringVar(&by, "by", "label", "group by label, or by prefixes of these lengths, such as 24,48")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
