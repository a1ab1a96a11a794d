package discipline

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestPanicAfterSynchronisation(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.run(300)
	r.synchronised(t, true)
	r.servers[0].offset = 5000
	r.run(600)
	if len(r.steps) > 0 || math.Abs(r.system) > 1 {
		t.Errorf("steps %v, error %v: an offset beyond the panic threshold was applied", r.steps, r.system)
	}
	if r.count(EventPanic) != 1 {
		t.Errorf("%d panics reported, want 1", r.count(EventPanic))
	}
	r.synchronised(t, false)
	r.servers[0].offset = 0
	r.run(600)
	r.synchronised(t, true)
}

func TestPanicAtStart(t *testing.T) {
	for _, once := range []bool{false, true} {
		c := DefaultConfig()
		c.PanicOnce = once
		r := newRig(t, c, poll4)
		r.system = 1e6
		r.run(100)
		if stepped := len(r.steps) > 0; stepped != once {
			t.Errorf("allowed once: %v, stepped: %v", once, stepped)
		}
		r.synchronised(t, once)
	}
}

func TestStepOnlyAtStart(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.system = -30
	r.run(2)
	if len(r.steps) != 1 || math.Abs(r.steps[0]-30) > 2e-3 {
		t.Fatalf("steps %v, want one of 30 s", r.steps)
	}
	r.run(300)
	r.servers[0].offset = 3
	r.run(3000)
	if len(r.steps) != 1 {
		t.Errorf("steps %v: a later offset must be slewed", r.steps)
	}
	if math.Abs(r.system) < 0.1 {
		t.Errorf("error %v: the offset is not even slewed", r.system)
	}
}

func TestStepIsAnnounced(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.system = 10
	for len(r.steps) == 0 && r.now < 60e9 {
		r.run(1)
	}
	r.synchronised(t, false) // until another sample confirms it
	r.run(60)
	r.synchronised(t, true)
	r.honest(t)
}

// A step later needs permission, time, samples, and a second source where
// three are configured.
func TestStepAnyTime(t *testing.T) {
	c := DefaultConfig()
	c.StepAnyTime = true
	r := newRig(t, c, poll4, poll4, poll4)
	r.run(600)
	for _, s := range r.servers {
		s.offset = 5
	}
	r.run(250)
	if len(r.steps) > 0 {
		t.Fatalf("stepped after less than %v s", c.StepOut)
	}
	r.run(400)
	if len(r.steps) != 1 || math.Abs(r.system-5) > 0.1 {
		t.Errorf("steps %v, error %v: want one step to 5", r.steps, r.system)
	}
}

// Where three sources are followed the word of one is not enough, however often
// it is heard while the others say nothing yet.
func TestStepNeedsWitnesses(t *testing.T) {
	c := DefaultConfig()
	c.StepAnyTime, c.StepOut = true, 40
	often, rarely := SourceConfig{MinPoll: 3, MaxPoll: 3}, SourceConfig{MinPoll: 9, MaxPoll: 9}
	r := newRig(t, c, often, rarely, rarely)
	r.run(4000)
	r.pause(5)
	for _, s := range r.servers {
		s.next = max(s.next, r.now+400e9)
	}
	r.servers[0].next = r.now + 1e9
	r.run(300)
	if len(r.steps) > 0 {
		t.Errorf("steps %v on the word of one source of three", r.steps)
	}
	r.run(600)
	if len(r.steps) != 1 {
		t.Errorf("steps %v, all sources say so", r.steps)
	}
}

