package site

import (
	"strconv"
	"strings"
)

// The names of keys, behind the prefix.
const (
	dirGateways = "gateways/"
	dirPlaces   = "places/"
	dirClients  = "clients/"
	keyShared   = "shared"
	keyLock     = "lock"
	dirEntries  = "history/entry/"
	keyEnd      = "history/end"
	dirMerged   = "history/merged/"
	keySecrets  = "secrets"
)

// parseBucket reads what bucketKey writes, without the prefix and the directory.
func parseBucket(name string) (gateway string, n int, ok bool) {
	gateway, text, ok := strings.Cut(name, "/")
	number, err := strconv.ParseUint(text, 16, 16)
	return gateway, int(number), ok && err == nil && number < Buckets
}
