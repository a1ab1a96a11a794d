package process

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/ntp"
)

// verb is what is asked for.
type verb uint8

const (
	verbTake   verb = iota + 1 // only to be the one who steers
	verbReset                  // clock.System.Reset
	verbRate                   // first: the rate, s/s, IEEE 754
	verbStep                   // first: ns
	verbStatus                 // first: largest error, second: estimated error, ns; synchronised; leap
	verbTAI                    // first: s
	verbLook                   // whether another program steers the clock
	verbLast   = verbLook
)

// Ranges of arguments. What the kernel is told of an error ends at 16 s.
const (
	mostRate   = 0.1
	mostError  = 16 * time.Second
	mostTAI    = 255
	yearsApart = 111 // from the earliest time that a clock may be set to, to the latest
	mostStep   = yearsApart * 366 * 24 * int64(time.Hour)
)

// request is one message of a client: 32 octets, all of the machine's order.
//
//	0  magic
//	4  verb
//	5  1: synchronised
//	6  leap second
//	7  0
//	8  until when it may be done, on CLOCK_MONOTONIC_RAW, ns
//	16 first argument
//	24 second argument
type request struct {
	verb         verb
	synchronised bool
	leap         ntp.Leap
	until        int64
	first        int64
	second       int64
}

// magic has the version of the protocol: both sides are of one program, but a
// process may run on while the program is replaced.
const magic = "ntc\x01"

const requestLength = 32

func (r *request) append(p []byte) []byte {
	p = append(p, magic...)
	p = append(p, byte(r.verb), 0, byte(r.leap), 0)
	if r.synchronised {
		p[len(p)-3] = 1
	}
	for _, v := range []int64{r.until, r.first, r.second} {
		p = binary.NativeEndian.AppendUint64(p, uint64(v))
	}
	return p
}

var errMalformed = errors.New("this is no request: is it the same version on both sides?")

// parse reads a request and judges its arguments. What a verb does not have is 0.
func parse(p []byte) (r request, err error) {
	if len(p) != requestLength || string(p[:4]) != magic || p[5] > 1 || p[7] != 0 {
		return r, errMalformed
	}
	r = request{verb: verb(p[4]), synchronised: p[5] == 1, leap: ntp.Leap(p[6])}
	for i, v := range []*int64{&r.until, &r.first, &r.second} {
		*v = int64(binary.NativeEndian.Uint64(p[8+8*i:]))
	}
	if r.verb != verbStatus && (r.synchronised || r.leap != ntp.LeapNone || r.second != 0) {
		return r, errMalformed
	}
	return r, r.judge()
}

// judge tells whether the arguments are within their ranges.
func (r *request) judge() error {
	switch r.verb {
	case verbTake, verbReset, verbLook:
		if r.first != 0 {
			return errMalformed
		}
	case verbRate:
		if rate := r.rate(); !(math.Abs(rate) <= mostRate) {
			return fmt.Errorf("a rate of %g is out of range", rate)
		}
	case verbStep:
		if r.first > mostStep || r.first < -mostStep {
			return fmt.Errorf("a step of %d ns is out of range", r.first)
		}
	case verbStatus:
		for _, v := range []int64{r.first, r.second} {
			if v < 0 || v > int64(mostError) {
				return fmt.Errorf("an error of %d ns is out of range", v)
			}
		}
		if r.leap > ntp.LeapDelete {
			return fmt.Errorf("%d is no leap second", r.leap)
		}
	case verbTAI:
		if r.first < 0 || r.first > mostTAI {
			return fmt.Errorf("TAI-UTC of %d s is out of range", r.first)
		}
	default:
		return errMalformed
	}
	return nil
}

func (r *request) rate() float64 { return math.Float64frombits(uint64(r.first)) }

func (r *request) status() clock.Status {
	return clock.Status{Synchronised: r.synchronised, Leap: r.leap, MaxError: time.Duration(r.first), EstError: time.Duration(r.second)}
}

// code is what came of a request.
type code uint8

const (
	codeDone    code = iota
	codeFailed       // the kernel did not
	codeMayNot       // the process may not set the clock
	codeRefused      // what was asked is not allowed
	codeTaken        // another process steers
	codeLate         // it came too late, and was not done
	codeLast    = codeLate
)

// answer is a message of the server: magic, verb, code, and why, in UTF-8.
type answer struct {
	verb verb
	code code
	why  string
}

const (
	answerHeader = 6
	mostWhy      = 400
)

func (a *answer) append(p []byte) []byte {
	p = append(append(p, magic...), byte(a.verb), byte(a.code))
	return append(p, a.why[:min(len(a.why), mostWhy)]...)
}

func parseAnswer(p []byte) (a answer, err error) {
	if len(p) < answerHeader || len(p) > answerHeader+mostWhy || string(p[:4]) != magic || code(p[5]) > codeLast {
		return a, errors.New("this is no answer: is it the same version on both sides?")
	}
	why := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(p[answerHeader:]))
	return answer{verb: verb(p[4]), code: code(p[5]), why: why}, nil
}
