// Package steer takes a fleet through the stages of a declared plan, one step
// at a time.
//
// Each means of each group stands somewhere on the way from observe to removed
// (Place). A step takes it one rung further:
//
//	warn       at once: who still uses the means is told
//	canary     a few clients are refused for some polls, then watched for 12 polls
//	brown-out  the whole group is, once for each length of the plan
//	refuse     the whole group is from now on; watched as the others are
//	removed    refusal goes on; key, group or Autokey itself may be deleted
//
// While its clients are watched, a step ends at once when more of them are hurt
// than the plan allows: it is rolled back, and the group is held until somebody
// says resume.
//
// What begins a refusal is on the disk (history, then state) before the first
// packet is refused; what ends one is in force before it is written. So a
// gateway that dies comes back with the policy of before, or one that refuses
// less: a step that was running has ended, and nobody is refused by a step that
// nobody remembers.
//
// Lengths are measured by a clock that no step moves; dates and windows by the
// system clock, once it is synchronised.
//
// Pure: time, inventory, disk and serving path are arguments.
package steer
