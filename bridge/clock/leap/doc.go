// Package leap knows when leap seconds were and will be, and how a server
// spreads one over hours instead of stepping (smear).
//
// Tables are read from a leap-seconds.list (the form of NIST, IERS and IETF,
// with its SHA-1 hash), from the tz database's text file "leapseconds", and
// from its compiled zone right/UTC (TZif, RFC 9636). The smears are those of
// ntpd 4.2.8 (a cosine that ends with the leap second) and the standard one of
// the public services (linear, noon to noon).
//
// It reads no clock and does not say what to do about a leap second: arming the
// kernel is the driver's matter, deciding between table and sources the
// discipline's. Files come as bytes or through an fs.FS of the caller.
package leap
