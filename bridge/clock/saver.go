package clock

import (
	"errors"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/statedir"
)

// saver writes files beside the ticks: a disk may take seconds.
type saver struct {
	work chan Saved
	done chan struct{}
}

func startSaver(c *DriverConfig, log hclog.Logger) *saver {
	s := &saver{make(chan Saved, 1), make(chan struct{})}
	go func() {
		defer close(s.done)
		for w := range s.work {
			if err := writeSaved(c, &w); err != nil {
				log.Error("state of the clock is not saved", "error", err)
			}
		}
	}()
	return s
}

// save replaces what waits to be written.
func (s *saver) save(w Saved) {
	select {
	case <-s.work:
	default:
	}
	s.work <- w
}

func (s *saver) finish() {
	close(s.work)
	<-s.done
}

func writeSaved(c *DriverConfig, s *Saved) error {
	var err error
	if text := s.format(); c.StateFile != "" && text != nil {
		err = statedir.Write(c.StateFile, text, 0o644)
	}
	if c.DriftFile != "" && s.Known {
		err = errors.Join(err, writeDriftFile(c.DriftFile, c.DriftForm, drift{frequency: s.Frequency, skew: s.Skew}))
	}
	return err
}
