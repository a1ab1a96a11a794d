// Package site is what the gateways of a site agree by: an etcd.
//
// Nothing that is served waits for it. A gateway that does not reach etcd
// answers as before, keeps the stage that it has, and ends what it was trying;
// a start does not wait for etcd either.
//
// Below fleet.etcd.prefix there are
//
//	gateways/NAME          who is here, with a lease: gone when the gateway is
//	places/NAME            where its groups stand
//	clients/NAME/NUMBER    what it knows of clients, by days: many in one key
//	shared                 the declared plan, and what operators ordered of all
//	lock                   who refuses on trial now, with the lease of its gateway
//	history/entry/NUMBER   the history of the site, a line each, chained by hashes
//	history/end            its end
//	history/merged/NAME    how far the record of a gateway is in it
//	secrets                cookie secret and Autokey seed, sealed to each gateway
//
// # Why there are no conflicts
//
// Each key is written in one of three ways, and each is a transaction of etcd
// that compares what it rests on, so that it is done whole or not at all:
//
//   - What carries the name of a gateway is written by that gateway alone: the
//     transaction compares the lease of gateways/NAME with its own. A second
//     process of the same name, or one that was taken to be gone, has another
//     lease, and writes nothing. It also compares that its last write of such a key
//     is there: so nobody goes on writing to an etcd that was put back.
//   - What all write (shared, secrets, the history) is read, changed and written
//     if its revision is still the one that was read; else it is read again.
//     Numbers in it only grow. The history is appended to by the same
//     transaction that moves on how far the record of the gateway is in it: so
//     an entry is in it once, whenever a gateway dies.
//   - The lock is made if it is not there, and goes with the lease of its owner.
//     The owner counts its lease from when it asked for the last renewal, and as
//     two thirds of what etcd counts: so its step has ended before another one can
//     begin. A renewal counts when a majority confirms afterwards that whoever
//     renewed it leads: a leader whose disk hangs, or that the others do not see,
//     does not know that it is one of the past.
//
// A gateway asks one member at a time, and goes to the next one when that does not
// answer. The lease, and with it the lock, outlives that.
//
// # What is queued while etcd is away
//
// Nothing needs a queue of its own. What is known of clients is the inventory,
// and is compared with etcd when that is back; the history of this gateway is
// its own file, of which history/merged says what the site has. Only orders of
// operators, to hold or to roll back, wait in fleet-site.json, the last one of
// each group. All are files of the state directory, written atomically.
//
// # What happens
//
//	one member hangs                    the next one is asked; a step goes on
//	disks are slow                      what is told takes longer; a step goes on while answers come within timeout
//	etcd away, or without a majority    steps on trial end; gates are shut; hold and roll back work here, and are told later
//	a gateway dies                      its lease ends; gates name it; its lock is free
//	a gateway is cut off                the same; it ends its step first
//	compaction                          what was missed is read anew
//	a backup restored                   whoever knows a later plan or order writes it back, each gateway its clients and its history
//	another gateway's clock is wrong    gates name it; days that have not come are not believed
//	two gateways of one name            the second one stays out and says so
package site
