package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/plan"
)

func newFleetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "Move the site's clients to NTS by a declared plan, in small steps that end by themselves",
		Long: `Move the site's clients to NTS by a declared plan, in small steps that end by themselves.

A plan (YAML, in the site's version control) names groups of clients and says which stage each of
their legacy means is to reach: observe, warn, canary, brown-out, refuse, removed. ` + "`fleet check`" + `
says what is wrong with one, ` + "`fleet diff`" + ` what it would change, ` + "`fleet apply`" + ` declares it; that
alone refuses nobody. ` + "`fleet advance GROUP`" + ` takes the next step, if its gates are open:

  warn       who still uses the means is logged, and told (notify in the plan)
  canary     a few clients are refused for 10 of their polls, and watched for 12 more
  brown-out  all are, for the lengths of the plan, one after the other
  refuse     all are, from then on
  removed    key, group or Autokey itself may be deleted

Refusal is silence: whoever gets a kiss or a closed port may stay away for an hour, or for good.
NTS is never refused. A step in which more clients are hurt than the plan allows ends at once, and
its group is held until ` + "`fleet resume`" + `. A daemon that dies in a step comes back with the step ended.
Every step is in the history, with who took it and why.`,
		Args: cobra.NoArgs,
		// So that a command with a slip is told as such, and not its flags.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Usage()
			return usageError("a command is missing; `ntsbridge fleet status` tells where the groups stand")
		},
	}
	cmd.AddCommand(newFleetCheckCommand(), newFleetPlanCommand(migration.Diff), newFleetPlanCommand(migration.Apply),
		newFleetStatusCommand(), newFleetAdvanceCommand(), newFleetHoldCommand(), newFleetResumeCommand(), newFleetRollbackCommand(),
		newFleetHistoryCommand(), newFleetSimulateCommand(), newFleetReportCommand())
	return cmd
}

// fleetFlags are those of the commands that ask for something.
type fleetFlags struct {
	daemonFlags
	request migration.Request
	json    bool
}

func (f *fleetFlags) add(cmd *cobra.Command) {
	f.daemonFlags.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
}

func (f *fleetFlags) addReason(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.request.Reason, "reason", "", "`TEXT` for the history: why")
}

// ask asks the daemon and prints what was done.
func (f *fleetFlags) ask(out io.Writer) error {
	client, err := f.client()
	if err != nil {
		return err
	}
	a, err := client.AskFleet(&f.request)
	if err != nil {
		return err
	}
	return f.print(out, a)
}

func (f *fleetFlags) print(out io.Writer, a *migration.Answer) error {
	if f.json {
		return printJSON(out, a)
	}
	for _, e := range a.Findings {
		fmt.Fprintln(out, gradeOf(e.Wrong)+e.Text)
	}
	for _, c := range a.Changes {
		fmt.Fprintln(out, c)
	}
	if a.Done != "" {
		fmt.Fprintln(out, a.Done)
	}
	return nil
}

func gradeOf(wrong bool) string {
	if wrong {
		return "error: "
	}
	return "warning: "
}

