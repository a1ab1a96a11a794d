// Package keyring is about symmetric keys on their way out: what speaks against
// each (age, digest, length, who shares it), whether one may go, and the edit of
// the key file that takes it out or puts its successor in.
//
// A key is rolled by a successor under another number: both are accepted from
// then on, clients change one after the other, the inventory says who still uses
// the old one, and it goes when nobody has for long enough.
//
// Pure: time and bytes are arguments.
package keyring
