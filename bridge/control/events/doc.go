// Package events keeps what happened lately, and lets any number of listeners
// read it, each at its own pace.
//
// There is one ring of events for all of them. A listener has a place in it and
// nothing else: one that is slow costs no memory and holds nobody; what was
// overwritten before it came is told to it as lost. An event's identifier is
// the start of the daemon and a number, so that a listener that comes back
// goes on where it was, and learns of it where a restart is between.
package events
