// Package bridge composes the daemon. Nothing but the command imports it.
//
// # One path
//
// A start, a reload and a check are the same: a configuration is built into
// parts (build: keys, certificates, rules, what sources need), prepared
// (prepare: sockets are opened, the driver of the clock and the associations
// are made) and put in force (commit). What can fail is in the first two and
// touches nothing that runs; the third cannot fail. A source that cannot be at
// work is its own failure and is shown with the reason.
//
// # Goroutines, locks and owners
//
//	main ----- Start, Reload, Close ------------------ Bridge.changing
//	             |
//	tick (1/s)   |    follow.Clock.Tick, cookie keys, Autokey's signatures
//	   |         |       `------------------------------ Bridge.inForce
//	   v         v
//	parts -- in force by an atomic pointer; who reads them takes no lock
//
//	server: one worker a socket, reads and answers; sees State and ClockState
//	        by atomic pointers. The slow lane: one goroutine for public keys.
//	nke: one goroutine a listener, one a connection.
//	control: one goroutine a request. It asks for a Snapshot, which is values.
//	follow: the driver's goroutine steers the clock, 1/s, and calls publish,
//	        stepped and doubted; the observer's asks another program.
//	association: one goroutine each, and a second one of clients that looks
//	        for a better address; the hub has one for each passive one.
//
// Bridge.changing is held for a whole change, and may wait for packets that are
// being answered and associations that end. Bridge.inForce is held for moments,
// by commit and tick, and keeps what they replace and announce together: nobody
// waits for the network under it. Readers take neither. Who calls from the
// driver's goroutine must take no lock at all that Close or Reload may hold.
//
// What owns what: Bridge owns server, nke, control, the clock and the set of
// associations; server owns the UDP sockets; the clock owns the driver, which
// owns the system clock; the set owns its associations and their own sockets.
//
// # Words
//
//	configuration   what the file says: config.Config, never changed
//	parts           what was loaded for it, replaced as a whole
//	change          a configuration that is prepared, and not yet in force
//	steering        what feeds the discipline with samples, even in mode
//	                observe, where it only measures
//	follow          to tell the discipline of a source, and serve what results
//	association     a source, peer or broadcast that is at work
//	reference clock a clock at this machine
//	snapshot        values of a moment, of which reports are made
//	candidates, falsetickers, survivors, majority
//	                what selection makes of sources (RFC 5905, section 11.2)
//	served          the state that answers carry: ntp.ClockState
//	provisional     resting on a date that no right clock has judged
//	legacy-signed   by Autokey, which never counts as authenticated
package bridge