// A pause of minutes that no clock shows is stepped away also where one source
// alone has a say: the others are measured only, dead, or not preferred.
func TestStepByTheOnesThatHaveASay(t *testing.T) {
	preferred, ignored := poll4, poll4
	preferred.Prefer, ignored.NoSelect = true, true
	for name, c := range map[string]struct {
		sources []SourceConfig
		set     func(*rig)
	}{
		"prefer on one line": {[]SourceConfig{preferred, poll4, poll4}, nil},
		"noselect":           {[]SourceConfig{poll4, ignored, ignored}, nil},
		"dead ones":          {[]SourceConfig{poll4, poll4, poll4}, func(r *rig) { r.servers[1].silent, r.servers[2].silent = true, true }},
		"all":                {[]SourceConfig{poll4, poll4, poll4}, nil},
		"one":                {[]SourceConfig{poll4}, nil},
	} {
		config := DefaultConfig() // what ntpd does: tinker step and stepout
		config.StepThreshold, config.StepUpdates, config.StepAnyTime, config.StepOut = 0.128, 1, true, 300
		r := newRig(t, config, c.sources...)
		if c.set != nil {
			c.set(r)
		}
		r.run(1000)
		r.pause(600)
		r.run(500)
		if len(r.steps) != 1 || math.Abs(r.system) > 0.01 {
			t.Errorf("%s: steps %v, error %v", name, r.steps, r.system)
		}
		r.synchronised(t, true)
		r.honest(t)
	}
}

// Time alone is no reason to step: three samples must agree.
func TestStepNeedsSamples(t *testing.T) {
	c := DefaultConfig()
	c.StepAnyTime = true
	r := newRig(t, c, SourceConfig{MinPoll: 9, MaxPoll: 9})
	r.run(20000)
	r.servers[0].offset = 5
	samples := 0
	for len(r.steps) == 0 && r.now < 40000e9 {
		before := len(r.servers[0].asked)
		large := math.Abs(r.d.offset(r.reading())) > c.StepThreshold
		r.run(1)
		if large && len(r.servers[0].asked) > before {
			samples++
		}
	}
	if len(r.steps) != 1 || samples < 2 { // beside the one that made it large
		t.Errorf("steps %v after %d samples", r.steps, samples)
	}
}

// A new estimate changes the frequency by no more than five deviations of the
// old one.
func TestFrequencyChangesWithinItsDeviation(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.run(3000)
	before, bound := r.d.y, frequencyDeviations*r.d.yBound
	r.d.joint.y += 200e-6
	r.tick()
	if moved := math.Abs(r.d.y - before); moved == 0 || moved > bound*1.001 {
		t.Errorf("moved by %v, its deviation allows %v", moved, bound)
	}
}

func TestStartSlewEnds(t *testing.T) {
	c := DefaultConfig()
	c.StartSlew = 0.08
	r := newRig(t, c, poll4)
	r.system = 0.3
	r.run(30)
	if len(r.steps) > 0 || math.Abs(r.system) > 1e-3 {
		t.Errorf("steps %v, error %v after 30 s at 8 %%", r.steps, r.system)
	}
	r.servers[0].offset = -0.5
	r.rates = nil
	r.run(600)
	for _, rate := range r.rates {
		if math.Abs(rate) > c.MaxSlew+c.MaxDrift {
			t.Fatalf("rate %v after the start", rate)
		}
	}
}

// Whatever sources say: rates within limits, no step but by policy, the clock
// monotonic, frequency within 500 ppm, nothing that is no number.
func TestCommandsWithinLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := DefaultConfig()
		r := newRig(&testing.T{}, c, poll4, poll4, poll4)
		r.system = rapid.Float64Range(-0.9, 0.9).Draw(t, "start")
		r.y = rapid.Float64Range(-900e-6, 900e-6).Draw(t, "oscillator")
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			s := r.servers[rapid.IntRange(0, 2).Draw(t, "server")]
			s.offset = rapid.Float64Range(-900, 900).Draw(t, "offset")
			s.up = rapid.Float64Range(0, 0.5).Draw(t, "delay")
			s.silent = rapid.Bool().Draw(t, "silent")
			before, started, from := r.d.y, r.d.started, r.d.joint.startY
			bound := frequencyDeviations * r.d.yBound
			r.run(1)
			if d := math.Abs(r.d.y - before); started && d > bound+1e-15 && r.d.joint.startY == from {
				t.Fatalf("frequency changed by %v, its deviation allowed %v", d, bound)
			}
			r.run(rapid.IntRange(1, 200).Draw(t, "seconds"))
		}
		for _, rate := range r.rates {
			if !(math.Abs(rate) <= c.MaxSlew+c.MaxDrift+1e-6) {
				t.Fatalf("rate %v", rate)
			}
		}
		for i, s := range r.steps {
			if math.Abs(s) <= c.StepThreshold || i >= c.StepUpdates {
				t.Fatalf("steps %v", r.steps)
			}
		}
		if a := r.d.Exit(); !(math.Abs(a.Rate) <= c.MaxDrift) || a.Step != 0 {
			t.Fatalf("left behind %+v", a)
		}
	})
}

