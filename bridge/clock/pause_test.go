package clock_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
)

// toldPause is a sign that shows what a test did.
type toldPause struct{ lost float64 }

func (p *toldPause) Pause(int64) (lost float64) { lost, p.lost = p.lost, 0; return lost }
func (p *toldPause) String() string             { return "the test" }

// A pause that all clocks of the machine sleep through is believed as soon as a
// sign shows it: nothing is synchronised, all sources are asked at once, and
// even one alone is followed as fast as at the start.
func TestPauseThatNoClockShows(t *testing.T) {
	for _, sources := range []int{1, 3} {
		w := newWorld(t, sources)
		w.config.Discipline.StartSlew = 0.08333
		sign := &toldPause{}
		w.config.Pauses = []clock.PauseSign{sign}
		w.after(20*time.Minute+200*time.Millisecond, func() {
			w.stand(3 * time.Second)
			sign.lost = 3
			w.honest = false // until the next tick nobody can know
		})
		w.after(20*time.Minute+5*time.Second, func() { w.honest = true })
		right := 0
		w.after(22*time.Minute, func() {
			if e := w.wrong(); e < 1e-3 && e > -1e-3 {
				right++
			}
		})
		w.must(30 * time.Minute)
		w.wantWithin(50e-6)
		w.wantLogged("the test")
		if w.doubts != 1 || right != 1 || len(w.steps) > 0 {
			t.Errorf("%d sources: asked at once %d times, right after 2 minutes %d, steps %v", sources, w.doubts, right, w.steps)
		}
	}
}

// What a machine shows of itself is read from the files of its kernel.
func TestPauseSigns(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stat := func(ticks, processors int) {
		text := fmt.Sprintf("cpu  1630772 499224 488089 539231 4002 0 14434 %d 0 0\n", ticks)
		for i := range processors {
			text += fmt.Sprintf("cpu%d 1 2 3 4 5 6 7 %d 0 0\n", i, ticks/processors)
		}
		write("proc/stat", text+"intr 1 2 3\n")
	}
	marker := func(count uint32, marker uint64) {
		b := binary.LittleEndian.AppendUint32(nil, 0x4b4c4356)
		b = append(b, make([]byte, 8)...)
		b = binary.LittleEndian.AppendUint32(b, count)
		write("dev/vmclock0", string(binary.LittleEndian.AppendUint64(b, marker))+"more")
	}
	if signs := clock.PauseSignsOf(root); len(signs) != 0 {
		t.Errorf("signs of nothing: %v", signs)
	}
	stat(17561, 2)
	marker(2, 7)
	signs := map[string]clock.PauseSign{}
	for _, s := range clock.PauseSignsOf(root) {
		signs[s.String()] = s
	}
	stolen, moved := signs["steal time"], signs["vmclock"]
	if len(signs) != 2 || stolen == nil || moved == nil {
		t.Fatalf("signs %v", signs)
	}
	at := int64(0)
	look := func(what string, s clock.PauseSign, want float64) {
		t.Helper()
		if at += 1e9; s.Pause(at) != want {
			t.Errorf("%s: not %v", what, want)
		}
	}
	look("begin", stolen, 0)
	stat(17561+150, 2)
	look("a busy host", stolen, 0) // 0.75 s of 1 s
	stat(17561+150+800, 2)
	look("a pause", stolen, 3) // 4 s of 1 s
	stat(17561+150+800, 1)
	look("a processor was taken away", stolen, 0)
	look("nothing", stolen, 0)
	write("proc/stat", "cpu 1 2\n")
	look("no steal time", stolen, 0)

	look("begin", moved, 0)
	marker(3, 8)
	look("while the host writes", moved, 0)
	marker(4, 8)
	look("moved", moved, 1)
	look("nothing", moved, 0)
	write("dev/vmclock0", "something else that is long enough")
	look("no vmclock", moved, 0)
}

// This machine's signs do not cry wolf, whatever they are.
func TestPauseSignsOfThisMachine(t *testing.T) {
	for _, s := range clock.PauseSigns() {
		raw := time.Now().UnixNano()
		if by := s.Pause(raw); by != 0 {
			t.Errorf("%v: %v s at the first look", s, by)
		}
	}
}
