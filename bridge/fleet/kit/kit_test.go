package kit

import (
	"strings"
	"testing"

	"ntsbridge/bridge/convert"
	"ntsbridge/bridge/fleet/inventory"
)

var options = Options{Gateways: []string{"gw1.example.net", "gw2.example.net"}, CA: "/etc/ssl/site.pem"}

func TestEveryProgramHasAKit(t *testing.T) {
	files := map[string]string{}
	for program := range targets {
		k, err := For(program, &options)
		if err != nil {
			t.Fatal(err)
		}
		if k.Advice == "" || strings.Contains(k.Advice, "%!") || strings.Contains(k.Advice, "%s") {
			t.Errorf("%q: advice %q", program, k.Advice)
		}
		if k.Format == "" {
			if k.Text != nil {
				t.Errorf("%q: a text for no daemon", program)
			}
			continue
		}
		if other, ok := files[k.File]; ok || k.File == "" {
			t.Errorf("%q and %q have the same file %q", program, other, k.File)
		}
		files[k.File] = program
		for _, want := range []string{"gw1.example.net", "gw2.example.net", "/etc/ssl/site.pem", "nts"} {
			if !strings.Contains(string(k.Text), want) {
				t.Errorf("%q lacks %q:\n%s", program, want, k.Text)
			}
		}
		if strings.Contains(string(k.Text), "invalid") {
			t.Errorf("%q has the old source:\n%s", program, k.Text)
		}
	}
}

// TestKitsAreRead gives the kits of chrony and ntpsec back to the readers of
// these formats.
func TestKitsAreRead(t *testing.T) {
	for program, dialect := range map[string]string{inventory.Chrony: "chrony", inventory.Ntpsec: "ntpsec", inventory.Ntpd: "ntpsec"} {
		k, err := For(program, &options)
		if err != nil {
			t.Fatal(err)
		}
		r := convert.Convert(convert.Input{Name: k.File, Data: k.Text, Path: k.Path}, convert.Options{Dialect: dialect})
		if r.Config == nil || len(r.Config.Sources) != 2 {
			t.Fatalf("%s is not read back with two sources:\n%s", k.File, k.Text)
		}
		for _, s := range r.Config.Sources {
			if s.Auth.String() != "nts" {
				t.Errorf("%s: %s is followed by %v", k.File, s.Server, s.Auth)
			}
		}
	}
}

func TestNoGateway(t *testing.T) {
	if _, err := For(inventory.Chrony, &Options{}); err == nil || !strings.Contains(err.Error(), "gateway") {
		t.Errorf("%v", err)
	}
}

func TestUnknownProgram(t *testing.T) {
	k, err := For("quartz 1.0", &options)
	if err != nil || k.Format != "" || !strings.Contains(k.Advice, "not known") {
		t.Errorf("%+v, %v", k, err)
	}
}