func TestExitLeavesTheFrequency(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.run(2000)
	r.system += 0.01 // a slew is under way
	r.run(5)
	a := r.d.Exit()
	if math.Abs(a.Rate+r.y) > 0.05e-6 || a.Step != 0 {
		t.Errorf("left behind %+v, want the rate %v and no slew", a, -r.y)
	}
}

func TestForeignChanges(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.run(1000)
	if n := r.count(EventForeignChange) + r.count(EventForeignRate); n > 0 {
		t.Fatalf("%d foreign changes in an undisturbed run", n)
	}
	r.system += 5e-3
	r.run(1)
	if r.count(EventForeignChange) != 1 {
		t.Error("a clock set by 5 ms was not noticed within a second")
	}
	r.honest(t)
	r.rate = 100e-6
	r.run(1)
	if r.d.Tracking(r.reading()).Foreign < 2 {
		t.Error("a changed rate was not noticed within a second")
	}
	r.run(300)
	if math.Abs(r.system) > 100e-6 || len(r.steps) > 0 {
		t.Errorf("error %v, steps %v: must be slewed back", r.system, r.steps)
	}
}

// What is certainly wrong is corrected as fast as allowed, however long the poll
// interval: 20 ms at 500 ppm take 40 s.
func TestCertainOffsetIsCorrectedFast(t *testing.T) {
	r := newRig(t, DefaultConfig(), SourceConfig{MinPoll: 8, MaxPoll: 8})
	r.run(20000)
	r.system += 20e-3
	r.run(90)
	if math.Abs(r.system) > 0.3e-3 || len(r.steps) > 0 {
		t.Errorf("error %v after 90 s, steps %v", r.system, r.steps)
	}
	for _, rate := range r.rates {
		if math.Abs(rate+r.y) > 1.01*DefaultConfig().MaxSlew {
			t.Fatalf("rate %v", rate)
		}
	}
}

func TestGap(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4, poll4, poll4)
	r.run(2000)
	y := r.d.Tracking(r.reading()).Frequency
	r.now += 3600e9
	r.raw -= 3600 // the base stood still
	r.system += 0.2
	r.d.Gap(r.rawNow(), 3599.5, 1)
	for _, s := range r.servers {
		s.plan.Restart()
		s.next = r.now + 5e8
	}
	r.synchronised(t, false)
	r.run(30)
	r.synchronised(t, true)
	r.honest(t)
	if now := r.d.Tracking(r.reading()).Frequency; math.Abs(now-y) > 2e-6 {
		t.Errorf("the gap was taken for frequency: %v, before it %v", now, y)
	}
	soon := 0
	for _, at := range r.servers[0].asked {
		if at > r.now-30e9 && at < r.now-20e9 {
			soon++
		}
	}
	if soon < 3 {
		t.Errorf("asked %d times in the first seconds after the gap, want a burst", soon)
	}
	r.run(2000)
	if math.Abs(r.system) > 1e-3 {
		t.Errorf("error %v", r.system)
	}
}

