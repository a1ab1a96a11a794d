package site

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"time"

	"ntsbridge/bridge/fleet/gate"
)

// About is what a gateway tells of itself.
type About struct {
	Version      string          `json:"version"`
	Synchronised bool            `json:"synchronised"`
	Clients      int             `json:"clients"`
	Watched      []gate.Interval `json:"watched"` // the last one goes on while it is here
	Forgotten    uint64          `json:"forgotten"`
	LastForgot   uint32          `json:"last_forgotten"`
	Certificate  time.Time       `json:"certificate"`         // when its first one of NTS-KE ends; zero: none
	Addresses    string          `json:"addresses,omitempty"` // how they are kept: inventory.Addresses.Scheme
}

// presence is the value of gateways/NAME.
type presence struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"` // of its state directory
	Started time.Time `json:"started"`
	Time    time.Time `json:"time"` // by its clock
	About
	Told bool   `json:"told"` // all that it knows of clients was told
	Plan uint64 `json:"plan"` // sequence of what it follows
}

// Place is where a means of a group stands on a gateway.
type Place struct {
	Group   string `json:"group"`
	Means   string `json:"means"`
	Stage   string `json:"stage"`
	Round   int    `json:"round,omitempty"`
	Rank    int    `json:"rank"`              // how far that is on the way of the plan
	Held    string `json:"held,omitempty"`    // why it does not move
	Trying  string `json:"trying,omitempty"`  // the step that runs
	Refuses bool   `json:"refuses,omitempty"` // somebody, now
}

// Places are all of a gateway, by the plan that it follows.
type Places struct {
	Plan  uint64  `json:"plan"`
	Held  string  `json:"held,omitempty"`
	Where []Place `json:"where"`
}

// Order is what an operator wants of all gateways.
type Order struct {
	Number  uint64    `json:"number"` // from 1
	Do      string    `json:"do"`     // hold, resume, rollback
	Group   string    `json:"group,omitempty"`
	Means   string    `json:"means,omitempty"`
	Who     string    `json:"who"`
	Gateway string    `json:"gateway"` // where it was given, and done at once
	Reason  string    `json:"reason,omitempty"`
	Time    time.Time `json:"time"`
}

// Shared is what all gateways follow. Its numbers only grow.
type Shared struct {
	Sequence uint64    `json:"sequence"` // of changes
	Plan     string    `json:"plan,omitempty"`
	PlanName string    `json:"plan_name,omitempty"`
	PlanAt   uint64    `json:"plan_at,omitempty"` // sequence when it was declared
	Who      string    `json:"who,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Force    bool      `json:"force,omitempty"`
	Declared time.Time `json:"declared,omitzero"`
	Orders   []Order   `json:"orders,omitempty"` // the last ones
	LastNo   uint64    `json:"last_order,omitempty"`
}

// maxOrders is how many orders are kept for gateways that are away.
const maxOrders = 500

// maxShared bounds what is written to one key, octets: etcd takes 1.5 MiB.
const maxShared = 1 << 20

// order adds one.
func (s *Shared) order(o Order) {
	s.LastNo++
	o.Number = s.LastNo
	s.Orders = append(s.Orders, o)
	s.Orders = s.Orders[max(0, len(s.Orders)-maxOrders):]
}

// Status is the site as people see it.
type Status struct {
	Name      string    `json:"name"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since"`           // it is, or is not
	Error     string    `json:"error,omitempty"` // why it is not, or what is broken beside
	Endpoints []string  `json:"endpoints"`
	Lock      string    `json:"lock,omitempty"` // gateway that refuses on trial
	Plan      uint64    `json:"plan"`
	Pending   int       `json:"pending"` // keys that are not told yet
	Behind    uint64    `json:"behind"`  // entries of the history that the site does not have yet
	Waiting   int       `json:"waiting"` // orders that wait for etcd
	Gateways  []Gateway `json:"gateways"`
	Secrets   string    `json:"secrets,omitempty"` // how they get here
}

