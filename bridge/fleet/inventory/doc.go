// Package inventory is the table of clients: who asks this server for time,
// by which means, since when and until when, how often, and what program it
// seems to be.
//
// A *means* is how a client authenticates: not at all, by one symmetric key, by
// Autokey, by NTS with one AEAD. A client that was seen as legacy and as NTS is
// one client with two means.
//
// Memory is bounded: clients, means and the details of addresses with several
// hosts have tables of fixed capacity without pointers, below 250 octets a
// client. What has proved itself goes before what has not, in this order:
//
//	Authenticated  a MAC, an NTS authenticator or an Autokey cookie was right, or NTS-KE was done
//	Answered       it echoed a timestamp that only our answer held (ntpd's origin field)
//	Regular        it came back, over minutes
//	Stranger       anything else; its address may be forged
//
// With room, everybody enters at once. From three quarters of the capacity on a
// stranger must have been seen before (a filter of fixed size remembers), and
// in a full table only whoever ranks lower makes room. What was forgotten is
// counted, so that nobody takes a table with holes for a whole one.
//
// The program is guessed by the table in section 4 of the survey of real
// clients that the captures of testdata are from. Classify says by which
// evidence.
//
// Pure: time is an argument. Not safe for concurrent use.
package inventory
