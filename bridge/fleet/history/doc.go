// Package history is the record of a migration: what was declared, stepped,
// forced, held and rolled back, by whom, when and why.
//
// A file of lines, each a JSON object that carries the hash of the line before
// it, so that nothing can be taken out, changed or put in between without
// Verify naming the line. It is only ever appended to, and each line is on the
// disk before Append returns. What a chain cannot show is that its end was cut
// off: compare the hash of the last line, which `fleet history` prints, with
// one that was written down.
package history
