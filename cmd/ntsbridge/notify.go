package main

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge"
)

// notifier tells the service manager how the daemon is (sd_notify(3)). Without
// one it tells nobody.
type notifier struct {
	log    hclog.Logger
	status string // as told last
}

func (n *notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Debug("service manager", "error", err)
	}
}

// ready says that the daemon serves, after a start or a reload.
func (n *notifier) ready(b *bridge.Bridge) {
	n.status = b.StatusLine()
	n.send(daemon.SdNotifyReady + "\nSTATUS=" + n.status)
}

// reloading begins a reload; ready or refused ends it.
func (n *notifier) reloading() {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return
	}
	n.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, t.Nano()/1000))
}

// stopping says that the daemon ends.
func (n *notifier) stopping() { n.send(daemon.SdNotifyStopping + "\nSTATUS=stopping") }

// refresh tells the status line if it is another one.
func (n *notifier) refresh(b *bridge.Bridge) {
	if line := b.StatusLine(); line != n.status {
		n.status = line
		n.send("STATUS=" + line)
	}
}

// feed tells the service manager's watchdog that the daemon serves, which is
// found out each time: a daemon whose workers hang is restarted.
func (n *notifier) feed(b *bridge.Bridge, patience time.Duration) {
	if err := b.Alive(patience); err != nil {
		n.log.Error("the watchdog of the service manager is not fed", "error", err)
		return
	}
	n.send(daemon.SdNotifyWatchdog)
}

// watchdogInterval is how often the watchdog is fed: three times in the time
// that it waits. 0: there is none.
func watchdogInterval() time.Duration {
	wait, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return wait / 3
}
