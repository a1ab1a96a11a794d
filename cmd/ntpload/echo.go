//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/cmd/ntpload/internal/echo"
)

func newEcho() *cobra.Command {
	var c echo.Config
	var listen string
	cmd := &cobra.Command{
		Use:    "echo",
		Short:  "Answer without looking: the floor for servers",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if c.Listen, err = netip.ParseAddrPort(listen); err != nil {
				return fmt.Errorf("--listen: %w", err)
			}
			return fail(echo.Serve(cmd.Context(), c))
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:11123", "address and UDP port")
	f.IntVar(&c.Batch, "batch", 32, "datagrams per system call")
	f.StringVar(&c.Wait, "wait", echo.WaitPoller, "poller, netpoll, ppoll, recv, bounded or plain")
	f.DurationVar(&c.Raw, "raw", 200*time.Microsecond, "longest raw wait, for --wait bounded")
	f.BoolVar(&c.Drain, "drain", false, "receive again after a short batch before waiting")
	f.BoolVar(&c.Timestamps, "timestamps", false, "kernel receive timestamps")
	f.BoolVar(&c.PacketInfo, "packet-info", false, "answer from the address asked")
	f.BoolVar(&c.Lock, "lock", false, "lock to a thread")
	return cmd
}
