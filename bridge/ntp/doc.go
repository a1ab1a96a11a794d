// Package ntp is the NTP packet: header, timestamps, extension fields, and the
// classifier that tells how a packet is authenticated (RFC 5905, RFC 7822,
// RFC 8915 section 5; Autokey's framing as ntpd 4.2.8p15 does it).
//
// It also holds the words that the authenticators (symkey, autokey, nts) and
// the server share: a Request comes in, a Verdict goes out. An authenticator
// works in two steps, so that the transmit timestamp can be read as late as
// possible: Open verifies the request and does all cryptography that needs no
// timestamp; then the header is written; then Seal appends what covers it.
//
// Pure: no sockets, no clock, no logging. It imports nothing of this project.
package ntp
