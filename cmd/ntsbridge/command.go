package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"ntsbridge/bridge/control"
)

// newCommands are what can be told to the running daemon, by chronyc's words.
func newCommands() []*cobra.Command {
	return []*cobra.Command{
		tell("online [SOURCE]", "Ask a source again, or all",
			"Let the running daemon ask a source again that was taken offline, or all of them.",
			cobra.MaximumNArgs(1), func(c *control.Command, args []string) error { c.Name = control.CommandOnline; return about(c, args) }),
		tell("offline [SOURCE]", "Do not ask a source any more, or all",
			"Make the running daemon not ask a source, or any, until it is online again or the daemon\nstarts anew. SOURCE is its name in the configuration, or its address.",
			cobra.MaximumNArgs(1), func(c *control.Command, args []string) error {
				c.Name = control.CommandOffline
				return about(c,
					args)
			}),
		tell("burst GOOD/MAX [SOURCE]", "Ask a source several times now, or all",
			"Make the running daemon ask up to MAX times, 2 s apart, until GOOD samples came.",
			cobra.RangeArgs(1, 2), burst),
		tell("refresh", "Look up the names of sources again",
			"Let the running daemon look up the names of its sources, and leave addresses that they do not\nhave any more.",
			cobra.NoArgs, func(c *control.Command, _ []string) error { c.Name = control.CommandRefresh; return nil }),
		tell("add SOURCE [OPTION=VALUE]...", "Add a source",
			"Add a source to the running daemon until its next reload or restart. The options are those of\nsources[] in the configuration, as in: ntsbridge add ntp.example.net iburst=true auth=nts",
			cobra.MinimumNArgs(1), add),
		tell("delete SOURCE", "Delete a source",
			"Delete a source from the running daemon until its next reload or restart. SOURCE is its name in\nthe configuration.",
			cobra.ExactArgs(1), func(c *control.Command, args []string) error { c.Name = control.CommandDelete; return about(c, args) }),
		tell("settime TIME", "Set the clock by hand",
			"Let the running daemon set the clock, while it follows no source. TIME is as in\n2006-01-02T15:04:05Z or, in local time, 2006-01-02 15:04:05.",
			cobra.RangeArgs(1, 2), setTime),
	}
}

// tell is a command that tells the daemon what read makes of its arguments.
func tell(use, short, long string, args cobra.PositionalArgs, read func(*control.Command, []string) error) *cobra.Command {
	var f daemonFlags
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		Long: long + "\nThe owner and the group of the control socket may do this; it is written to the log.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var c control.Command
			if err := read(&c, args); err != nil {
				return usageError("%w", err)
			}
			client, err := f.client()
			if err != nil {
				return err
			}
			done, err := client.Do(&c)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "200 OK: %s\n", done)
			return err
		},
	}
	f.add(cmd)
	return cmd
}

func about(c *control.Command, args []string) error {
	if len(args) > 0 {
		c.Source = args[0]
	}
	return nil
}

func burst(c *control.Command, args []string) error {
	c.Name = control.CommandBurst
	good, most, ok := strings.Cut(args[0], "/")
	var err, err2 error
	c.Good, err = strconv.Atoi(good)
	c.Max, err2 = strconv.Atoi(most)
	if !ok || err != nil || err2 != nil {
		return fmt.Errorf("%q is no GOOD/MAX, such as 4/8", args[0])
	}
	return about(c, args[1:])
}

func add(c *control.Command, args []string) error {
	c.Name, c.Source, c.Options = control.CommandAdd, args[0], map[string]any{}
	for _, a := range args[1:] {
		name, text, ok := strings.Cut(a, "=")
		if !ok {
			return fmt.Errorf("%q is no OPTION=VALUE, such as iburst=true", a)
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
		c.Options[name] = value
	}
	return nil
}

func setTime(c *control.Command, args []string) (err error) {
	c.Name = control.CommandSetTime
	text := strings.Join(args, " ")
	if c.Time, err = time.Parse(time.RFC3339Nano, text); err == nil {
		return nil
	}
	if c.Time, err = time.ParseInLocation("2006-01-02 15:04:05", text, time.Local); err != nil {
		return fmt.Errorf("%q is no time, such as 2006-01-02T15:04:05Z", text)
	}
	return nil
}
