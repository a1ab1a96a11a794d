package config

// What the items of lists have where a file says nothing.

// DefaultSource returns an item of sources without options.
func DefaultSource() Source { return defaultSource() }

// DefaultReferenceClock returns an item of reference_clocks without options.
func DefaultReferenceClock() ReferenceClock { return defaultReferenceClock() }

// DefaultBroadcast returns an item of broadcast without options.
func DefaultBroadcast() Broadcast { return defaultBroadcast() }

// DefaultRule returns an item of access.rules without options.
func DefaultRule() AccessRule { return defaultRule() }

// DefaultLimit returns an item of rate_limit.limits with its name only.
func DefaultLimit(name string) Limit { return defaultLimit(name) }

// DefaultKeyFile returns an item of keys.files without options.
func DefaultKeyFile() KeyFile { return KeyFile{Format: formatAuto} }

// What an access rule does.
const (
	ActionAllow = "allow"
	ActionDeny  = "deny"
)

// Address families of a source.
const (
	FamilyAny  = "any"
	FamilyIPv4 = "ipv4"
	FamilyIPv6 = "ipv6"
)

// Values of clock.auth_select and of the section clock.leap that converters
// write.
const (
	AuthSelectIgnore = "ignore"
	LeapIgnore       = "ignore"
	LeapSlew         = "slew"
	ShapeCosine      = "cosine"
	PlacementBefore  = "before"
	PlacementAfter   = "after"
)
