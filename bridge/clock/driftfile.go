package clock

// DriftForm is the form of a drift file.
type DriftForm uint8

// The forms.
const (
	DriftNTP    DriftForm = iota // ntpd's: the correction in ppm
	DriftChrony                  // chrony's: the oscillator's frequency and its skew in ppm
)
