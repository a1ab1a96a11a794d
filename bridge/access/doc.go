// Package access decides who is served: prefix rules with longest match (the
// server's part of ntpd's restrict) and rate limits per client (ntpd's discard
// average and minimum, chrony's ratelimit).
//
// A Table is immutable and a Limiter never grows; both are for several workers
// at once, allocate nothing per packet, and take time as an argument. The
// package does not open sockets, read clocks or parse configuration files.
package access
