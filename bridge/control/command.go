package control

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
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
	// Without are options that were asked for of a source that is added, by
	// chrony's words, and that this daemon does not have.
	Without []string `json:"without,omitempty"`
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

// commandDone is the answer to a command.
type commandDone struct{ Done string }

// ErrCommand says that there is no such command.
var ErrCommand = errors.New("the daemon does not know that command")
