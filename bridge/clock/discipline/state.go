package discipline

// SelectState is what selection thinks of a source.
type SelectState uint8

// The states, worst first.
const (
	Unusable     SelectState = iota // no valid sample yet, refused, or its last words disqualify it
	Unreachable                     // eight requests without an answer, or too old
	Excluded                        // by noselect, by the mode for authentication, smeared among plain ones
	Falseticker                     // outside of what the majority agrees on
	Inconsistent                    // inside, but too far from the others for its distance
	NotPreferred                    // good, but others are preferred
	Selected
)

var stateNames = [...]string{"unusable", "unreachable", "excluded", "falseticker", "inconsistent", "not preferred", "selected"}

// String returns the state in words.
func (s SelectState) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "state?"
}