// After a gap the liar may be the first to answer, and the others be asked only
// when their interval is over: what is not known yet is not claimed.
func TestLiarAnswersFirstAfterGap(t *testing.T) {
	poll8 := SourceConfig{MinPoll: 8, MaxPoll: 8}
	r := newRig(t, DefaultConfig(), poll8, poll8, poll8)
	r.run(5000)
	r.servers[1].offset = 0.5
	r.d.Gap(r.rawNow(), 0, 1)
	for i, s := range r.servers {
		s.next = r.now + int64([]float64{150, 1, 200}[i]*1e9)
	}
	for range 600 {
		r.run(1)
		r.honest(t)
		if math.Abs(r.system) > 0.01 {
			t.Fatalf("error %v", r.system)
		}
	}
	r.synchronised(t, true)
}

// However short the gap, nothing is called synchronised until there is an
// answer from after it.
func TestShortGap(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.run(2000)
	r.d.Gap(r.rawNow(), 0.001, 0.001)
	r.synchronised(t, false)
	if st := r.status(); math.IsInf(st.Distance(), 0) {
		t.Error("no bound that can be served")
	}
	r.tick()
	r.synchronised(t, false)
	r.run(30)
	r.synchronised(t, true)
}

// A state that is no number, or an impossible covariance, never gets out.
func TestNumericGuard(t *testing.T) {
	for name, poison := range map[string]func(*Discipline){
		"one member": func(d *Discipline) { d.joint.members[4].mean[phase] = math.NaN() },
		"variance":   func(d *Discipline) { *d.joint.members[4].at(phase, phase) = -1 },
		"all": func(d *Discipline) {
			for _, m := range d.joint.members {
				m.mean[frequency] = math.Inf(1)
			}
		},
		"averages": func(d *Discipline) { d.joint.x = math.NaN() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, DefaultConfig(), poll4)
			r.run(1000)
			poison(r.d)
			r.rates = nil
			r.run(1000)
			for _, rate := range r.rates {
				if !(math.Abs(rate+r.y) < 510e-6) {
					t.Fatalf("rate %v", rate)
				}
			}
			r.synchronised(t, true)
			if math.Abs(r.system) > 1e-3 {
				t.Errorf("error %v", r.system)
			}
		})
	}
}

func TestSavedFrequency(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.run(3000)
	saved, ok := r.d.Save(r.reading())
	if !ok || math.Abs(saved.Frequency-r.y) > 0.1e-6 {
		t.Fatalf("saved %+v", saved)
	}
	again := newRig(t, DefaultConfig(), poll4)
	if !again.d.Restore(saved, saved.At+1e12) {
		t.Fatal("not restored")
	}
	if again.d.joint.startYVar < doubt*doubt {
		t.Errorf("variance %v: a saved frequency is trusted blindly", again.d.joint.startYVar)
	}
	again.run(1)
	if math.Abs(again.d.y-r.y) > 1e-6 {
		t.Errorf("first frequency %v, want %v", again.d.y, r.y)
	}
	for name, s := range map[string]Saved{
		"too fast":          {Frequency: 11e-3, Variance: 1e-18},
		"no number":         {Frequency: math.NaN(), Variance: 1e-18},
		"negative variance": {Frequency: 1e-6, Variance: -1},
		"variance":          {Frequency: 1e-6, Variance: math.NaN()},
	} {
		d, _ := New(DefaultConfig())
		if d.Restore(s, 0) || d.joint.startY != 0 {
			t.Errorf("%s: restored", name)
		}
	}
}

