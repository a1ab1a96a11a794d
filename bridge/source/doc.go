// Package source runs associations: it polls servers and peers, listens to
// broadcasts, checks and authenticates what comes back, and measures offset,
// delay and dispersion (RFC 5905, sections 8, 9 and 11 with the on-wire
// protocol's tests; ntpd 4.2.8 where it differs).
//
// What an association learns goes to callbacks as samples; filtering,
// selection and the discipline are not here. Authentication is behind
// Authenticator: none, symmetric key, Autokey, NTS.
//
// A Client has a socket of its own for each request, with a port of the
// kernel's choice; with Autokey, which signs addresses, it keeps one. Packets
// are timestamped by the kernel, or by the interface, in both directions.
// Interleaved mode is that of RFC 9769 as chrony speaks it.
//
// Symmetric and broadcast associations speak from UDP port 123, which they
// share with the server: see Port.
//
// Seven files refer to each other in a circle: an association asks its
// authenticator, which names its errors as an association tells them, and the
// cause of a silence is looked for by asking once more.
package source
