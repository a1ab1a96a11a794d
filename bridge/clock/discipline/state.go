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

// Rule is why selection put a source where it is, or follows nobody.
type Rule uint8

// The rules.
const (
	NoRule          Rule = iota
	ByMajority           // most candidates say otherwise
	ByTrusted            // most trusted candidates do (SourceConfig.Trust)
	ByAuthenticated      // most authenticated servers and reference clocks do (AuthMix)
	NoMajority           // no strict majority of those that count agrees
	ByOption             // noselect
	ByMode               // unauthenticated (AuthRequire, AuthPrefer)
	BySmear              // smeared leap seconds beside sources without
	TooFew               // fewer agree than Config.MinSources
	RequiredMissing      // none of those required agrees
	NobodyUsable         // there is no candidate
	KeepsRate            // its time is anything: the clock's rate follows it (SourceConfig.Local)
	EnoughBetter         // agrees, but enough sources of less asymmetry and noise feed the clock
)

var ruleNames = [...]string{
	"", "most sources say otherwise", "most trusted sources say otherwise",
	"most authenticated servers and reference clocks say otherwise (auth_select mix)",
	"no majority of sources agrees", "noselect", "not authenticated", "smears leap seconds, others do not",
	"fewer sources agree than min_sources", "no required source agrees", "no source is usable", "keeps the rate of the clock (local)",
	"enough better sources are followed",
}

// String returns the rule in words.
func (r Rule) String() string {
	if int(r) < len(ruleNames) {
		return ruleNames[r]
	}
	return "rule?"
}
