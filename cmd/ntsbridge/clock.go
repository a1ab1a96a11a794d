package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/process"
	"ntsbridge/bridge/confine"
)

// clockFlags are the flags of clock.
type clockFlags struct{ socket, user string }

func newClockCommand() *cobra.Command {
	var f clockFlags
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Set the clock for a server that may not",
		Long: `Set the system clock for serve, which then needs no right to: clock.process in its
configuration names the socket of this process. It does what serve asks for, within
ranges, and nothing by itself: rate, steps, and what the kernel is to say of the
clock. It reads no file and opens no port; of root's rights it keeps CAP_SYS_TIME.

The socket comes from the service manager (ntsbridge-clock.socket), or is made
here by --socket. Who may ask is --user and root.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	cmd.Flags().StringVar(&f.socket, "socket", "", "Unix socket to make, if the service manager passes none")
	cmd.Flags().StringVar(&f.user, "user", "ntsbridge", "name or number of the user who may ask")
	return cmd
}

func (f *clockFlags) run(cmd *cobra.Command) error {
	uid, err := userNumber(f.user)
	if err != nil {
		return err
	}
	log := hclog.New(&hclog.LoggerOptions{Name: "ntsbridge-clock", Output: messages()})
	listener, err := f.listen(uid)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	report, err := confine.Enter(confine.Plan{User: "root", Clock: true, Alone: true, Sandbox: confine.SandboxEnforce,
		Read: []string{"/proc", "/sys"}}) // other programs at the clock
	for _, note := range report.Notes {
		log.Warn("confinement", "note", note)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("confinement: %w", err), listener.Close())
	}
	if _, err := clock.OpenSystem(); err != nil {
		log.Error("nothing can be done for who asks", "error", err)
	}
	log.Info("ready", "socket", listener.Addr().String(), "user", f.user)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	s := process.Server{Open: clock.OpenSystem, Look: clock.OtherDaemon, User: uid, Log: log}
	return s.Serve(ctx, listener)
}

// listen takes the service manager's socket, or makes one.
func (f *clockFlags) listen(uid int) (*net.UnixListener, error) {
	files := activation.Files(true)
	switch {
	case len(files) > 1:
		return nil, fmt.Errorf("%d sockets were passed; one is wanted", len(files))
	case len(files) == 1:
		l, err := net.FileListener(files[0])
		if err != nil {
			return nil, fmt.Errorf("passed socket: %w", err)
		}
		if u, ok := l.(*net.UnixListener); ok && u.Addr().Network() == "unixpacket" {
			return u, files[0].Close()
		}
		return nil, errors.Join(fmt.Errorf("passed socket: %v is not ListenSequentialPacket", l.Addr()), l.Close())
	case f.socket == "":
		return nil, usageError("no socket: the service manager passes none, and --socket names none")
	}
	if c, err := net.Dial("unixpacket", f.socket); err == nil {
		return nil, errors.Join(fmt.Errorf("--socket: another process answers at %s", f.socket), c.Close())
	}
	if i, err := os.Lstat(f.socket); err == nil && i.Mode().Type() == fs.ModeSocket {
		_ = os.Remove(f.socket)
	}
	defer syscall.Umask(syscall.Umask(0o177))
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: f.socket, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("--socket: %w", err)
	}
	if uid != os.Geteuid() {
		if err := os.Chown(f.socket, uid, -1); err != nil {
			return nil, errors.Join(fmt.Errorf("--socket: %w", err), l.Close())
		}
	}
	return l, nil
}

// userNumber is the number of a user by name or number.
func userNumber(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, fmt.Errorf("--user: %w", err)
	}
	return strconv.Atoi(u.Uid)
}
