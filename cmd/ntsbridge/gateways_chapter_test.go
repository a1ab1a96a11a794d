package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/site"
)

// The configurations of the chapter on several gateways are valid, its keys are
// keys, and its commands and flags are there.
func TestGatewaysChapter(t *testing.T) {
	text, err := os.ReadFile("../../configs/GATEWAYS.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 2 {
		t.Fatal("no configurations")
	}
	for _, b := range blocks {
		c, err := config.Parse("GATEWAYS.md", "/etc", []byte(b[1]))
		if err != nil {
			t.Errorf("%v\n%s", err, b[1])
			continue
		}
		for _, g := range c.Fleet.Etcd.Gateways {
			if _, err := site.ParseKey(g.Key); err != nil && g.Key != "" {
				t.Errorf("%s: %v", g.Key, err)
			}
		}
	}
	commands := regexp.MustCompile("(?m)(?:`|^ {4})ntsbridge ((?:[a-z]+ ?)+)((?: --[a-z-]+)*)").FindAllStringSubmatch(string(text), -1)
	for _, m := range commands {
		cmd, _, err := newRootCommand().Find(strings.Fields(m[1]))
		if err != nil || cmd.Name() == "ntsbridge" {
			t.Errorf("%q: %v", m[0], err)
			continue
		}
		for _, flag := range strings.Fields(m[2]) {
			if cmd.Flags().Lookup(strings.TrimPrefix(flag, "--")) == nil {
				t.Errorf("%q has no %s", m[0], flag)
			}
		}
	}
}
