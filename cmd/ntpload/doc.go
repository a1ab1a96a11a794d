// Command ntpload loads an NTP server with requests of one kind of
// authentication and measures the CPU time that the server spends on an
// answer; with compare, of two servers side by side.
//
//	ntpload run --server ADDRESS:PORT [--auth none|key|nts ...] [--pid PID] ...
//	ntpload compare --a SERVER --b SERVER [--kinds LIST] [--rounds N] ...
//
// Requests are made and sealed beforehand: what is measured is the server.
// Servers keep no memory of requests, so they may be sent again; an answer is
// matched by its origin timestamp. Only answers that carry time and the
// authenticator asked for count, and the authenticator of a sample is
// verified. A single wrong answer makes the run fail.
//
// It is a tool for measurements, on a network of one's own.
package main
