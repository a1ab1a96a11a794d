package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
)

// The answers that a daemon gives while it synchronises.
var (
	nothingYet   = &control.Tracking{Leap: ntp.LeapUnknown}
	onlyItself   = &control.Tracking{ReferenceID: localReferenceID, Stratum: 10}
	following    = &control.Tracking{ReferenceID: 0xC0000201, Stratum: 2, SystemOffset: -0.0012345678, Skew: 1.23456}
	closer       = &control.Tracking{ReferenceID: 0xC0000201, Stratum: 2, SystemOffset: 0.000001, Skew: 0.01}
	lost         = &control.Tracking{ReferenceID: 0xC0000201, Leap: ntp.LeapUnknown}
	errNotThere  = fmt.Errorf("%w on run/control.sock", control.ErrNoAnswer)
	errNoSources = fmt.Errorf("%w", control.ErrNoSources)
)

func TestWaitSync(t *testing.T) {
	const none, some = "refid: 00000000, correction: 0.000000000, skew: 0.000", "refid: C0000201, correction: 0.001234568, skew: 1.235"
	for _, tt := range []struct {
		name    string
		args    string
		answers []any // *control.Tracking or error; the last one goes on
		want    string
		fails   string
		slept   time.Duration
	}{
		{"at once", "", []any{following}, "try: 1, " + some, "", 0},
		{"third try", "3", []any{nothingYet, nothingYet, following}, "try: 1, " + none + "\ntry: 2, " + none + "\ntry: 3, " + some, "",
			20 * time.Second},
		{"given up", "2", []any{nothingYet}, "try: 1, " + none + "\ntry: 2, " + none, "not synchronised after 2 tries", 10 * time.Second},
		{"itself is no source", "1", []any{onlyItself}, "try: 1, refid: 7F7F0101, correction: 0.000000000, skew: 0.000",
			"not synchronised after 1 tries", 0},
		{"letters for itself", "1", []any{&control.Tracking{ReferenceID: localLetters, Stratum: 1}},
			"try: 1, refid: 4C4F434C, correction: 0.000000000, skew: 0.000", "not synchronised", 0},
		{"lost", "1", []any{lost}, "try: 1, refid: C0000201, correction: 0.000000000, skew: 0.000", "not synchronised", 0},
		{"correction", "2 0.001 0 0.5", []any{following, closer},
			"try: 1, " + some + "\ntry: 2, refid: C0000201, correction: 0.000001000, skew: 0.010", "", 500 * time.Millisecond},
		{"correction refused", "1 0.0012345677", []any{following}, "try: 1, " + some, "not synchronised", 0},
		{"correction accepted", "1 0.0012345679", []any{following}, "try: 1, " + some, "", 0},
		{"skew refused", "1 1 1.23455", []any{following}, "try: 1, " + some, "not synchronised", 0},
		{"skew accepted", "1 1 1.23457", []any{following}, "try: 1, " + some, "", 0},
		{"least interval", "2 0 0 0", []any{nothingYet}, "try: 1, " + none + "\ntry: 2, " + none, "not synchronised",
			100 * time.Millisecond},
		{"without end", "0 0 0 1", append(repeated(nothingYet, 100), following), "", "", 100 * time.Second},
		{"not up yet", "5", []any{errNotThere, errNotThere, following},
			"try: 1, no answer on run/control.sock\ntry: 2, no answer on run/control.sock\ntry: 3, " + some, "", 20 * time.Second},
		{"never up", "2", []any{errNotThere}, "try: 1, no answer on run/control.sock\ntry: 2, no answer on run/control.sock",
			"no daemon answered the last of 2 tries", 10 * time.Second},
		{"no sources", "0", []any{nothingYet, errNoSources}, "try: 1, " + none, "follows no sources", 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			w, slept := scripted(tt.answers, &out)
			if err := w.arguments(strings.Fields(tt.args)); err != nil {
				t.Fatal(err)
			}
			err := w.run(t.Context())
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("%v, want %q", err, tt.fails)
			}
			if err != nil && exitStatus(err) != exitFailed {
				t.Errorf("exit status %d", exitStatus(err))
			}
			if got := strings.TrimSuffix(out.String(), "\n"); tt.want != "" && got != tt.want {
				t.Errorf("printed\n%s\nwant\n%s", got, tt.want)
			}
			if *slept != tt.slept {
				t.Errorf("slept %v, want %v", *slept, tt.slept)
			}
		})
	}
}

func repeated(v any, n int) (all []any) {
	for range n {
		all = append(all, v)
	}
	return all
}

// scripted waits for a daemon that gives these answers, and sleeps no time.
func scripted(answers []any, out *strings.Builder) (*waitSync, *time.Duration) {
	slept := new(time.Duration)
	return &waitSync{seconds: 10, out: out, errOut: out,
		ask: func() (*control.Tracking, error) {
			a := answers[0]
			if len(answers) > 1 {
				answers = answers[1:]
			}
			if err, failed := a.(error); failed {
				return nil, err
			}
			return a.(*control.Tracking), nil
		},
		sleep: func(_ context.Context, d time.Duration) error { *slept += d; return nil },
	}, slept
}

func TestWaitSyncJSON(t *testing.T) {
	var out strings.Builder
	w, _ := scripted([]any{errNotThere, nothingYet, following}, &out)
	w.json = true
	if err := w.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = `{"try":1,"synchronised":false,"correction":0,"skew_ppm":0,"error":"no answer on run/control.sock"}
{"try":2,"synchronised":false,"reference_id":"00000000","correction":0,"skew_ppm":0}
{"try":3,"synchronised":true,"reference_id":"C0000201","correction":0.0012345678,"skew_ppm":1.23456}
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

func TestWaitSyncIsInterrupted(t *testing.T) {
	var out strings.Builder
	w, _ := scripted([]any{nothingYet}, &out)
	w.sleep = sleepContext
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestWaitSyncArguments(t *testing.T) {
	for _, bad := range []string{"x", "-1", "1.5", "1 y", "1 -1", "1 NaN", "1 0 +Inf", "1 0 0 -0.1", "4294967296"} {
		w := &waitSync{}
		if err := w.arguments(strings.Fields(bad)); err == nil || exitStatus(err) != exitUsage {
			t.Errorf("%q: %v", bad, err)
		}
	}
	w := &waitSync{maxSkew: math.NaN()}
	if err := w.arguments(nil); err == nil {
		t.Error("a flag that is no number was taken")
	}
	w = &waitSync{tries: 9, maxCorrection: 8, maxSkew: 7, seconds: 6}
	if err := w.arguments([]string{"1", "2"}); err != nil || w.tries != 1 || w.maxCorrection != 2 || w.maxSkew != 7 || w.seconds != 6 {
		t.Errorf("%+v, %v", w, err)
	}
	w.seconds = 1e300
	if d := w.interval(); d <= 0 {
		t.Errorf("interval %v", d)
	}
}
