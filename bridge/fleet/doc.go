// Package fleet knows for every client which means it really uses.
//
// The serving path tells it by tables, one per worker (package feed). A
// collector drains them once a second, or when one is half full, into the
// inventory (package inventory), which a mutex guards that no worker ever takes.
// A writer puts what changed into the store (package store) every few seconds,
// outside of the mutex. Readers (package report) hold the mutex for some
// thousand rows at a time.
//
//	workers -> feed.Table -> collector -> inventory <- readers
//	NTS-KE, Autokey's slow lane -> notes ->/      \-> writer -> store
//
// A store that cannot be read or written never stops the service: what is lost
// is logged, and the inventory goes on in memory.
package fleet
