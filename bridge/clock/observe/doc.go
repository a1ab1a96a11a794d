// Package observe asks the program that disciplines this host's clock what it
// thinks of it, so that a server of that clock can tell its clients the real
// stratum, reference identifier, root delay and root dispersion.
//
// chronyd is asked for its tracking report, through its Unix socket or UDP port
// 323 (chrony's candm.h, protocol 6), ntpd and ntpsec for their system
// variables by mode 6 (RFC 9327). systemd-timesyncd, ptp4l and phc2sys answer no
// such question: of them the kernel's state is all there is.
//
// It changes nothing, in the clock or in those programs. What they say is to be
// believed only as long as the kernel calls the clock synchronised.
package observe