// A saved frequency is not trusted blindly: were it 20 ppm wrong, or that of
// another machine, the clock must come right all the same, and the bound hold
// meanwhile.
func TestWrongSavedFrequency(t *testing.T) {
	for _, saved := range []float64{-20e-6, 700e-6, -3000e-6} {
		r := newRig(t, DefaultConfig(), poll4)
		r.d.Restore(Saved{Frequency: saved, Variance: 1e-18}, 0)
		for range 300 {
			r.run(1)
			if math.Abs(saved) < 1000e-6 { // of that nobody warns before there are two answers
				r.honest(t)
			}
		}
		if math.Abs(r.system) > 1e-3 {
			t.Errorf("saved %v: error %v", saved, r.system)
		}
	}
}

// A step that somebody asks for is made, however small, and only once; and
// nothing is served as synchronised until another answer came.
func TestMakeStep(t *testing.T) {
	c := DefaultConfig()
	r := newRig(t, c, poll4)
	if err := r.d.MakeStep(); err == nil {
		t.Error("a step of an offset that nobody knows")
	}
	r.run(600)
	r.system += 0.02 // somebody sets the clock
	if err := r.d.MakeStep(); err != nil {
		t.Fatal(err)
	}
	r.run(5)
	if len(r.steps) != 1 || math.Abs(r.steps[0]+0.02) > 1e-3 {
		t.Errorf("steps %v, want one of -0.02", r.steps)
	}
	r.run(60)
	if len(r.steps) != 1 || math.Abs(r.system) > 1e-3 {
		t.Errorf("steps %v, error %v", r.steps, r.system)
	}
}

// What fast oscillators are corrected by is exact: there is no second-order
// error that a slew would have to make up for all the time.
func TestFastOscillatorIsCorrectedExactly(t *testing.T) {
	for _, y := range []float64{-480e-6, 450e-6} {
		r := newRig(t, DefaultConfig(), poll4)
		r.y = y
		for _, s := range r.servers {
			s.delay = 20e-6
		}
		r.noise = func() float64 { return 0 }
		r.run(20000)
		a := r.d.Exit()
		if drift := (1+r.y)*(1+a.Rate) - 1; math.Abs(drift) > 5e-9 {
			t.Errorf("at %v the clock left alone drifts by %v", y, drift)
		}
		if math.Abs(r.system) > 0.5e-6 {
			t.Errorf("at %v: error %v", y, r.system)
		}
	}
}

// Two of three sources lie differently: there is no majority, the clock is held,
// what is claimed grows, and ends in the alarm.
func TestNoMajorityEndsInTheAlarm(t *testing.T) {
	c := DefaultConfig()
	c.Drift, c.MaxDistance = 500e-6, 15e-3
	r := newRig(t, c, poll4, poll4, poll4)
	r.run(600)
	r.synchronised(t, true)
	st := r.status()
	before := st.Distance()
	r.servers[0].offset, r.servers[2].offset = 0.7, -0.4
	r.run(20)
	for range 10 {
		r.run(1)
		r.honest(t)
	}
	if st = r.status(); st.Synchronised && st.Distance() < before {
		t.Errorf("root distance %v, with a majority it was %v", st.Distance(), before)
	}
	r.run(60)
	r.synchronised(t, false)
	if !r.d.Tracking(r.reading()).Held {
		t.Error("not reported")
	}
	r.servers[0].offset = 0
	r.run(60)
	r.synchronised(t, true)
	for id, want := range []SelectState{Selected, Selected, Falseticker} {
		if got := r.state(SourceID(id)); got != want {
			t.Errorf("source %d is %v, want %v", id, got, want)
		}
	}
}

// The only source jumps, and back: there is nobody else to believe.
func TestTheOnlySourceJumps(t *testing.T) {
	r := newRig(t, DefaultConfig(), SourceConfig{MinPoll: 1, MaxPoll: 1})
	r.run(300)
	for _, jump := range []float64{0.1, -0.3, 0} {
		r.servers[0].offset = jump
		r.run(30)
		if e := r.d.offset(r.reading()); math.Abs(r.system-e-jump) > 1e-3 {
			t.Errorf("true time is believed at %v from what it is, the source is at %v", r.system-e, jump)
		}
		if y := r.d.Tracking(r.reading()).Frequency; math.Abs(y) > 500e-6 {
			t.Errorf("frequency %v", y)
		}
		r.run(900) // 0.4 s at 500 ppm
	}
	if len(r.steps) > 0 {
		t.Errorf("steps %v", r.steps)
	}
}

