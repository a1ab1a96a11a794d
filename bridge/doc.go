// Package bridge composes the daemon: it makes every part from the
// configuration, gives each resource one owner, and replaces the parts as a
// whole on a reload. Nothing but the command imports it.
package bridge
