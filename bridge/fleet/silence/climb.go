package silence

import "time"

// Climb is what is seen of a chronyd while it is refused: after how many losses
// it asks less often. The zero value is one that was not looked at yet.
type Climb struct {
	poll    time.Duration // as of the last look
	lost    uint32        // its losses in a row then
	step    uint32        // at the latest after so many it went to that poll; 0: it has not
	another bool
}

// Losses, as they were seen of chronyd 4.6.1.
const (
	climbAlone = 12 // after so many at the latest, one that has nobody else climbs by the faster rule
	climbSlow  = 6  // more than one that does not follow us lets go by from poll to poll
)

// See takes the poll and the losses in a row of a chronyd, looked at as often as
// may be.
func (c *Climb) See(poll time.Duration, lost uint32) {
	if lost < c.lost || c.poll == 0 {
		*c = Climb{poll: poll, lost: lost}
		return
	}
	if poll > c.poll {
		// It came after more than c.lost losses.
		if poll == 2*c.poll && c.lost >= max(c.step, climbAlone)+climbSlow {
			c.another = true
		}
		c.step = lost
	}
	c.poll, c.lost = poll, lost
}

// HasAnother tells whether it follows us still, after so many losses: that is
// what one does that another server keeps content.
func (c *Climb) HasAnother() bool { return c != nil && c.another }
