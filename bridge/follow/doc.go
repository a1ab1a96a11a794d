// Package follow is what lies between this host's sources and what it serves:
// it tells the discipline of the clock what the sources say, and says what is
// to be served of the clock that results.
//
//   - Steering feeds the discipline: it knows each source over a reload of the
//     configuration, decides the era of timestamps, and asks for a majority
//     while certificates were judged by a clock that may be wrong.
//   - LeapSeconds is the table of leap seconds, and how they are smeared.
//   - observer asks the program that disciplines the clock in our place.
//   - Clock has all three, and says what to serve.
//
// It knows nothing of associations: they bring samples, and say of each
// whether it is provisional. A change is prepared, which may fail and touches
// nothing that runs, and then committed, which cannot fail.
package follow