// Boards and virtual machines have oscillators far beyond the 500 ppm of the
// kernel's frequency: they are followed as any other, from the first seconds on.
func TestFarOscillators(t *testing.T) {
	for _, y := range []float64{490e-6, 530e-6, 600e-6, 1000e-6, -800e-6, 1944e-6, -3000e-6, 9000e-6} {
		r := newRig(t, DefaultConfig(), poll4, poll4, poll4)
		r.y = y
		for range 3000 {
			r.run(1)
			r.honest(t)
		}
		r.synchronised(t, true)
		for id := range r.servers {
			if got := r.state(SourceID(id)); got != Selected {
				t.Errorf("%g ppm: source %d is %v", y*1e6, id, got)
			}
		}
		r.rates = nil
		r.run(1000)
		for _, rate := range r.rates {
			if math.Abs((1+y)*(1+rate)-1) > 1e-6 {
				t.Fatalf("%g ppm: rate %v", y*1e6, rate)
			}
		}
		if math.Abs(r.system) > 100e-6 {
			t.Errorf("%g ppm: error %v", y*1e6, r.system)
		}
		saved, _ := r.d.Save(r.reading())
		again := newRig(t, DefaultConfig(), poll4)
		again.y = y
		if !again.d.Restore(saved, saved.At) {
			t.Errorf("%g ppm: not restored", y*1e6)
		}
		again.run(1)
		if math.Abs(again.d.y-y) > 2e-6+y*y {
			t.Errorf("%g ppm: starts with %v", y*1e6, again.d.y)
		}
	}
}

// Beyond what may be corrected the clock runs away: it is not called
// synchronised, and the log is told once.
func TestOscillatorBeyondTheLimit(t *testing.T) {
	c := DefaultConfig()
	c.MaxDrift = 400e-6
	for _, y := range []float64{-450e-6, 520e-6, 3000e-6} {
		r := newRig(t, c, poll4, poll4, poll4)
		r.y = y
		r.run(2000)
		r.synchronised(t, false)
		if n := r.count(EventDriftLimit); n == 0 {
			t.Errorf("%g ppm: nothing is said", y*1e6)
		}
		for _, rate := range r.rates {
			if math.Abs(rate) > c.MaxDrift+c.MaxSlew+1e-9 {
				t.Fatalf("rate %v", rate)
			}
		}
	}
}

// Frequency and slew together never ask for more than the tick can do.
func TestSlewLeavesRoomForTheFrequency(t *testing.T) {
	c := DefaultConfig()
	c.MaxSlew, c.StartSlew, c.StepThreshold = 0.1, 0.1, 0
	r := newRig(t, c, poll4)
	r.y, r.system = 2000e-6, 5
	r.run(100)
	for _, rate := range r.rates {
		if math.Abs(rate) > 0.1 {
			t.Fatalf("rate %v", rate)
		}
	}
	if math.Abs(r.system) > 1e-3 {
		t.Errorf("error %v", r.system)
	}
}

// A busy server holds a request for milliseconds: with a far oscillator the
// round by our clock is shorter than that, and the answer good all the same.
func TestDelayOfAFarOscillatorIsNotNegative(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.y = -1500e-6
	r.servers[0].delay = 5e-6
	r.servers[0].change = func(x *Sample) {
		x.T3 += 20e6
		x.T4 += Instant(20e6 * (1 + r.y))
	}
	for range 100 {
		s := r.servers[0]
		r.advance(r.now + 2e9)
		if v := r.d.Sample(r.sample(s)); v != Accepted {
			t.Fatal(v)
		}
		r.advance(r.now + 1e8)
	}
}

