//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/cmd/ntpload/internal/echo"
	"ntsbridge/cmd/ntpload/internal/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "ntpload", SilenceUsage: true}
	root.AddCommand(runCommand(), echoCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}

func echoCommand() *cobra.Command {
	var c echo.Config
	var listen string
	cmd := &cobra.Command{Use: "echo", Hidden: true, RunE: func(cmd *cobra.Command, _ []string) error {
		a, err := netip.ParseAddrPort(listen)
		if err != nil {
			return err
		}
		c.Listen = a
		return echo.Serve(cmd.Context(), c)
	}}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:11123", "address and port")
	f.IntVar(&c.Batch, "batch", 32, "datagrams per system call")
	f.StringVar(&c.Wait, "wait", echo.WaitPpoll, "ppoll, recv, netpoll or plain")
	f.DurationVar(&c.Raw, "raw", 200*time.Microsecond, "longest raw wait, for --wait bounded")
	f.BoolVar(&c.Drain, "drain", false, "receive again after a short batch before waiting")
	f.BoolVar(&c.Timestamps, "timestamps", false, "kernel receive timestamps")
	f.BoolVar(&c.PacketInfo, "packet-info", false, "answer from the address asked")
	f.BoolVar(&c.Lock, "lock", true, "lock to a thread")
	return cmd
}

func runCommand() *cobra.Command {
	var c load.Config
	var server string
	cmd := &cobra.Command{Use: "run", RunE: func(cmd *cobra.Command, _ []string) error {
		a, err := netip.ParseAddrPort(server)
		if err != nil {
			return err
		}
		c.Server = a
		r, err := load.Run(cmd.Context(), c, load.Plain{})
		if r != nil {
			fmt.Printf("%s: %d answers, %.0f/s, lost %d unmatched %d, cpu/answer %.0f ns, cpu use %.2f, p50 %v p99 %v\n", r.Kind, r.Answers, r.PerSecond(), r.Lost, r.Unmatched, r.CPUPerAnswer(), float64(r.CPU)/float64(r.Wall), r.Latency.Percentile(50), r.Latency.Percentile(99))
		}
		return err
	}}
	f := cmd.Flags()
	f.StringVar(&server, "server", "127.0.0.1:11123", "address and port")
	f.IntVar(&c.Sockets, "sockets", 16, "source ports")
	f.IntVar(&c.Window, "window", 8, "requests outstanding per socket")
	f.IntVar(&c.Rate, "rate", 0, "requests per second, 0: closed loop")
	f.IntVar(&c.Sample, "sample", 64, "verify every n-th answer")
	f.IntVar(&c.PID, "pid", 0, "server process whose CPU time is measured")
	f.DurationVar(&c.Warmup, "warmup", 300*time.Millisecond, "")
	f.DurationVar(&c.Time, "time", time.Second, "")
	f.DurationVar(&c.Timeout, "timeout", 200*time.Millisecond, "")
	return cmd
}
