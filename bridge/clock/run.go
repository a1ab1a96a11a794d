package clock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"ntsbridge/bridge/clock/discipline"
)

// Run steers the clock until the context ends, and then leaves it running at
// its best known rate. It ends with an error only when the clock cannot or
// must not be steered any more.
func (d *Driver) Run(ctx context.Context) error {
	defer d.Close()
	at, err := d.start()
	if err != nil {
		return err
	}
	d.saver = startSaver(&d.config, d.log)
	for err == nil {
		if err = d.tick(); err != nil {
			break
		}
		at = d.nextTick(at)
		if err = d.system.Wait(ctx, d.wake(at)); err != nil && ctx.Err() != nil {
			err = nil
			break
		}
	}
	return errors.Join(err, d.leave())
}

// nextTick is the next tick after now on the grid that at is on: late ticks do
// not move it.
func (d *Driver) nextTick(at int64) int64 {
	if late := d.now.Raw - at; late >= 0 {
		at += (late/tickInterval + 1) * tickInterval
	}
	return at
}

// start takes the clock over.
func (d *Driver) start() (at int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.system.Read()
	if err != nil {
		return 0, err
	}
	d.inherit(c)
	if c.Kernel.Loop && !d.config.Measure {
		d.log.Warn("the kernel's own loop was steering the clock, perhaps a leftover of another daemon: it is turned off now")
	}
	if err := d.system.Reset(); err != nil {
		return 0, fmt.Errorf("take the system clock over: %w", err)
	}
	d.wait(c.Raw)
	d.local.lostAt = c.Raw
	d.rate = c.Rate
	return c.Raw, nil
}

// tick corrects the clock once.
func (d *Driver) tick() error {
	c, err := d.system.Read()
	if err != nil {
		return err
	}
	jumped, err := d.prepare(&c)
	if err != nil {
		return err
	}
	d.announceJump(jumped)
	if d.doubted && d.config.OnDoubt != nil {
		d.config.OnDoubt()
	}
	d.doubted = false
	a, before, err := d.decide(c)
	if err != nil {
		return err
	}
	if err := d.correct(&c, a, before); err != nil {
		return err
	}
	if err := d.setByHand(&c); err != nil {
		return err
	}
	return d.publish(c)
}

// prepare tells the discipline what happened to the clocks since the last
// tick that no estimate must see. It returns by how much the system clock
// jumped, ns.
func (d *Driver) prepare(c *Clocks) (jumped int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.running {
		d.now, d.running = *c, true
		return 0, nil
	}
	jumped = d.slept(c)
	leapt, err := d.leapTo(c)
	return jumped + leapt, err
}

func (d *Driver) announceJump(by int64) {
	if by != 0 && d.config.OnStep != nil {
		d.config.OnStep(time.Duration(by))
	}
}

// decide asks the discipline what to do. before is how much others moved the
// clock, ns.
func (d *Driver) decide(c Clocks) (a discipline.Action, moved int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := readingOf(c)
	if err := d.refuse(r); err != nil {
		return a, 0, err
	}
	a = d.d.Tick(r)
	d.fed = false
	d.events = d.d.Events(d.events[:0])
	moved, err = d.report(c)
	if err != nil {
		return a, moved, err
	}
	if d.refusal.active {
		a = discipline.Action{Rate: d.d.Exit().Rate}
	}
	if math.IsNaN(a.Rate) || math.Abs(a.Rate) > maxRate {
		d.log.Error("the discipline asks for a rate that no clock has: it stays as it is", "rate", a.Rate)
		a = discipline.Action{Rate: d.rate}
	}
	d.foreign.slack = float64(c.Spread) / 2e9
	d.foreign.overridden = d.refusal.active
	d.now = c
	return a, moved, nil
}

// correct does what was decided. The rate comes first: each microsecond
// between the reading and the new rate is an error that the next tick sees.
func (d *Driver) correct(c *Clocks, a discipline.Action, moved int64) error {
	refused := d.system.SetRate(a.Rate)
	if err := d.set("rate", refused); err != nil {
		return err
	}
	after, err := d.system.Read()
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.foreign.slack += math.Abs(a.Rate-d.rate) * float64(after.Raw-c.Raw) / 1e9
	if d.rate = a.Rate; refused != nil {
		d.rate, d.foreign.overridden = after.Rate, true
	}
	if d.denied && refused == nil { // it obeys again
		d.denied = false
		_ = d.d.MakeStep() // nothing to step any more where there are no estimates
	}
	d.mu.Unlock()
	*c = after
	d.announceJump(moved)
	if a.Step == 0 {
		return nil
	}
	did, err := d.step(c, a.Step)
	d.denied = !did
	return err
}

// step steps the clock, after saying that it is not to be trusted. It tells
// whether the clock obeyed.
func (d *Driver) step(c *Clocks, by int64) (did bool, err error) {
	d.mu.Lock()
	d.wait(c.Raw)
	d.stepped = true
	d.leap.hold(c.Raw)
	state := d.unsynchronised(d.d.Status(readingOf(*c)), *c)
	d.mu.Unlock()
	d.serve(state)
	refused := d.system.Step(by)
	if err := d.set("step", refused); err != nil {
		return false, err
	}
	after, err := d.system.Read()
	if err != nil {
		return false, err
	}
	*c = after
	if refused == nil {
		d.announceJump(by)
		return true, nil
	}
	d.mu.Lock()
	d.foreign.overridden = true
	d.mu.Unlock()
	return false, nil
}

// leave leaves the clock at its best known rate, with no slew running, and
// saves the state. The kernel's status stays as it is: the clock is as good
// as it was a moment ago. The kernel lets its error grow and calls it
// unsynchronised after some hours, unless the next daemon says otherwise; a
// leap second that is pending today stays pending.
func (d *Driver) leave() error {
	d.mu.Lock()
	if d.running {
		d.rate = d.d.Exit().Rate
	}
	rate, running := d.rate, d.running
	d.mu.Unlock()
	if !running {
		return nil
	}
	err := d.system.SetRate(rate)
	if c, readErr := d.system.Read(); readErr == nil {
		d.mu.Lock()
		d.save(c)
		d.mu.Unlock()
	}
	d.saver.finish()
	d.log.Info("the system clock is left at its best known rate", "ppm", rate*1e6)
	return err
}