// readPlan reads the plan of a command line: the file that it names, else
// fleet.plan of the configuration.
func (f *fleetFlags) readPlan(args []string) error {
	name := ""
	if len(args) > 0 {
		name = args[0]
	} else {
		cfg, err := f.load()
		if err != nil {
			return err
		}
		if name = cfg.Fleet.Plan; name == "" {
			return usageError("which plan? Name a FILE, or set fleet.plan in the configuration")
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f.request.Name, f.request.Plan = name, string(text)
	return nil
}

func newFleetCheckCommand() *cobra.Command {
	var f fleetFlags
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what is wrong with a plan, and what its steps can prove",
		Long: `Say what is wrong with a plan, with lines and remedies, and what its steps can prove: a window in
minutes is turned into polls, and where a daemon runs, it says about what share of each group's
clients the window can prove anything. Fewer than 10 unanswered polls prove nothing: no client
shows anything before 8. Without FILE the plan is fleet.plan of the configuration.`,
		Example: `  ntsbridge fleet check fleet.yaml
  ntsbridge fleet check --strict fleet.yaml     # status 3 if there is any finding`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.readPlan(args); err != nil {
				return err
			}
			f.request.Do = migration.Check
			a, err := f.check(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := f.print(cmd.OutOrStdout(), a); err != nil {
				return err
			}
			return verdict(f.request.Name, a.Findings, strict, cmd.OutOrStdout(), f.json)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "refuse a plan with warnings, too")
	return cmd
}

// check asks the daemon, and without one reads the plan itself.
func (f *fleetFlags) check(told io.Writer) (*migration.Answer, error) {
	client, err := f.client()
	var a *migration.Answer
	if err == nil {
		a, err = client.AskFleet(&f.request)
	}
	if err == nil {
		return a, nil
	}
	a = &migration.Answer{}
	p, findings := plan.Parse(f.request.Name, []byte(f.request.Plan))
	if cfg, err := f.load(); err == nil && p != nil {
		findings = append(findings, migration.CheckNotify(f.request.Name, p, migration.NoPrograms(cfg.Sandbox))...)
	}
	for _, e := range findings {
		a.Findings = append(a.Findings, migration.Finding{Text: e.String(), Wrong: e.Grade == plan.Wrong})
	}
	if !errors.Is(err, control.ErrNoAnswer) {
		fmt.Fprintln(told, "note:", err)
	}
	fmt.Fprintln(told, "note: no daemon was asked: about what share of the clients a step can prove something is not known")
	return a, nil
}

func verdict(name string, findings []migration.Finding, strict bool, out io.Writer, json bool) error {
	wrong := 0
	for _, e := range findings {
		if e.Wrong {
			wrong++
		}
	}
	switch {
	case wrong > 0:
		return fmt.Errorf("%s cannot be applied: %d errors", name, wrong)
	case strict && len(findings) > 0:
		return &statusError{exitFindings, fmt.Errorf("%s: %d warnings", name, len(findings))}
	case !json:
		fmt.Fprintf(out, "%s can be applied\n", name)
	}
	return nil
}

func newFleetPlanCommand(do string) *cobra.Command {
	var f fleetFlags
	f.request.Do = do
	cmd := &cobra.Command{
		Use:   "diff [FILE]",
		Short: "Say what a plan would change of the declared one",
		Long: `Say what a plan would change of the declared one, a line for each change: + new, - gone, ~ changed.
What may refuse somebody that was served before is marked. Nothing is changed.`,
		Example: `  ntsbridge fleet diff fleet.yaml`,
		Args:    cobra.MaximumNArgs(1),
	}
	if do == migration.Apply {
		cmd.Use, cmd.Short, cmd.Example = "apply [FILE]", "Declare a plan", `  ntsbridge fleet apply fleet.yaml --reason "change 4711"`
		cmd.Long = `Declare a plan. Its text is kept in the state directory: later changes of the file count only when
it is applied again. Nobody is refused by that alone; groups go on from the stage where they
stand, and are served again where the plan wants less. A group that refuses cannot get new
members by a plan, since they would be refused without a step, neither because it is wider nor
because a smaller group or a protection goes: put them into a group of their own, or --force
--reason. A step that is being tried goes on if its group stays as it is, and ends otherwise.`
		f.addReason(cmd)
		cmd.Flags().BoolVar(&f.request.Force, "force", false, "apply it although a group that refuses gets other members; needs --reason")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.request.Force && f.request.Reason == "" {
			return usageError("--force needs --reason, which the history keeps")
		}
		if err := f.readPlan(args); err != nil {
			return err
		}
		client, err := f.client()
		if err != nil {
			return err
		}
		a, err := client.AskFleet(&f.request)
		if err != nil {
			return err
		}
		if err := f.print(cmd.OutOrStdout(), a); err != nil {
			return err
		}
		for _, e := range a.Findings {
			if e.Wrong {
				return fmt.Errorf("%s cannot be applied; nothing was changed", f.request.Name)
			}
		}
		if len(a.Changes) == 0 && !f.json {
			fmt.Fprintln(cmd.OutOrStdout(), "no change")
		}
		return nil
	}
	f.add(cmd)
	return cmd
}

func newFleetStatusCommand() *cobra.Command {
	var f reportFlags
	var site bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell where each group stands, what runs, and what is in the way of the next step",
		Long: `Tell where each group stands by each legacy means, which step runs and until when, who was hurt, and
what is in the way of the next step: gates with their evidence, windows, dates. CLIENTS are those
that used the means lately and are not protected; REFUSED counts packets by the step in force.`,
		Example: `  ntsbridge fleet status --watch
  ntsbridge fleet status --site              # where it stands on each gateway
  ntsbridge fleet status --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return watch(f.watch, cmd.OutOrStdout(), func(out io.Writer) error {
				client, err := f.client()
				if err != nil {
					return err
				}
				if site {
					return printSite(out, client, f.json)
				}
				s, err := client.Fleet()
				switch {
				case err != nil:
					return err
				case f.json:
					return printJSON(out, s)
				}
				return s.WriteText(out)
			})
		},
	}
	f.daemonFlags.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&site, "site", false, "tell of all gateways of the site: who is here, and where each group stands there")
	addWatchFlag(cmd, &f.watch)
	return cmd
}

// printSite prints the gateways of the site.
func printSite(out io.Writer, client *control.Client, asJSON bool) error {
	s, err := client.Site()
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(out, s)
	}
	return control.WriteSite(out, s)
}

func newFleetAdvanceCommand() *cobra.Command {
	var f fleetFlags
	cmd := &cobra.Command{
		Use:   "advance GROUP",
		Short: "Take the next step of a group",
		Long: `Take the next step of a group, if its gates are open, a window is, and nothing is held. A step that
refuses ends by itself: after its length and 12 polls of watching, or at once when more clients
are hurt than the plan allows. A shut gate refuses the step; --force --reason takes it all the
same, and the history says so. Back-out is never forced away: raise back_out in the plan.`,
		Example: `  ntsbridge fleet advance frankfurt --means symmetric
  ntsbridge fleet advance lab --force --reason "three appliances that nobody can find, agreed in change 4711"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.request.Force && f.request.Reason == "" {
				return usageError("--force needs --reason, which the history keeps")
			}
			f.request.Do, f.request.Group = migration.Advance, args[0]
			return f.ask(cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	f.addReason(cmd)
	cmd.Flags().StringVar(&f.request.Means, "means", "", "`MEANS` to advance by: none, symmetric, autokey (needed if several have a next step)")
	cmd.Flags().BoolVar(&f.request.Force, "force", false, "take the step although a gate is shut; needs --reason")
	return cmd
}

func newFleetHoldCommand() *cobra.Command {
	var f fleetFlags
	cmd := &cobra.Command{
		Use:   "hold [GROUP]",
		Short: "End the steps that are being tried and let none begin, of a group or of all",
		Long: `End canaries and brown-outs that run, at once, and let no step begin, of a group or of all. What is
refused for good stays so: that is undone by ` + "`fleet rollback`" + `.`,
		Example: `  ntsbridge fleet hold frankfurt --reason "calls from the help desk"
  ntsbridge fleet hold                          # everything`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.request.Do, f.request.Group = migration.Hold, strings.Join(args, "")
			return f.ask(cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	f.addReason(cmd)
	return cmd
}

func newFleetResumeCommand() *cobra.Command {
	var f fleetFlags
	cmd := &cobra.Command{
		Use:   "resume [GROUP]",
		Short: "Let what was held go on",
		Long: `Let a group, or with no GROUP everything, go on after a hold, a rollback or a back-out. Nothing begins
by that, unless the plan says advance: automatic.`,
		Example: `  ntsbridge fleet resume frankfurt --reason "the printers were moved"
  ntsbridge fleet resume                        # everything`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.request.Do, f.request.Group = migration.Resume, strings.Join(args, "")
			return f.ask(cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	f.addReason(cmd)
	return cmd
}

func newFleetRollbackCommand() *cobra.Command {
	var f fleetFlags
	cmd := &cobra.Command{
		Use:   "rollback GROUP",
		Short: "Serve everybody of a group again, at once",
		Long: `Serve everybody of a group again, at once, by one means or by all, and hold it. After ` + "`fleet resume`" + ` it
begins again with the canary. This works with a full disk, too.`,
		Example: `  ntsbridge fleet rollback frankfurt --reason "a certificate that no printer trusts"
  ntsbridge fleet rollback frankfurt --means autokey`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.request.Do, f.request.Group = migration.Rollback, args[0]
			return f.ask(cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	f.addReason(cmd)
	cmd.Flags().StringVar(&f.request.Means, "means", "", "only this `MEANS`: none, symmetric, autokey (default all)")
	return cmd
}
