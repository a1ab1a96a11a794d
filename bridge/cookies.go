package bridge

import (
	"errors"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts"
)

// rotateCookies makes the next cookie key when it is time.
func (b *Bridge) rotateCookies(p *parts, now time.Time) {
	n := p.state.NTS
	if n == nil || n.Ring() == nil || !n.Ring().Overdue(now) {
		return
	}
	ring, err := p.ring(now)
	if err != nil {
		b.log.Error("NTS cookie keys cannot be rotated", "error", err)
		return
	}
	n.SetRing(ring)
	b.log.Info("NTS cookie keys rotated", "keys", ring.Epochs(), "next", ring.Expires().UTC().Format(time.RFC3339))
}

// keepAgain is how long after a failure it is tried again.
const keepAgain = 10 * time.Minute

// right reports whether the clock is known to be right: its sources or the
// program that steers it say so, not only that there is nothing better.
func right(cfg *config.Config, state *ntp.ClockState) bool {
	return state.Synchronised() && (cfg.Clock.Mode == config.ClockLocal || int(state.Stratum) != cfg.Clock.FallbackStratum)
}

// keepCookies moves the files of the secrets on: once when the clock is known
// to be right, since what they forget is lost, and then in each epoch. The disk
// is not waited for.
func (b *Bridge) keepCookies(p *parts, state *ntp.ClockState, now time.Time) {
	w := &b.cookies
	if p.set.NTS == nil || p.set.NTS.Secret == nil || !right(p.cfg, state) || w.busy.Load() {
		return
	}
	if w.failed.CompareAndSwap(true, false) {
		w.due = now.Add(keepAgain)
	}
	if w.parts == p && now.Before(w.due) {
		return
	}
	w.busy.Store(true)
	epoch := p.cfg.NTS.Cookies.Rotation
	w.parts, w.due = p, now.Add(epoch-time.Duration(now.UnixNano()%int64(epoch)))
	go func() {
		defer w.busy.Store(false)
		if err := p.moveOnCookies(now); err != nil {
			w.failed.Store(true)
			b.log.Warn("the cookie secret on disk is not moved on: who steals it can open cookies of the past", "error", err)
		}
	}()
}

// moveOnCookies writes the secrets without what is not needed any more.
func (p *parts) moveOnCookies(now time.Time) error {
	c := &p.cfg.NTS.Cookies
	file := material.CookieFile(c, now)
	err := moveOn(p.set.Store, file, p.set.NTS.Secret, c, now)
	if p.set.NTS.Previous == nil {
		return err
	}
	file.Path, file.What = c.PreviousSecretFile, "previous cookie secret"
	return errors.Join(err, moveOn(p.set.Store, file, p.set.NTS.Previous, c, now))
}

func moveOn(store *statedir.Store, file statedir.File, loaded *nts.Secret, c *config.Cookies, now time.Time) error {
	ours := func(found []byte) bool {
		other, err := nts.ParseSecret(found)
		return err == nil && other.Same(loaded)
	}
	next, err := loaded.MovedOn(c.Rotation, c.Kept, now)
	if err != nil || next == loaded {
		return err
	}
	return store.Update(file, next.AppendText(nil), ours)
}

// makeDated makes what has waited for a clock that knows the date, by a reload
// of what is in force.
func (b *Bridge) makeDated(p *parts, state *ntp.ClockState, now time.Time) {
	if !p.set.Undated || !material.Dated(now) || b.clock.Steers() && !state.Synchronised() || !b.dating.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer b.dating.Store(false)
		if err := b.Reload(p.cfg); err != nil {
			b.log.Error("what has waited for the date cannot be made", "error", err)
			return
		}
		b.log.Info("the clock knows the date: certificate and cookie secret are there", "date", now.UTC().Format(time.DateOnly))
	}()
}
