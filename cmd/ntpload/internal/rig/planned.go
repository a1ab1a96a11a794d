//go:build linux

package rig

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/steer"
)

// plannedPrefixes is how many prefixes the plan of a planned ntsbridge has.
const plannedPrefixes = 10_000

// planned is the state of a migration that refuses: ten thousand prefixes by one
// means, and the clients that ask by one that they do not use. So each request is
// looked up in a full table, finds a step of its address, and is answered.
func planned() ([]byte, error) {
	var b strings.Builder
	b.WriteString("groups:\n  - name: many\n    stages: {none: refuse}\n    prefixes:\n")
	for i := range plannedPrefixes {
		fmt.Fprintf(&b, "      - 11.%d.%d.0/24\n", i>>8, i&0xff)
	}
	fmt.Fprintf(&b, "  - {name: clients, prefixes: [%v], stages: {autokey: refuse}}\n", clients)
	s := steer.State{Version: 1, Plan: b.String(), PlanName: "fleet.yaml", LastStep: 2,
		Declared: steer.Declared{Time: time.Now().UTC(), Who: "ntpload"}}
	for i, of := range []struct {
		group string
		means plan.Means
	}{{"many", plan.None}, {"clients", plan.Autokey}} {
		stage := plan.Refuse.String()
		s.Places = append(s.Places, &steer.Place{Group: of.group, Means: of.means.String(), Stage: stage, Since: time.Now().UTC(),
			Stand: &steer.KeptStep{ID: uint32(i + 1), Stage: stage, Began: time.Now().UTC()}})
	}
	return json.Marshal(&s)
}