// Gateway is one of the site, as it is seen from here.
type Gateway struct {
	Name     string    `json:"name"`
	Here     bool      `json:"here"`
	Since    time.Time `json:"since"`         // it is here, or is not; zero: it never was
	Why      string    `json:"why,omitempty"` // it does not count
	Ahead    float64   `json:"ahead"`         // its clock is before ours, seconds
	Clients  int       `json:"clients"`
	Version  string    `json:"version,omitempty"`
	Plan     uint64    `json:"plan"`
	Held     string    `json:"held,omitempty"`
	Places   []Place   `json:"places,omitempty"`
	Declared bool      `json:"declared"` // in fleet.etcd.gateways
}

// Figures are what metrics show.
type Figures struct {
	Connected   bool
	Sessions    uint64 // that began
	Requests    uint64
	Failures    uint64 // of them
	Writes      uint64 // keys written
	Pending     int
	Behind      uint64
	Waiting     int
	Size        int64 // of etcd's database, octets; 0: not known
	Gateways    int   // declared
	Here        int   // of them
	LastAnswer  time.Time
	LastLatency time.Duration
}

// kept is what outlives a restart.
type kept struct {
	ID      string  `json:"id"`                // of this state directory
	Shared  Shared  `json:"shared"`            // as last seen
	Plan    uint64  `json:"plan"`              // PlanAt of what is followed
	Order   uint64  `json:"order"`             // that was done last
	Secrets uint64  `json:"secrets,omitempty"` // generation of those in force
	Waiting []Order `json:"waiting,omitempty"` // given here while etcd was away
}

// member is a gateway as etcd tells of it.
type member struct {
	here    *presence // nil: it is not
	since   time.Time // of that, as it was seen here
	ahead   time.Duration
	skewed  bool // ahead is known
	places  Places
	buckets [Buckets][]byte
	told    uint64 // changes of them
}

// merged is how far the record of a gateway is in the history of the site.
type merged struct {
	Number uint64 `json:"number"`
	Hash   string `json:"hash"` // of that line, in the record of the gateway
}

// bucket is what is known of one of this gateway's keys.
type bucket struct {
	known uint64 // hash of what etcd has
	there bool   // etcd has something
	due   time.Time
	value []byte // that it is to have; if due is set
}

// Bundle is what gateways behind one address must have in common: the texts of
// files, empty if there is none.
type Bundle struct {
	Cookies  string `json:"cookies,omitempty"`
	Previous string `json:"previous,omitempty"` // secret before it
	Seeds    string `json:"seeds,omitempty"`    // of Autokey
}

// Format tells nothing of it, whatever the verb.
func (Bundle) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("site.Bundle(redacted)")) }

// Secrets hands out what is secret.
type Secrets struct {
	Key *ecdh.PrivateKey // of this gateway
	// Read reads the files of this gateway.
	Read func() (Bundle, error)
	// Same reports whether two are the same secrets, however far each was moved on.
	Same func(a, b Bundle) bool
	// Adopt puts what the site has into the files and in force, without losing what
	// the clients of this gateway have; first is set when it joins.
	Adopt func(of Bundle, first bool) error
}

// sealed is the value of secrets.
type sealed struct {
	Generation uint64            `json:"generation"`
	From       string            `json:"from"` // gateway that sealed it
	Time       time.Time         `json:"time"`
	To         map[string][]byte `json:"to"`
	Keys       map[string]string `json:"keys"` // that it was sealed to
}

// Errors of who asks.
var (
	// ErrAway says that etcd cannot be reached.
	ErrAway = errors.New("etcd is away")
	// ErrBusy says that another gateway refuses on trial.
	ErrBusy = errors.New("another gateway is trying a step")
	// errConflict says that a key was written by another one in between.
	errConflict = errors.New("somebody else wrote it at the same moment")
	errTaken    = errors.New("another gateway is called")
	errLost     = errors.New("this gateway's lease has ended")
	errWentBack = errors.New("etcd was restored from a backup")
)
