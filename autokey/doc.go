// Package autokey is Autokey version 2 (RFC 5906) as ntpd 4.2.8p15 speaks it:
// the messages in extension fields, session keys, cookies and key lists, the
// status word, the server of client/server mode, and associations in all
// modes: client, symmetric peer, broadcast server and broadcast client, with
// the identity schemes TC, PC, IFF, GQ and MV.
//
// A packet that Autokey protects is "legacy-signed", never "authenticated":
// the cookie has 32 bits and is given to whoever can receive at an address,
// most keys have 512 bits, the digest is MD5.
//
// # The server
//
// The server holds no state for a client, as ntpd holds none. Open verifies a
// request and prepares the answer, Seal completes it when the header is
// final. A packet without extension field costs five digests, no lock and no
// allocation. One with an extension field may cost public-key operations, so
// Open answers it at once from what is signed once for everybody and from recent
// answers, and defers the rest; a slower path calls Open again with slow set,
// where the caller's Budget bounds the work.
//
// # What it does otherwise than ntpd 4.2.8p15
//
//   - The seed of the cookies is random and kept by the caller; ntpd's is
//     always 0. Since its clients never recover from a lost cookie (they drop
//     crypto-NAKs), older seeds, and on request seed 0, stay good for packets
//     without extension field.
//   - Public-key work has a budget; what is over it is dropped, which a client
//     takes for a lost packet. ntpd does everything it is asked.
//   - The same COOK, SIGN, IFF, GQ or MV request, repeated within a minute
//     (SIGN: ten), gets the same answer; ntpd makes a new one.
//   - Server answers client mode only; symmetric peers are answered by a Peer.
//   - A first extension field of 4 octets, which has no association ID, and a
//     field of an ASSOC request too short to hold a name for a server in a
//     group are dropped; ntpd reads what lies behind.
//   - SIGN refuses, with the error bit, certificates without a common name
//     and with other keys than RSA and DSA, which no ntpd can have.
//   - Identity challenges longer than the keys need are refused with the error
//     bit (see autokey/identity); ntpd computes with up to 2000 octets.
//   - The GQ answer is computed from what ntp-keygen's file means; ntpd
//     mistakes the fields of that file. An MV key in PKCS #8, whose public
//     values are lost, is not offered; ntpd offers it and answers wrongly.
//
// # Associations
//
// A Client, Peer, BroadcastServer or BroadcastClient is a state machine: it is
// given time and packets and makes packets. Prepare does the public-key work,
// Seal completes the packet when its header is final, Receive judges what
// comes. Associations of one host share its Credentials, whose certificates go
// to the Server by SetCache, so that the host can be a link of a trail.
//
// They do this otherwise than ntpd 4.2.8p15, and where not, ask for the same in
// the same order and come to the same flags:
//
//   - With an identity group configured, a server that offers no scheme that
//     there is a group file for is refused; ntpd takes one without any scheme
//     for TC. AssociationConfig.AllowNoScheme restores that. Without a group, a
//     scheme that is offered and not checked is a warning.
//   - The conclusions in the upper half of the flags are never taken from the
//     wire. Each certificate of a trail must be the one asked for and verify
//     the one before; loops and trails of more than 15 are refused; other
//     associations and clients see the certificates when the trail is complete
//     and the identity confirmed.
//   - A response counts if it has the operation asked for, once. Errors of SIGN
//     and LEAP, which time does not depend on, do not repeat at every poll.
//   - After three signatures in a row that do not verify the certificates are
//     asked for anew.
//   - A crypto-NAK with the right origin timestamp begins the association
//     anew, but once in 64 s only. ntpd drops it, and is lost when the server
//     has another seed.
//   - Key identifiers of peers and broadcast servers must advance in their
//     list, also in signed packets; ASSOC messages, which anybody can forge,
//     never end an association that still gets packets in sequence.
//
// Between two ntpd 4.2.8p15, symmetric modes and broadcasts do not work, since
// each drops packets with another key identifier than the one it sent last.
//
// Everything else is meant to be equal, octet for octet where nothing is
// random. The tests replay recorded sessions of ntpd 4.2.8p15 as the server and
// as the client, and compare.
//
// # What is easily missed in ntpd 4.2.8p15
//
//   - Any error response makes a client start over with ASSOC, for ever. What
//     is "not available yet" must be an empty CERT response, not an error.
//   - Without FlagTAI in the first ASSOC response a client never asks for the
//     leap second values, also when the server is synchronised soon after.
//   - A client with an identity group behaves as without one if the server
//     offers no scheme: whether identity is checked is for both to configure.
//   - The test for a group comes before that of the MAC, and looks at every
//     ASSOC message of the packet, not only at the one that is answered.
//   - A request with a message and without MAC gets 4 zero octets behind the
//     header, which looks like a crypto-NAK. Here it is no Autokey packet.
//   - ntpd runs as a client without the right to set the clock; what it logs
//     about ntp_adjtime then does no harm.
//
// The package is pure: time, randomness and octets are arguments. Files are
// read by autokey/keyfile, which also does the public-key operations.
package autokey
