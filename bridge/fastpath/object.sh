#!/bin/sh
# Makes the object and its types in Go (go generate), or, with -output-dir
# before, makes them elsewhere. CLANG and STRIP name the tools.
set -eu
for type in control snapshot own_key own near rule_key rule interface client_key client sighting counts key keyset cipher_order; do
	set -- "$@" -type "$type"
done
exec go tool bpf2go "$@" -cc "${CLANG:-clang-19}" -strip "${STRIP:-llvm-strip-19}" -target bpfel -no-global-types \
	object fastpath.bpf.c -- -mcpu=v3
