// Package simulate says beforehand what a planned policy does to the clients of
// an inventory, recorded or read from a capture: who continues and by what, who
// falls silent and since when it has an alternative, and what NTS-KE has to
// bear.
//
// Who is refused is asked of the same tables that the serving path asks
// (access.Table with the overlay that stage.Compile makes), so that what is
// predicted of a packet is what becomes of it. What a client does then is
// judged by what it showed:
//
//	unchanged      the policy takes nothing from it
//	continues      it loses a means, and uses one that stays, which is better or newer
//	elsewhere      it falls silent here, and has another server: certain by what it showed
//	silent         it falls silent, and no alternative is known
//	cannot-tell    several hosts are behind its address, or the address is hashed
//	refused        it is not answered now either
//	away           it was not seen for so long that it counts as gone
//
// Pure: time is an argument.
package simulate
