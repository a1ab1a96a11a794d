// Package sim simulates a computer's clock, time servers and the network
// between them, so that a discipline can be judged by true errors which no
// real machine knows.
//
// It is deterministic: one seed gives one run, each purpose (wander of the
// oscillator, each direction of each path, the client's own randomness) has
// its own stream, and nothing reads a clock. The model of clock, network and
// client, the scenarios and the metrics are those in which chronyd 4.3 and
// ntpd 4.2.8p15 were measured with clknetsim, so that their figures
// (anchors.go) can stand beside ours.
//
// It does not simulate packets: an exchange is four timestamps. Computers are
// infinitely fast, reading a clock costs nothing, packets of one path may
// overtake each other only where a scenario says so.
package sim
