// Package control is how a person or a program looks into the running daemon:
// a local API over a Unix socket (HTTP with JSON), which the other commands
// use, and the read-only part of mode 6 (RFC 9327), which ntpq speaks, as ntpd
// 4.2.8p15 answers it. All that can be changed is the clock, by a step, over
// the socket, and what an operator tells. RespondChrony is the reading half of
// chronyc's protocol, on a socket of its own. Metrics have their place here.
//
// The reports on the clock and its sources are those of chronyc 4.6, with its
// columns, units and signs; as text they are what it prints. Whoever owns
// clock and sources fills them.
//
// Mode 6 comes over the NTP port by way of package server, which asks the
// access rules. Respond is pure; QuerySource is where its values come from,
// LocalSource those of the running daemon.
package control
