package keygen

import (
	"errors"
	"fmt"
)

// ErrUsage marks a wrong command line.
var ErrUsage = errors.New("usage")

// badUsage is an error that is ErrUsage, with its own text.
type badUsage string

func (e badUsage) Error() string        { return string(e) }
func (e badUsage) Is(target error) bool { return target == ErrUsage }

func badOption(format string, args ...any) error { return badUsage(fmt.Sprintf(format, args...)) }

// clipped bounds outside text in a message.
func clipped(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
