// Package feed carries what the serving path sees of its clients to the
// inventory.
//
// Each worker has a Feed of its own: two tables of fixed size, of which the
// worker writes one while the collector reads the other. Between two readings
// a client's first packets by a means are kept one by one, for what can only
// be told from single packets (origin chains, gaps, ports); those beyond are
// counted into the last. So a packet costs the worker one look into a small
// table that stays in its cache, and nothing is allocated, locked or shared.
//
// A table that is full loses what comes next, and counts it. A part of it is
// kept for packets that proved who sent them, so that strangers cannot crowd
// them out.
//
// Pure: no sockets, clock or goroutines. It imports bridge/ntp only.
package feed