// A pause that no clock shows leaves an offset that would be slewed for hours at
// the usual rate: it goes as fast as at the start, and nothing is called
// synchronised meanwhile. One source alone must say so for a while: it may be
// the one that jumped.
func TestFarOffsetsAreSlewedFast(t *testing.T) {
	for n, within := range map[int]int{3: 120, 2: 120, 1: 120} {
		c := DefaultConfig()
		c.StartSlew = 0.0833
		r := newRig(t, c, sources(n)...)
		r.run(2000)
		r.pause(3)
		for i := range within {
			r.rates = nil
			r.run(1)
			if st := r.status(); st.Synchronised && i > 100 {
				r.honest(t)
				if math.Abs(r.rates[0]+r.y) > c.MaxSlew*1.01 {
					t.Fatalf("%d sources: rate %v while synchronised", n, r.rates[0])
				}
			}
			if n == 1 && i == 17 && math.Abs(r.system) < 2.9 {
				t.Errorf("error %v: one source alone was followed fast at its second word", r.system)
			}
		}
		if math.Abs(r.system) > 1e-3 || len(r.steps) > 0 || r.count(EventFastSlew) == 0 {
			t.Errorf("%d sources: error %v after %d s, steps %v", n, r.system, within, r.steps)
		}
		r.run(20)
		r.synchronised(t, true)
	}
}

// A source alone that goes back to where it was did jump itself: it is followed
// back fast, and not believed so fast again. One that jumps to the past is not
// followed fast, for no machine that stands still gets ahead of it.
func TestWordOfOneSource(t *testing.T) {
	c := DefaultConfig()
	c.StartSlew = 0.0833
	r := newRig(t, c, poll4)
	r.run(2000)
	jump := func(by float64, seconds int, least, most float64) {
		t.Helper()
		r.servers[0].offset += by
		r.run(seconds)
		if math.Abs(r.system) < least || math.Abs(r.system) > most {
			t.Errorf("error %v after the source moved by %v to %v, want %v to %v", r.system, by, r.servers[0].offset, least, most)
		}
	}
	jump(1, 120, 0.99, 1.01)
	jump(-1, 80, 0, 2e-3)
	jump(1, 600, 0, 0.35) // once broken, the word counts for less
	jump(-1, 700, 0, 2e-3)
	jump(-1, 600, 0, 0.35)
	jump(0, 400, 0.99, 1.01) // but it counts
}

// Who sets the clock, or sleeps, leaves an offset that is not of the sources'
// making: it is slewed fast with one source, too.
func TestWhoSetTheClockIsCorrectedFast(t *testing.T) {
	c := DefaultConfig()
	c.StartSlew = 0.0833
	r := newRig(t, c, poll4)
	r.run(2000)
	r.system += 0.2
	r.run(30)
	if math.Abs(r.system) > 1e-3 {
		t.Errorf("error %v after 30 s", r.system)
	}
	r.run(20)
	r.synchronised(t, true)
}

// A server that jumps, or a machine that is paused, within the first minute is no
// oscillator that is off by a percent.
func TestEarlyJumpIsNoFrequency(t *testing.T) {
	for _, after := range []int{5, 10, 15, 25, 30, 60, 120} {
		for _, by := range []float64{-0.5, 0.02, 0.5, 3} {
			c := DefaultConfig()
			c.StartSlew = 0.08
			r := newRig(t, c, poll4)
			r.run(after)
			r.servers[0].offset = by
			for range 300 {
				r.run(1)
				if y := r.d.Tracking(r.reading()).Frequency; math.Abs(y) > 2e-3 {
					t.Fatalf("jump by %v after %d s: frequency %v", by, after, y)
				}
				if r.system < min(by, 0)-0.1 || r.system > max(by, 0)+0.1 {
					t.Fatalf("jump by %v after %d s: error %v", by, after, r.system)
				}
			}
		}
	}
}
