// Package refclock reads reference clocks: clocks that are attached to this
// host, as opposed to servers on a network. Four drivers bring readings in:
//
//   - SHM, the shared memory segments of ntpd's driver 28 (key 0x4e545030 +
//     unit), which gpsd and others write;
//   - SOCK, the Unix datagram socket of chrony's driver of that name;
//   - PPS, pulses that the kernel stamps (RFC 2783, /dev/pps0);
//   - PHC, the PTP hardware clock of a network card or hypervisor (/dev/ptp0).
//
// The options are those of chrony's refclock directive, with its defaults. A
// Clock checks each reading, brings it to the free-running base, and reports
// one Sample per poll. It does not select and does not discipline.
//
// # Receivers through gpsd
//
// Serial receivers (NMEA, u-blox, and what else gpsd speaks) have no driver
// here: gpsd reads them. Run it with -n, so that it does not wait for a client.
// It offers both ways:
//
//   - SHM: units 0 and 1 are the serial time and the pulses of the first
//     receiver, for root only; units 2 and 3 the same if gpsd was not started
//     as root, and for the second receiver. The order of starting does not
//     matter. A public segment lets any local user set the clock: prefer SOCK.
//   - SOCK: for a receiver at /dev/ttyS0 gpsd looks for the socket
//     /run/chrony.ttyS0.sock (in some builds /var/run/chrony.ttyS0.sock, which
//     is the same place) for the pulses and, since its release 3.25, for
//     /run/chrony.clk.ttyS0.sock for the serial time; for a pulse device
//     /dev/pps0 /run/chrony.pps0.sock. It does so once, while it still is root:
//     the socket must be there before gpsd starts, so order gpsd's unit after
//     ours. Not started as root it looks in /tmp.
//
// Serial time comes late by what the receiver and the line need, 50 to 600 ms:
// measure it against another source and configure Offset. With pulses, lock
// the pulse clock to the serial one and do not select the latter.
//
// # From readings to samples
//
// A reading is a pair: the reference's time and the system clock's at the same
// instant. By the time it is seen here the system clock may have been slewed or
// stepped, so it is brought to CLOCK_MONOTONIC_RAW by a record of both clocks
// that is kept at least eight times a second (timeline.go). A reading from
// around a step of the system clock is dropped. So is what repeats itself, goes
// back, jumps, is old, or is no time at all (gate.go); each reason is counted.
//
// The readings of one poll become one sample by a trimmed mean (filter.go).
package refclock
