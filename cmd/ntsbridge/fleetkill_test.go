package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/steer"
)

// killPlans are two plans of the same groups: of lab nobody asks, so that each of
// its steps is passed at once; of offices one client does, so that its canary runs
// until something ends it.
var killPlans = []string{
	labGates + "groups:\n  - {name: lab, prefixes: [10.0.0.0/8], stages: {none: removed}}\n  - {name: offices, prefixes: [127.0.0.11], stages: {none: refuse}}\n",
	labGates + "protected: [192.0.2.1]\ngroups:\n  - {name: lab, prefixes: [10.0.0.0/8], stages: {none: refuse}}\n" +
		"  - {name: offices, prefixes: [127.0.0.11], stages: {none: canary}}\n",
}

// address is where the daemon serves.
func (s *steered) address() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "site.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `listen: ["`)
	address, _, _ := strings.Cut(rest, `"`)
	return address
}

// answered asks the daemon from an address of the offices.
func answered(address string) bool {
	to, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		return false
	}
	c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 11)}, to)
	if err != nil {
		return false
	}
	defer c.Close()
	request := make([]byte, 48)
	request[0] = 4<<3 | 3
	if _, err := c.Write(request); err != nil {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, err = c.Read(request)
	return err == nil
}

func (s *steered) client() *control.Client {
	return control.NewClient(filepath.Join(s.dir, "run", "control.sock"))
}

// status is the migration as the daemon has it, by group.
func (s *steered) status() (map[string]*steer.PlaceStatus, *steer.Status) {
	s.t.Helper()
	st, err := s.client().Fleet()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.log())
	}
	places := map[string]*steer.PlaceStatus{}
	for i := range st.Places {
		places[st.Places[i].Group] = &st.Places[i]
	}
	return places, st
}

// something is a request that changes the policy.
func something(r *rand.Rand) *migration.Request {
	group := []string{"lab", "offices"}[r.IntN(2)]
	switch r.IntN(8) {
	case 0, 1:
		return &migration.Request{Do: migration.Apply, Name: "fleet.yaml", Plan: killPlans[r.IntN(2)]}
	case 2:
		return &migration.Request{Do: migration.Rollback, Group: group}
	case 3:
		return &migration.Request{Do: migration.Hold, Group: group}
	case 4:
		return &migration.Request{Do: migration.Resume, Group: group}
	}
	return &migration.Request{Do: migration.Advance, Group: group}
}

// At random points of declarations, steps, their begins and rollbacks the daemon
// is killed. The next start refuses nobody whom neither the policy of before nor
// the one that was asked for refused; what was answered as done is done; and the
// history is whole, and has each step that refuses.
func TestFleetKills(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 8
	}
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s=%s: want a number", killsVariable, text)
		}
	}
	r := rand.New(rand.NewPCG(4, uint64(kills)))
	s := newSteered(t, "log: {level: warn}\n")
	s.start()
	if _, err := s.client().AskFleet(&migration.Request{Do: migration.Apply, Name: "fleet.yaml", Plan: killPlans[0]}); err != nil {
		t.Fatal(err)
	}
	for !answered(s.address()) {
	}
	for i := range kills {
		for range r.IntN(4) { // to be somewhere
			q := something(r)
			_, _ = s.client().AskFleet(q)
		}
		before, _ := s.status()
		q := something(r)
		done := make(chan error, 1)
		go func() {
			_, err := s.client().AskFleet(q)
			done <- err
		}()
		time.Sleep(time.Duration(r.Int64N(int64(8 * time.Millisecond))))
		s.kill()
		err := <-done
		s.start()
		what := fmt.Sprintf("kill %d in %s %s: %v", i, q.Do, q.Group, err)
		s.recovered(what, before, q, err)
		if t.Failed() {
			t.FailNow()
		}
	}
}

// recovered compares the policy after a start with that of before a request.
func (s *steered) recovered(what string, before map[string]*steer.PlaceStatus, q *migration.Request, err error) {
	s.t.Helper()
	after, status := s.status()
	if status.Plan == "" || len(status.Problems) > 0 {
		s.t.Errorf("%s: plan %q, %v", what, status.Plan, status.Problems)
	}
	steps := s.begun(what)
	for name, a := range after {
		b := before[name]
		advancing := q.Do == migration.Advance && q.Group == name
		switch {
		case a.Running != nil:
			s.t.Errorf("%s: %s runs on", what, name)
		case a.Refuses > 0 && !steps[a.Refuses]:
			s.t.Errorf("%s: %s is refused by step %d, and the history has none", what, name, a.Refuses)
		case a.Refuses > 0 && (b.Refuses == 0 || b.Running != nil) && !advancing:
			s.t.Errorf("%s: %s is refused, and was not", what, name)
		case err == nil && advancing && name == "lab" && a.Stage == b.Stage && a.Round == b.Round:
			s.t.Errorf("%s: the step of %s was told as done, and is not", what, name)
		case err == nil && q.Do == migration.Rollback && q.Group == name && a.Refuses > 0:
			s.t.Errorf("%s: the rollback of %s was told as done, and is not", what, name)
		}
	}
	if a := after["offices"]; a != nil && a.Refuses == 0 && !s.answersInTime() {
		s.t.Errorf("%s: offices are refused by nothing, and not answered: %+v\n%s", what, status.Places, s.log())
	}
}

