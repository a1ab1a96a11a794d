package report

// MaxPart bounds a part of a list, rows.
const MaxPart = 1000

// Part tells which part of a list somebody got. Cursors are text without
// meaning for who gets them.
type Part struct {
	Next  string // cursor of the next part; empty: there is none
	Prev  string // of the part before; empty: likewise
	First int    // place of its first row in the list, from 0
	Total int    // rows of the list
}
