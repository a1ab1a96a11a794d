package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/control/remote"
)

// Command is something that an operator tells the running daemon. It lasts
// until the next restart, and what it adds or deletes until the next reload.
type Command struct {
	// Name is one of the Command constants.
	Name string `json:"name"`
	// Source is the name or address of a source; empty: all, where that makes
	// sense. For allow and deny it is a network; empty: everybody.
	Source string `json:"source,omitempty"`
	// Good and Max are how many samples end a burst, and how many requests.
	Good int `json:"good,omitempty"`
	Max  int `json:"max,omitempty"`
	// Options are those of a source that is added or changed, by their names in
	// the configuration.
	Options map[string]any `json:"options,omitempty"`
	// Time is what the clock is set to.
	Time time.Time `json:"time,omitzero"`
	// All is for the finer rules within a network too (allow, deny).
	All bool `json:"all,omitempty"`
	// By is who tells it, for the log.
	By string `json:"-"`
}

// The commands, by chronyc's words.
const (
	CommandOnline  = "online"
	CommandOffline = "offline"
	CommandBurst   = "burst"
	CommandRefresh = "refresh"
	CommandAdd     = "add"
	CommandDelete  = "delete"
	CommandSetTime = "settime"
	// An option of a source is changed.
	CommandModify = "modify"
	// Sources that the routes reach are asked, others are not.
	CommandOnOffline = "onoffline"
	CommandMakeStep  = "makestep"
	// Who is served, until the next reload.
	CommandAllow = "allow"
	CommandDeny  = "deny"
	// Keys and certificates are read again, the configuration is not.
	CommandRekey = "rekey"
	// The configuration is read again.
	CommandReload = "reload"
	// All measurements are forgotten.
	CommandReset    = "reset"
	CommandShutdown = "shutdown"
)

// Do tells the daemon something. The text says what it did.
func (c *Client) Do(command *Command) (string, error) {
	var done commandDone
	body, err := json.Marshal(command)
	if err != nil {
		return "", err
	}
	err = c.send(http.MethodPost, pathCommand, body, &done)
	return done.Done, err
}

// maxCommandLen bounds what is read of a command, octets.
const maxCommandLen = 64 << 10

// command does what a body says.
func (src *Sources) command(r *http.Request) (any, error) {
	if src.Do == nil {
		return nil, errNotOurs
	}
	var c Command
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, badRequest{fmt.Errorf("the command cannot be understood: %w", err)}
	}
	c.By = askerOf(r.Context())
	done, err := src.Do(&c)
	return commandDone{done}, err
}

// commandDone is the answer to a command.
type commandDone struct{ Done string }

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

// ErrCommand says that there is no such command.
var ErrCommand = errors.New("the daemon does not know that command")
