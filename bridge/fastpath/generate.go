package fastpath

// The object is committed, so that a build needs no compiler of C. It is made
// anew by Debian's clang-19 and llvm-19, 19.1.7, which a test compares it with.
//
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -type snapshot -type sighting object fastpath.bpf.c -- -mcpu=v3
