// Package discipline estimates the error of a computer's clock from exchanges
// with time servers, and says how to correct it. It is pure: samples and
// times in, corrections out; it reads no clock, sends nothing, logs nothing.
//
// The estimator works on a time base that nobody disciplines
// (CLOCK_MONOTONIC_RAW), so that neither our own corrections nor anybody
// else's enter it. Its state is error, frequency and drift of that base. What
// makes it better than a line through offsets:
//
//   - The round-trip delay is a bound: the clock lies within half of the
//     delay's excess over the path's least delay around the measured offset
//     (Schweppe's set-membership filtering, made soft; see noise.go). A late
//     answer says nothing, an early one nearly everything.
//   - How the oscillator wanders and how a path's noise is distributed is not
//     configured but averaged over hypotheses by how well they predict
//     (dynamic model averaging, Raftery et al. 2010; bank.go).
//   - Links that queue in one direction are families of noise of their own, with
//     a learned mean of what the other direction adds (noise.go, source.go).
//   - Frequencies that jump are looked for by branches of the joint filter
//     (branches.go).
//   - All selected sources feed one filter, sample by sample, each path with
//     an unknown asymmetry of its own (joint.go), so that a source that comes
//     or goes does not move the clock.
//   - A local reference clock, whose rate is good and whose time is anything,
//     takes the oscillator's place for all that is estimated (standard.go).
//   - The controller is separate and simple, and closes its loop once a second
//     on the clock that exists (control.go, with the rules of what may be done
//     to it: steps, slews, panic).
//
// Selection is Marzullo's intersection with a strict majority (selection.go);
// the bound of the error that is served is claim.go's. A driver feeds
// Sample, Missed, Asked, Denied, Gap, ArmLeap and LeapApplied, calls
// Tick once a second and does what it says, asks Poll how often to ask a
// source, and publishes Status.
//
// It does not authenticate packets, does not match answers to requests, and
// knows no protocol but the four timestamps and the header's fields.
package discipline
