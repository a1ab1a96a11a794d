package control

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/control/remote"
)

// asker is the context's key of who asks.
type asker struct{}

// withAsker notes the process at the other end of a connection.
func withAsker(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var who *unix.Ucred
	_ = raw.Control(func(fd uintptr) {
		who, _ = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return context.WithValue(ctx, asker{}, who)
}

// askerOf returns who asks, as text for the log and the history.
func askerOf(ctx context.Context) string {
	if c := remote.CallerOf(ctx); c != nil {
		return c.Name
	}
	if who, ok := ctx.Value(asker{}).(*unix.Ucred); ok && who != nil {
		return fmt.Sprintf("user %d, process %d", who.Uid, who.Pid)
	}
	return "unknown"
}
