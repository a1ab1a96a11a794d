// Package measure asks time servers as chronyd -Q and ntpdate -q do: it
// measures each, says how the answers were authenticated and why one could not
// be measured, and combines those that agree by the selection of the discipline.
// It never sets a clock.
//
// The protocols are those of bridge/source; files and printing are the
// caller's.
package measure