// answersInTime waits until the daemon answers the offices: its control socket may
// be there before its port.
func (s *steered) answersInTime() bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if answered(s.address()) {
			return true
		}
	}
	return false
}

// begun verifies the history and returns the steps that it has.
func (s *steered) begun(what string) map[uint32]bool {
	s.t.Helper()
	steps := map[uint32]bool{}
	f, err := os.Open(filepath.Join(s.dir, "state", migration.HistoryFile))
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	defer f.Close()
	if _, err := history.Verify(f, func(e *history.Entry) error {
		if e.What == history.Began {
			steps[e.Step] = true
		}
		return nil
	}); err != nil {
		s.t.Errorf("%s: %v", what, err)
	}
	if broken, _ := filepath.Glob(filepath.Join(s.dir, "state", "*.broken-*")); len(broken) > 0 {
		s.t.Errorf("%s: %v", what, broken)
	}
	if damaged, _ := filepath.Glob(filepath.Join(s.dir, "state", "*.damaged-*")); len(damaged) > 0 {
		s.t.Errorf("%s: %v", what, damaged)
	}
	return steps
}

// On a full disk no step begins, no plan is declared, and nothing is half done; a
// rollback serves everybody all the same, also over a kill.
func TestFleetOnFullDisk(t *testing.T) {
	d := newSmallDisk(t)
	d.victim.write("info")
	text, err := os.ReadFile(d.file())
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "fleet: {privacy: {addresses: hash}}", "fleet: {privacy: {addresses: full}}", 1))
	if err := errors.Join(os.WriteFile(d.file(), text, 0o600), os.WriteFile(filepath.Join(d.dir, "a.yaml"), []byte(killPlans[0]), 0o600),
		os.WriteFile(filepath.Join(d.dir, "b.yaml"), []byte(killPlans[1]), 0o600)); err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(d.dir, "a.yaml"), filepath.Join(d.dir, "b.yaml")
	address := fmt.Sprintf("127.0.0.1:%d", d.port)
	fleet := func(ok bool, args ...string) string {
		t.Helper()
		cmd := d.command(append([]string{"fleet"}, args...)...)
		cmd.Args = cmd.Args[:len(cmd.Args)-4] // --state-dir is the daemon's
		cmd.Args = append(cmd.Args, "--run-dir", filepath.Join(d.dir, "run"))
		out, err := cmd.CombinedOutput()
		if (err == nil) != ok {
			t.Errorf("fleet %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	place := func() (steer.PlaceStatus, []string) {
		t.Helper()
		var s steer.Status
		if err := json.Unmarshal([]byte(fleet(true, "status", "--json")), &s); err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Places {
			if p.Group == "offices" {
				return p, s.Problems
			}
		}
		t.Fatalf("%+v", s)
		return steer.PlaceStatus{}, nil
	}
	d.start()
	d.serves("a first start")
	for !answered(address) {
	}
	fleet(true, "apply", a)
	fleet(true, "advance", "offices")
	d.fill()
	if out := fleet(false, "advance", "offices"); !strings.Contains(out, "no space left") {
		t.Errorf("%s", out)
	}
	if p, _ := place(); p.Stage != "warn" || p.Refuses != 0 || p.Running != nil || !answered(address) {
		t.Errorf("on a full disk: %+v", p)
	}
	if out := fleet(false, "apply", b); !strings.Contains(out, "no space left") {
		t.Errorf("%s", out)
	}
	if out := fleet(true, "diff", a); !strings.Contains(out, "no change") {
		t.Errorf("a plan was declared on a full disk: %s", out)
	}
	d.empty()
	fleet(true, "advance", "offices")
	if p, _ := place(); p.Running == nil || answered(address) {
		t.Errorf("a canary: %+v", p)
	}
	d.fill()
	out := fleet(false, "rollback", "offices") // it says that it could not be written
	if p, problems := place(); p.Refuses != 0 || !answered(address) || len(problems) == 0 {
		t.Errorf("rolled back on a full disk: %s\n%+v, %v", out, p, problems)
	}
	d.kill()
	d.start()
	d.serves("a kill on a full disk")
	if !answered(address) {
		t.Error("after a kill the offices are refused")
	}
	d.empty()
	fleet(true, "history", "--verify")
}
