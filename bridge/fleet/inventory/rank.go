package inventory

// Rank is how much speaks for a client being real. A full table forgets the
// lowest rank first.
type Rank uint8

// The ranks.
const (
	Stranger Rank = iota
	Regular
	Answered
	Authenticated
	rankCount
)

var rankNames = [rankCount]string{"stranger", "regular", "answered", "authenticated"}

// String returns the rank's name.
func (r Rank) String() string {
	if r < rankCount {
		return rankNames[r]
	}
	return "invalid"
}

// A stranger that has sent so many packets over so long is a regular.
const (
	regularPackets = 4
	regularSpan    = 60 // seconds
)
