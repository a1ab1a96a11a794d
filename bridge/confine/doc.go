// Package confine gives up what a start needs and serving does not: the user
// root, capabilities, the right to gain any, memory in core dumps, files that
// the configuration does not name (Landlock) and system calls that a time
// server has no use for (seccomp). It is for the whole process, all threads,
// for good.
//
// What a reload does must remain possible: ports below 1024 are opened, files
// beside those named are replaced and read, the clock is set. A reload that
// names other directories than the start did is refused by the files that it
// cannot read.
//
// Linux only. What the kernel does not have is left out, and told.
package confine
