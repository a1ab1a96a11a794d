package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"ntsbridge/bridge/fleet/gate"
)

// Told is what a gateway knows of the others, so that a command can see all
// clients as the gateway does.
type Told struct {
	Self      string          `json:"self"`
	Gateways  []string        `json:"gateways"` // that told something, without this one
	Watched   []gate.Interval `json:"watched"`  // by all
	Forgotten uint64          `json:"forgotten"`
	Last      uint32          `json:"last_forgotten"`
	Stands    []Stand         `json:"stands"`
	Notes     []string        `json:"notes"`
}

// Stand is where a means of a group stands on a gateway.
type Stand struct {
	Gateway string `json:"gateway"`
	Place
}

// toldPart is a bucket of a gateway; without a gateway it is the end.
type toldPart struct {
	Gateway string `json:"gateway,omitempty"`
	Bucket  int    `json:"bucket,omitempty"`
	Facts   []byte `json:"facts,omitempty"`
}

// WriteTold writes what is known of the others, a line of JSON each: Told, parts of
// what each gateway told of its clients, and an empty object. own is when this
// gateway watched.
func (s *Site) WriteTold(w io.Writer, own []gate.Interval) error {
	t := Told{Self: s.Name(), Watched: s.Watched(own), Notes: s.Notes()}
	t.Forgotten, t.Last = s.Forgotten()
	v := s.View()
	t.Gateways = append([]string{}, v.names...)
	st := s.Status()
	for i := range st.Gateways {
		for _, p := range st.Gateways[i].Places {
			t.Stands = append(t.Stands, Stand{st.Gateways[i].Name, p})
		}
	}
	out := json.NewEncoder(w)
	if err := out.Encode(&t); err != nil {
		return err
	}
	for g, name := range v.names {
		for at, facts := range v.raw[g] {
			if len(facts) == 0 {
				continue
			}
			if err := out.Encode(toldPart{name, at, facts}); err != nil {
				return err
			}
		}
	}
	return out.Encode(toldPart{})
}

// ReadTold reads what WriteTold wrote, as of a moment, seconds since 1970.
func ReadTold(r io.Reader, now uint32) (*Told, *View, error) {
	in := json.NewDecoder(r)
	var t Told
	if err := in.Decode(&t); err != nil {
		return nil, nil, fmt.Errorf("what the other gateways told: %w", err)
	}
	raw := make([][Buckets][]byte, len(t.Gateways))
	for {
		var p toldPart
		err := in.Decode(&p)
		g := slices.Index(t.Gateways, p.Gateway)
		switch {
		case err == io.EOF:
			return nil, nil, fmt.Errorf("what the other gateways told is not whole: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return nil, nil, fmt.Errorf("what the other gateways told: %w", err)
		case p.Gateway == "":
			return &t, newView(now, t.Gateways, raw), nil
		case g < 0 || p.Bucket < 0 || p.Bucket >= Buckets:
			return nil, nil, errors.New("what the other gateways told has a part of no gateway")
		}
		raw[g][p.Bucket] = p.Facts
	}
}
