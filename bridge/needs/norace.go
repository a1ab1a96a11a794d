//go:build !race

package needs

// raced tells whether the race detector looks on.
const raced = false
