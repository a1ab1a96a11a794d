// Package gate computes what must be so before a step of a migration that
// refuses somebody, each with its evidence and with the clients in the way.
//
//	better_means    of the group's clients the stated share has better means, since so many days
//	quiet_days      nobody used the means for so many days, protected clients aside
//	watched         the inventory watched for so many days, without a gap
//	no_forgotten    it forgot nobody for want of room in that time
//	another_server  whoever is to be refused has time from elsewhere; if it says nothing
//	                else, whoever would not show that it is hurt
//	nts_ke          NTS-KE can take so many times the handshakes that the step may bring,
//	                and its certificate lives for so many days beyond it
//
// Better means that are in use beside the old ones count where nothing shows that
// they are another host's behind the address (OneHost).
//
// What is not known keeps a gate shut: not seen is only said of time that was
// watched, and whoever shows no other server is taken to have none.
//
// An Evaluation takes all rows of the inventory, one at a time, so that a
// million of them need no copy.
//
// Pure: time is part of the Facts.
package gate
