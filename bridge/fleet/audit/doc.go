// Package audit makes the report of a migration that an auditor reads: for each
// group and legacy means where it stands, who still uses it, when the last
// client left and by what evidence, and every step that was taken, forced or
// backed out, with who did it.
//
// "Left" is only said of time that the inventory watched without a gap. The
// report names the hash of the history's last line, so that a reader can hold
// it against `ntsbridge fleet history --verify`.
//
// Pure: time, inventory and history are arguments.
package audit
