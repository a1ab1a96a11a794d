// Package capture turns packet captures (pcap and pcapng, as tcpdump and
// Wireshark write them) into what the serving path would have told the
// inventory: the same sightings, from the traffic of the old server. So a site
// has its inventory before it touches anything.
//
// Requests are paired with answers by address, port and origin timestamp. What
// an answer does not tell is not known: a crypto-NAK means an unknown key or a
// wrong MAC, a missing answer may have been lost. Which AEAD an NTS client uses
// is told from the length of its nonce. Of NTS-KE only the hello is in clear.
//
// It does no I/O beside reading what it is given.
package capture
