// Package store keeps the inventory in one bbolt file, behind the serving path.
//
// What changed is appended to a journal (Write), one transaction each time, so
// that writing costs by what changed and not by how many pages it is spread
// over; now and then the journal is folded into the rows (Fold). Every record
// has a checksum. A file that is damaged anywhere is put aside under another
// name, and a new one is begun with what could be read; the Report tells.
//
// It also keeps when the inventory was watching (Watch): "not seen" is only
// said of time that was watched.
package store
