package remote

import (
	"context"
	"fmt"
)

// Role is what somebody may do.
type Role uint8

// The roles; who may write may read.
const (
	Nobody Role = iota
	Read
	Write
)

// String returns the word of a role as files have it.
func (r Role) String() string { return [...]string{"nobody", "read", "write"}[min(r, Write)] }

func parseRole(s string) (Role, error) {
	for _, r := range []Role{Read, Write} {
		if s == r.String() {
			return r, nil
		}
	}
	return Nobody, fmt.Errorf("%.40q is no role; write read or write", s)
}

// Caller is who asks.
type Caller struct {
	Name string // "token NAME (ADDRESS)", "certificate NAME (ADDRESS)"
	Role Role
	// Form is what forms of this caller carry in the field form. Empty: there are
	// none.
	Form string
	// Session tells that it may log out.
	Session bool
}

type callerKey struct{}

// WithCaller notes who asks.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns who asks, nil if that is somebody at the local socket.
func CallerOf(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// MayWrite reports whether who asks may change things. At the local socket
// that is a matter of file permissions.
func MayWrite(ctx context.Context) bool {
	c := CallerOf(ctx)
	return c == nil || c.Role >= Write
}
