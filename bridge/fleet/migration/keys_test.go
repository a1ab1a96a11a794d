package migration

import (
	"strings"
	"testing"

	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// A key may go when each group that names it, or whose clients use it, is
// removed, and nobody that the plan protects has it.
func TestKeyGate(t *testing.T) {
	const gates = "gates: {better_means: {share: 0}, watched: {days: 0}, another_server: false, nts_ke: {headroom: 0, certificate_days: 0}}\n"
	r := open(t, t.TempDir())
	r.means = []inventory.Means{{Kind: ntp.KindSymmetric, Key: 5, Proved: true, Answered: 3}}
	at := func() (bool, string) {
		g := r.ask(t, Request{Do: KeyGate, Key: 5}).Gates[0]
		return g.Open, g.Evidence
	}
	for _, x := range []struct {
		plan string
		open bool
		says string
	}{
		{"", true, "no plan is declared"},
		{"groups: [{name: lab, keys: [5], stages: {symmetric: removed}}]", false, "lab is in observe"},
		{"groups: [{name: lab, prefixes: [10.0.0.0/8], stages: {symmetric: removed}}]", false, "lab is in observe"},
		{"groups: [{name: lab, prefixes: [10.9.0.0/16], stages: {symmetric: removed}}]", true, "no group of the plan has it"},
		{"groups: [{name: lab, prefixes: [10.0.0.0/8], stages: {none: removed}}]", true, "no group of the plan has it"},
		{"protected: [10.0.0.1]\ngroups: [{name: lab, keys: [7], stages: {symmetric: removed}}]", false, "no group of the plan has it"},
	} {
		if x.plan != "" {
			r.ask(t, Request{Do: Apply, Name: "fleet.yaml", Plan: gates + x.plan})
		}
		if open, says := at(); open != x.open || !strings.HasPrefix(says, x.says) {
			t.Errorf("%s: open %v, %s", x.plan, open, says)
		}
	}
	// All the way: nobody asks by it any more, so each step passes at once.
	r.ask(t, Request{Do: Apply, Name: "fleet.yaml", Plan: gates + "groups: [{name: lab, keys: [5], stages: {symmetric: removed}}]"})
	r.means[0].Last = 1
	for open, says := at(); !open; open, says = at() {
		t.Log(says)
		r.ask(t, Request{Do: Advance, Group: "lab"})
	}
	if _, says := at(); says != "lab is in removed" {
		t.Error(says)
	}
	if _, err := r.Ask(r.now, "user 0", &Request{Do: KeyNote, Key: 5, What: history.Declared}); err == nil {
		t.Error("anything can be written into the history")
	}
}
