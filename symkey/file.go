package symkey

// Severity grades a Finding.
type Severity uint8

// The severities.
const (
	Note    Severity = iota // worth knowing
	Warning                 // works, but not as it seems or not safely
	Error                   // the line, or with ntpd the whole file, is void
)

// Format is the dialect of a key file.
type Format uint8

// The formats.
const (
	FormatAuto   Format = iota // see DetectFormat
	FormatNTP                  // ntpd 4.2.8
	FormatChrony               // chronyd
	FormatNTPsec               // ntpsec
)

// Finding is one remark about a line of a key file. It never contains a secret.
type Finding struct {
	Line     int // from 1
	Severity Severity
	Text     string
}

// File is a key file as its daemon would load it.
type File struct {
	Name     string
	Format   Format
	Keys     []*Key    // in file order, one per identifier
	Readable []*Key    // of a file that ntpd rejects: for reports only, never for use
	Findings []Finding // by line
}
