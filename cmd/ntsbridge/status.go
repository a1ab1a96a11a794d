package main

import (
	"errors"
	"fmt"
)

// Exit statuses of every command.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitFindings = 3 // done, but with findings that --strict refuses
)

// statusError is an error with an exit status of its own.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// ExitCode returns the exit status.
func (e *statusError) ExitCode() int { return e.status }

func usageError(format string, args ...any) error {
	return &statusError{exitUsage, fmt.Errorf(format, args...)}
}

// exitStatus returns the exit status that an error stands for.
func exitStatus(err error) int {
	var status interface{ ExitCode() int }
	if errors.As(err, &status) {
		return status.ExitCode()
	}
	return exitFailed
}
