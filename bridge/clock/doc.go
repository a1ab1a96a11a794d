// Package clock knows the system clock: what the kernel says of its
// synchronisation, and what a server may tell its clients of it.
//
// Served, not steered: in mode observe another program disciplines the clock
// and the kernel tells whether it does (adjtimex(2): STA_UNSYNC, maxerror,
// leap second flags); in mode local the clock is served at a configured
// stratum whatever the kernel says. The discipline of our own is package
// discipline, below here, tried out in package sim; the driver that lets it
// steer the system clock is not there yet.
package clock
