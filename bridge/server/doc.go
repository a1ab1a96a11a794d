// Package server answers NTP requests: UDP sockets read and written in
// batches, kernel timestamps, and the dispatch of each packet to one of the
// four authenticators (none, symkey, autokey, nts).
//
// Each worker is a goroutine with a socket of its own; several share a listen
// address (SO_REUSEPORT). It drains its socket with system calls that never
// block and go around the scheduler, works through the batch in two passes
// (open: everything that needs no timestamp; finish: header, transmit
// timestamp, seal), sends the batch, and waits in Go's poller. Configuration
// and clock reach it as immutable
// snapshots behind atomic pointers; counters are the worker's own. Autokey
// requests that need public-key work go to one slow lane with a bounded queue,
// so that they cannot hold up the other kinds.
//
// Linux only. What is answered to whom is decided in package access, how a
// packet is built in package ntp; this package makes no policy.
package server
