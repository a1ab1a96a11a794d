// Package association is the set of this host's sources, peers, broadcasts and
// reference clocks at work. The protocols are package source's; here is who is
// asked, at which address, and what happens when somebody is lost.
//
// A reload changes the set in two steps. Prepare may fail, and touches nothing
// that runs; Start cannot fail. What is the same before and after goes on as if
// nothing had happened, with its addresses, keys, cookies and reachability. A
// source that cannot be at work, or is lost, is its own failure: Snapshot tells
// why.
//
// Each association has one goroutine, which owns all of it but what is marked
// atomic; a client has a second one that looks for a better address. Set.mu
// guards who is in the set, and is never held while somebody waits for the
// network.
package association
