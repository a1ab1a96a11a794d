package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// usageStatus runs a command line in this process and returns its exit status.
func usageStatus(args ...string) (int, error) {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	_, err := root.ExecuteC()
	if err == nil {
		return 0, nil
	}
	return exitStatus(err), err
}

// everyCommand visits all commands with the words that call them.
func everyCommand(c *cobra.Command, words []string, visit func(*cobra.Command, []string)) {
	for _, below := range c.Commands() {
		path := append(words[:len(words):len(words)], below.Name())
		visit(below, path)
		everyCommand(below, path, visit)
	}
}

// Wrong usage has one exit status: an unknown command, flag or argument of
// every command. keygen has ntp-keygen's, which is 1.
func TestWrongUsage(t *testing.T) {
	root := newRootCommand()
	wrong := func(args ...string) {
		t.Helper()
		want := 2
		if args[0] == "keygen" {
			want = keygenUsage
		}
		if status, err := usageStatus(args...); status != want {
			t.Errorf("%q: status %d, %v", args, status, err)
		}
	}
	wrong("no-such")
	wrong("--no-such")
	many := map[string]bool{"query": true, "certificate make": true, "certificate renew": true} // take any number of names
	everyCommand(root, nil, func(c *cobra.Command, path []string) {
		if path[0] != "help" {
			wrong(append(path, "--no-such")...)
		}
		if c.HasSubCommands() {
			wrong(append(path, "no-such")...)
			wrong(append([]string{"help"}, append(path, "no-such")...)...)
		}
		if !many[strings.Join(path, " ")] {
			wrong(append(path, strings.Fields("1 2 3 4 5 6 7 8 9")...)...)
		}
	})
	if status, err := usageStatus("help", "fleet", "check"); status != 0 {
		t.Errorf("help of what there is: status %d, %v", status, err)
	}
}

// What reads repeats itself with --watch, and has --json.
func TestReadersWatch(t *testing.T) {
	root := newRootCommand()
	for _, line := range []string{"status", "tracking", "sources", "sourcestats", "selectdata", "authdata", "serverstats", "nts", "clients",
		"keys", "summary", "fleet status"} {
		c, rest, err := root.Find(strings.Fields(line))
		if err != nil || len(rest) > 0 {
			t.Errorf("%s: %v", line, err)
			continue
		}
		for _, flag := range []string{"watch", "json"} {
			if c.Flags().Lookup(flag) == nil {
				t.Errorf("%s has no --%s", line, flag)
			}
		}
	}
	pages := 0
	var out bytes.Buffer
	ended := errors.New("the third")
	err := watch(1, &out, func(w io.Writer) error {
		if pages++; pages == 3 {
			return ended
		}
		_, err := io.WriteString(w, "page\n")
		return err
	})
	if !errors.Is(err, ended) || out.String() != "page\npage\n" {
		t.Errorf("%v after %q", err, out.String())
	}
}
