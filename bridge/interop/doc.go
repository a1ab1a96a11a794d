// Package interop runs the real NTP daemons of other projects against
// ntsbridge: classic ntpd 4.2.8p15, chronyd 4.3, 4.6 and 4.9, ntpd-rs and ntpsec,
// each on a host of its own, all at the same time.
//
// It is for tests only; no other package imports it. A host is a set of Linux
// namespaces (network, host name, processes, mounts) that ends with the
// process that runs the tests, whatever becomes of it. The daemons come from
// folders that peers.sh fills; they run in them by chroot, without the
// capability to set the clock. What they think of their server is asked of
// them as an operator would: by ntpq, chronyc and ntpd-rs' observation socket.
//
// Where ntsbridge is the client, a Relay may stand between it and a server and
// do every mischief that a network or a bad server can. All hosts share one
// clock, so that the true error of what is served and believed is known.
//
// Of systemd a small Debian boots in a container (TestLongSystemd), installs the
// package and has its units started, reloaded, watched and stopped.
//
// It does not look into ntsbridge: the program is built, started with a
// configuration file, and judged by its clients and its serverstats.
package interop
