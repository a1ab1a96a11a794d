package clock

// For tests from outside.
var SplitRate = splitRate
