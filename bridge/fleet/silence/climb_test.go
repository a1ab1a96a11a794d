package silence

import (
	"testing"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// What chronyd 4.6.1, and 4.3 where that is said, asked while it was refused:
// how many requests at each poll exponent, one after the other. In each its
// requests were otherwise alike: leap indicator, stratum and all else before
// the transmit timestamp were 0.
var refusedChronyd = []struct {
	name    string
	another bool
	polls   [][2]int // exponent, requests
}{
	{"nobody else", false, [][2]int{{1, 10}, {2, 4}, {3, 4}, {4, 4}, {5, 4}}},
	{"nobody else, on the way to the next poll", false, [][2]int{{3, 9}, {4, 2}}},
	{"followed us, and follows us still", true, [][2]int{{1, 11}, {2, 10}, {3, 10}, {4, 10}}},
	{"followed us, and fails over later", true, [][2]int{{1, 12}, {2, 10}, {3, 10}, {4, 5}, {5, 2}}},
	{"followed another one", false, [][2]int{{1, 5}, {2, 4}, {3, 4}, {4, 4}, {5, 4}, {6, 1}}}, // which four times the poll shows before
	{"4.3, nobody else", false, [][2]int{{1, 10}, {2, 4}, {3, 4}, {4, 4}, {5, 4}}},
	{"4.3, followed us, and failed over at the twenty-first", true, [][2]int{{1, 12}, {2, 9}, {3, 4}, {4, 4}, {5, 4}}},
	{"4.3, failed over at once", false, [][2]int{{1, 8}, {2, 4}, {3, 4}, {4, 4}, {5, 4}}}, // which looks as if it had nobody
	{"one poll alone", false, [][2]int{{1, 51}}},
}

func TestClimb(t *testing.T) {
	for _, x := range refusedChronyd {
		for every := 1; every <= 3; every++ { // looked at after so many requests
			var c Climb
			c.See(time.Second<<x.polls[0][0], 0)
			lost := uint32(0)
			for _, p := range x.polls {
				for range p[1] {
					if lost++; int(lost)%every == 0 {
						c.See(time.Second<<p[0], lost)
					}
				}
			}
			if c.HasAnother() != x.another {
				t.Errorf("%s, looked at each %d: another server %v", x.name, every, c.HasAnother())
			}
			k := &inventory.Client{Hosts: 1, Last: now, Means: []inventory.Means{{Kind: ntp.KindNone, Program: inventory.Chrony,
				Interval: 64 * time.Second, Unanswered: uint16(lost), Last: now, Served: now - 3000, Answered: 9}}}
			if j := Judge(&Case{Client: k, Now: now, Watched: 1, Climb: &c}, 0); (j.Verdict == HasAnother && j.Certain) != x.another {
				t.Errorf("%s: %+v", x.name, j)
			}
			c.See(time.Second, 0)
			if c.HasAnother() {
				t.Errorf("%s: after an answer it is judged by what was before", x.name)
			}
		}
	}
}
