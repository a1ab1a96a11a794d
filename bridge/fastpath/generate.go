package fastpath

// The object is committed, so that a build needs no compiler of C. It is made
// anew by Debian's clang-19 and llvm-19, 19.1.7, which a test compares it with.
//
//go:generate sh object.sh
