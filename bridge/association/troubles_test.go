package association

import (
	"context"
	"errors"
	"testing"
	"time"

	"ntsbridge/bridge/source"
)

// A cause is told once an hour, others beside it; a lost packet is no news.
func TestTroubles(t *testing.T) {
	var told troubles
	name, other := source.CauseCertificateName, source.CauseUnknownAuthority
	failed := errors.New("x")
	for i, step := range []struct {
		cause source.Cause
		err   error
		at    time.Duration
		want  bool
	}{
		{name, failed, 0, true}, {name, failed, time.Minute, false}, {other, failed, time.Minute, true},
		{name, failed, 59 * time.Minute, false}, {name, failed, time.Hour, true}, {name, failed, time.Hour + time.Minute, false},
		{source.CauseNone, nil, 0, false}, {source.CauseOther, context.Canceled, 0, false},
	} {
		if got := told.news(step.cause, step.err, step.at); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	lose := func(n int) (news bool) {
		for range n {
			news = told.news(source.CauseUDPFiltered, source.ErrTimeout, 2*time.Hour) || news
		}
		return news
	}
	if lose(silentFor - 1) {
		t.Error("some lost packets are told")
	}
	told.answered()
	if lose(silentFor - 1) {
		t.Error("lost packets between answers are told")
	}
	if !lose(1) || lose(100) {
		t.Error("silence is not told once")
	}
}
