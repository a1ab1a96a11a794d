package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/hashicorp/go-hclog"
)

// messages is where errors and the log go: standard error, and where that is
// systemd's journal each line begins with its priority (sd-daemon(3)), which the
// journal keeps apart.
func messages() io.Writer {
	if to, err := journal.StderrIsJournalStream(); err != nil || !to {
		return os.Stderr
	}
	return prioritised{os.Stderr}
}

// prioritised writes lines with the priority of their level.
type prioritised struct{ out io.Writer }

var priorities = map[hclog.Level]journal.Priority{
	hclog.Trace: journal.PriDebug, hclog.Debug: journal.PriDebug, hclog.Info: journal.PriInfo, hclog.Warn: journal.PriWarning,
	hclog.Error: journal.PriErr,
}

// LevelWrite implements hclog.LevelWriter.
func (w prioritised) LevelWrite(level hclog.Level, text []byte) (int, error) {
	priority, ok := priorities[level]
	if !ok {
		priority = journal.PriInfo
	}
	prefix := fmt.Appendf(nil, "<%d>", priority)
	var b []byte
	for line := range bytes.Lines(text) {
		b = append(append(b, prefix...), line...)
	}
	_, err := w.out.Write(b)
	return len(text), err
}

// Write writes the errors of a command.
func (w prioritised) Write(text []byte) (int, error) { return w.LevelWrite(hclog.Error, text) }
