// Package stage puts the steps of a migration over the access rules: from the
// plan and the steps that refuse now it compiles what the serving path looks
// up, one prefix table, together with the rule of the address.
//
// Who belongs to which group is decided in one place, Resolver, for packets
// and for the clients of the inventory alike. Labels and Autokey groups are
// resolved to prefixes when the overlay is compiled; it is compiled again when
// they change.
//
// Pure, and not on the serving path: that is access.Rule.Refuses.
package stage
