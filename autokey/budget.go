package autokey

import "net/netip"

// Budget bounds what strangers can make a server spend. It is the caller's, who
// has a clock; several goroutines may use it at once. A unit is about a
// microsecond of one processor core; for a client it is also an octet by which
// an answer is longer than its request.
type Budget interface {
	// Spend takes units from the client's share and from that of all clients,
	// or from neither and returns false. keep is what must be left of what all
	// clients together can have saved, per cent.
	Spend(client netip.Addr, units, keep int) bool
	// SpendOwn takes units from the client's share alone.
	SpendOwn(client netip.Addr, units int) bool
}

// Unbounded is the Budget of a server that no stranger can reach.
type Unbounded struct{}

// Spend implements Budget.
func (Unbounded) Spend(netip.Addr, int, int) bool { return true }

// SpendOwn implements Budget.
func (Unbounded) SpendOwn(netip.Addr, int) bool { return true }

// defaultAnswers is how many recent answers are remembered.
const defaultAnswers = 1024
