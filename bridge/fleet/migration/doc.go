// Package migration runs the controller of package steer in the daemon: its
// files in the state directory, its clock, what it asks the inventory, and who
// is told.
//
//	fleet-state.json     the declared plan and where each group stands
//	fleet-history.jsonl  what was done, chained by hashes
//	fleet-canary.key     by which canaries are chosen
//
// Everything is done under one mutex, by the tick of each second and by what
// operators ask; the serving path never waits for it.
package migration
