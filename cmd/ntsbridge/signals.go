package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// signals are those that serve handles. What comes during a start waits until
// it is over.
var signals = make(chan os.Signal, 8)

// catchSignals makes signals come, before anything else is done: until then a
// SIGHUP ends the process. Other commands keep the usual ways.
func catchSignals(args []string) {
	if slices.Contains(args, "serve") {
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	}
}
