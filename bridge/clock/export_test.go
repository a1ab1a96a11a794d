package clock

// For tests from outside.
var SplitRate = splitRate

// PauseSignsOf returns the signs of a machine whose files are below root.
func PauseSignsOf(root string) []PauseSign { return openSigns(root).signs() }
