package page

import _ "embed"

// contrastScript returns what in a page has less contrast than WCAG 2.2 AA asks
// for: 4.5 of text, 3 of large text, of the frames of fields and buttons, and of
// the marks of plots.
//
//go:embed testdata/contrast.js
var contrastScript string

// audit is what contrastScript returns.
type audit struct {
	Faults []string `json:"faults"`
	Text   int      `json:"text"`
	Frames int      `json:"frames"`
	Marks  int      `json:"marks"`
}

// overflowScript returns what stands out of the window to the right, where
// somebody would have to scroll the whole page.
//
//go:embed testdata/overflow.js
var overflowScript string
