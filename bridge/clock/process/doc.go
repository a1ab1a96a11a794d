// Package process lets a process without privileges steer the system clock: a
// small process that has the right to set the clock, and nothing else, does it
// for the one that serves. Server is the small one's side, Client the other's,
// which is a clock.System.
//
// They speak over a Unix socket of sequenced packets, one request and one answer
// at a time. The requests are what a clock.System can do: nothing of adjtimex
// beyond that can be asked for, and each argument has a range. A request names
// the moment until which it may be carried out, so that a process that was
// stopped does not do late what its client has long given up. Who may ask is
// the user that the socket belongs to, and root; the kernel tells who it is.
//
// Of several processes that ask one steers: the first one, until its connection
// ends.
//
// Read and Wait want no privilege and are done by the client itself.
package process
