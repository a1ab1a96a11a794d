package discipline

import "math"

// A frequency that jumps, as with a fan, a load or a heater, is no random walk:
// members for walks that wide would spoil the quiet time. The joint bank has
// branches instead: copies of its best model whose frequency is a little
// uncertain, born anew in turn, each with odds against it. One that predicts
// better by far becomes the model.

// Constants of branches.
const (
	// branchSizes sizes of jumps are looked for, from leastJump on, each
	// jumpFactor times the one before; branchSets times, so that a jump is
	// caught soon after it.
	branchSizes = 3
	branchSets  = 3
	leastJump   = 0.3e-6 // s/s
	jumpFactor  = 6
	// branchOdds is the log of the odds of the smallest jump, sizeOdds what
	// each larger one adds.
	branchOdds = -4.0
	sizeOdds   = -2.0
	// branchLead is by how much, in logarithms, a branch must be better than
	// the best other model to be believed.
	branchLead = 3.0
	// branchVoice is from how far below the best on a branch has no share in the
	// averages: unproven ones are noise.
	branchVoice = 1.5
	// branchWander is the wander of branches, mostWalk of the members that a
	// believed jump takes along.
	branchWander = 1e-9
	mostWalk     = 1e-8
)

// addBranches adds branches to a bank, after its permanent members.
func (b *bank) addBranches() {
	b.permanent = len(b.members)
	size := leastJump
	for i := range branchSizes * branchSets {
		if i%branchSizes == 0 {
			size = leastJump
		}
		h := &hypothesis{kalman: newKalman(wander{branchWander, 0}), noise: families, jump: size,
			against: branchOdds + sizeOdds*float64(i%branchSizes)}
		b.members = append(b.members, h)
		size *= jumpFactor
	}
}

// greatest returns the member of greatest weight of a part of all.
func greatest(members []*hypothesis) *hypothesis {
	best := members[0]
	for _, m := range members[1:] {
		if m.weight > best.weight {
			best = m
		}
	}
	return best
}

// branch lets branches compete and be born, after each sample.
func (b *bank) branch() {
	if b.permanent == len(b.members) {
		return
	}
	model, lead := greatest(b.members[:b.permanent]), greatest(b.members[b.permanent:])
	if lead.weight > model.weight+branchLead {
		for _, m := range b.members[:b.permanent] {
			if m.wander.frequency <= mostWalk && m.weight < lead.weight-branchLead {
				m.adopt(lead.kalman)
				m.startDrift()
				m.weight = lead.weight - 1
			}
		}
		model, b.jumped = lead, true
	}
	born := b.members[b.permanent+b.samples%(len(b.members)-b.permanent)]
	if born == model || born == lead && lead.weight > model.weight+lead.against {
		return
	}
	born.adopt(model.kalman)
	born.startDrift()
	*born.at(frequency, frequency) += born.jump * born.jump
	born.weight = model.weight + born.against
}

// voiceless tells whether a member is a branch without a share.
func (h *hypothesis) voiceless(best float64) bool {
	return h.jump > 0 && h.weight < best-branchVoice
}

// bestWeight is the greatest of all.
func (b *bank) bestWeight() float64 {
	best := math.Inf(-1)
	for _, m := range b.members {
		best = max(best, m.weight)
	}
	return best
}
