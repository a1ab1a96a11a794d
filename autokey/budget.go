package autokey

import "fmt"

// Budget bounds the public-key operations of a server and what a single
// client can ask for. A unit is about a microsecond of one processor core; for
// a client it is also an octet by which an answer is longer than its request.
type Budget struct {
	Rate  int // units gained per second. Default 250000: a quarter of a core
	Burst int // units that can be saved. Default 1000000

	ClientRate  int // units gained per second and client. Default 2000: a signature of 2048 bits
	ClientBurst int // units that a client can save. Default 100000: the whole dance with 4096 bits
	Clients     int // clients remembered, rounded up to a power of two. Default 4096
	Answers     int // recent answers remembered. Default 1024
}

// The defaults of Budget.
const (
	DefaultRate        = 250_000
	DefaultBurst       = 1_000_000
	DefaultClientRate  = 2_000
	DefaultClientBurst = 100_000
	DefaultClients     = 4096
	DefaultAnswers     = 1024
)

func (b *Budget) check() error {
	for _, f := range []struct {
		value *int
		def   int
		name  string
	}{
		{&b.Rate, DefaultRate, "rate"},
		{&b.Burst, DefaultBurst, "burst"},
		{&b.ClientRate, DefaultClientRate, "client rate"},
		{&b.ClientBurst, DefaultClientBurst, "client burst"},
		{&b.Clients, DefaultClients, "clients"},
		{&b.Answers, DefaultAnswers, "answers"},
	} {
		if *f.value < 0 || *f.value > 1<<30 {
			return fmt.Errorf("%w: budget: %s is %d, must be 0 to 2^30", ErrConfig, f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	return nil
}
