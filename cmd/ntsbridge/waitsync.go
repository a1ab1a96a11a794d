package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/control"
)

// waitSync waits until the clock is synchronised, as chronyc's waitsync.
type waitSync struct {
	tries                           uint    // 0: without end
	maxCorrection, maxSkew, seconds float64 // 0: any; s, ppm, s
	json                            bool

	ask    func() (*control.Tracking, error)
	sleep  func(context.Context, time.Duration) error
	out    io.Writer
	errOut io.Writer
}

// minWait is the least interval, as in chronyc.
const minWait = 100 * time.Millisecond

// Reference identifiers of a clock that follows nothing but itself: 127.127.1.1
// and LOCL.
const (
	localReferenceID = 0x7f7f0101
	localLetters     = 0x4c4f434c
)

// waitTry is what is printed of a try, with --json.
type waitTry struct {
	Try         uint                 `json:"try"`
	Done        bool                 `json:"synchronised"` // and within the bounds that were given
	ReferenceID *control.ReferenceID `json:"reference_id,omitempty"`
	Correction  float64              `json:"correction"` // s
	Skew        float64              `json:"skew_ppm"`
	Error       string               `json:"error,omitempty"`
}

func newWaitSyncCommand() *cobra.Command {
	var f daemonFlags
	w := &waitSync{sleep: sleepContext}
	cmd := &cobra.Command{
		Use:   "waitsync [MAX-TRIES [MAX-CORRECTION [MAX-SKEW [INTERVAL]]]]",
		Short: "Wait until the clock is synchronised",
		Long: `Wait until the running daemon has synchronised the clock, as chronyc's waitsync: at most
MAX-TRIES times (0: without end), until what remains to be corrected is at most MAX-CORRECTION
seconds and the error of the frequency at most MAX-SKEW ppm (0: whatever they are), asking each
INTERVAL seconds (10). A daemon that does not answer yet costs a try.

Exit status: 0 synchronised; 1 not; 2 wrong usage.`,
		Args: cobra.MaximumNArgs(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := w.arguments(args); err != nil {
				return err
			}
			client, err := f.client()
			if err != nil {
				return err
			}
			w.ask, w.out, w.errOut = client.Tracking, cmd.OutOrStdout(), cmd.ErrOrStderr()
			return w.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.UintVar(&w.tries, "max-tries", 0, "give up after so many `TRIES` (0: never)")
	flags.Float64Var(&w.maxCorrection, "max-correction", 0, "`SECONDS` that may remain to be corrected (0: any)")
	flags.Float64Var(&w.maxSkew, "max-skew", 0, "error of the frequency, `PPM` (0: any)")
	flags.Float64Var(&w.seconds, "interval", 10, "`SECONDS` between two tries, at least 0.1")
	flags.BoolVar(&w.json, "json", false, "print a line of JSON for each try")
	f.add(cmd)
	return cmd
}

// arguments takes chronyc's arguments over, which win over flags.
func (w *waitSync) arguments(args []string) error {
	if len(args) > 0 {
		n, err := strconv.ParseUint(args[0], 10, 32)
		if err != nil {
			return usageError("MAX-TRIES %q is no number from 0 to 4294967295", args[0])
		}
		w.tries = uint(n)
	}
	numbers := []struct {
		name string
		into *float64
	}{{"MAX-CORRECTION", &w.maxCorrection}, {"MAX-SKEW", &w.maxSkew}, {"INTERVAL", &w.seconds}}
	for i, n := range numbers {
		if len(args) > i+1 {
			v, err := strconv.ParseFloat(args[i+1], 64)
			if err != nil {
				return usageError("%s %q is no number", n.name, args[i+1])
			}
			*n.into = v
		}
		if v := *n.into; !(v >= 0) || math.IsInf(v, 0) {
			return usageError("%s is %v; it must be 0 or more", n.name, v)
		}
	}
	return nil
}

// run asks until the answer is good.
func (w *waitSync) run(ctx context.Context) error {
	for try := uint(1); ; try++ {
		t, err := w.ask()
		done := err == nil && w.good(t)
		if err := w.print(try, done, t, err); err != nil {
			return err
		}
		switch {
		case done:
			return nil
		case err != nil && !errors.Is(err, control.ErrNoAnswer): // another try will not help
			return err
		case try == w.tries && err != nil:
			return fmt.Errorf("no daemon answered the last of %d tries", try)
		case try == w.tries:
			return fmt.Errorf("the clock is not synchronised after %d tries", try)
		}
		if err := w.sleep(ctx, w.interval()); err != nil {
			return err
		}
	}
}

func (w *waitSync) interval() time.Duration {
	const longest = float64(math.MaxInt64 / 2)
	return max(time.Duration(min(w.seconds*1e9, longest)), minWait)
}

// good reports whether the clock follows something outside, within the bounds.
func (w *waitSync) good(t *control.Tracking) bool {
	return t.Synchronised() && t.ReferenceID != 0 &&
		t.ReferenceID != localReferenceID && t.ReferenceID != localLetters &&
		(w.maxCorrection == 0 || math.Abs(t.SystemOffset) <= w.maxCorrection) &&
		(w.maxSkew == 0 || t.Skew <= w.maxSkew)
}

func (w *waitSync) print(try uint, done bool, t *control.Tracking, failed error) (err error) {
	switch {
	case w.json:
		line := waitTry{Try: try, Done: done}
		if failed != nil {
			line.Error = failed.Error()
		} else {
			line.ReferenceID, line.Correction, line.Skew = &t.ReferenceID, math.Abs(t.SystemOffset), t.Skew
		}
		err = json.NewEncoder(w.out).Encode(line)
	case failed == nil:
		_, err = fmt.Fprintf(w.out, "try: %d, refid: %v, correction: %.9f, skew: %.3f\n", try, t.ReferenceID, math.Abs(t.SystemOffset),
			t.Skew)
	case errors.Is(failed, control.ErrNoAnswer):
		_, err = fmt.Fprintf(w.errOut, "try: %d, %v\n", try, failed)
	}
	return err
}

// sleepContext waits for a time, or until ctx is done.
func sleepContext(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
