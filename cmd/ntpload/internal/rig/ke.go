//go:build linux

package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// KEConfig is a comparison of what key establishments cost two servers.
type KEConfig struct {
	A, B          Spec
	Certificates  []string // of CertificateKinds
	Groups        []string // key exchanges as the flag of "ke" names them
	Count, Slices int      // handshakes of a slice, slices of each server
	ServerCore    int
	GeneratorCore int
	First         bool
	Progress      io.Writer // a line per row
}

// CompareKE starts both servers with each kind of certificate, and establishes
// keys with them in turn, with a client that offers one key exchange.
func CompareKE(ctx context.Context, c *KEConfig) (*KETable, error) {
	if err := tools(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n, err := newNetwork(ctx, os.Getpid())
	if err != nil {
		return nil, err
	}
	defer n.close()
	t := &KETable{A: c.A.Text, B: c.B.Text}
	r := &keRunner{KEConfig: c, network: n, self: self}
	for _, kind := range c.Certificates {
		rows, err := r.certificate(ctx, kind)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", kind, err)
		}
		t.Rows = append(t.Rows, rows...)
	}
	return t, nil
}

type keRunner struct {
	*KEConfig
	network *network
	self    string
}

// certificate measures both servers with one kind of certificate.
func (r *keRunner) certificate(ctx context.Context, kind string) (rows []KERow, err error) {
	m, err := newMaterialOf(kind)
	if err != nil {
		return nil, err
	}
	var sides [2]*side
	var setups [2]*setup
	for i, spec := range []Spec{r.A, r.B} {
		u, err := spec.prepare(m, r.network.links[i], r.self)
		if err != nil {
			return nil, err
		}
		defer u.remove()
		s := &side{}
		defer s.stop()
		s.server = child(ctx, append(prefix(u.namespace, r.ServerCore, r.First), u.command...), &s.serverSaid)
		s.server.Stdout = &s.serverSaid
		if err := s.server.Start(); err != nil {
			return nil, err
		}
		sides[i], setups[i] = s, u
	}
	for _, group := range r.Groups {
		row := KERow{Certificate: kind, Group: group}
		row.measure(func(which []int) ([][]time.Duration, error) { return r.measure(ctx, sides, setups, group, which) })
		fmt.Fprintln(r.Progress, strings.Join(row.cells(), "  "))
		rows = append(rows, row)
		if row.Err != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("%s: %w\nA said:\n%s\nB said:\n%s", group, row.Err, sides[0].lastWords(), sides[1].lastWords())
		}
	}
	return rows, ctx.Err()
}

// measure runs the client against some of the servers, by their index.
func (r *keRunner) measure(ctx context.Context, sides [2]*side, setups [2]*setup, group string, which []int) ([][]time.Duration, error) {
	words := append(prefix(r.network.generator, r.GeneratorCore, r.First), r.self, "ke", "--ca", filepath.Join(setups[0].dir, certFile),
		"--name", serverName, "--group", group, "--count", fmt.Sprint(r.Count), "--slices", fmt.Sprint(r.Slices), "--ready", readyTime,
		"--format", "json")
	for _, i := range which {
		words = append(words, fmt.Sprintf("%s:4460,pid=%d", setups[i].addr, sides[i].server.Process.Pid))
	}
	var said, out bytes.Buffer
	client := child(ctx, words, &said)
	client.Stdout = &out
	if err := client.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	var cpu [][]time.Duration
	return cpu, json.Unmarshal(out.Bytes(), &cpu)
}

// KERow is one kind of certificate with one key exchange: CPU time of each
// slice, empty of a server that does not know the key exchange.
type KERow struct {
	Certificate, Group string
	A, B               []time.Duration
	Err                error // neither could be measured
}

// measure measures both; if that fails, each alone.
func (row *KERow) measure(run func(which []int) ([][]time.Duration, error)) {
	both, err := run([]int{0, 1})
	if err == nil {
		row.A, row.B = both[0], both[1]
		return
	}
	for i, to := range []*[]time.Duration{&row.A, &row.B} {
		one, alone := run([]int{i})
		if alone == nil {
			*to, err = one[0], nil
		}
	}
	if row.A == nil && row.B == nil {
		row.Err = err
	}
}

// MedianOf returns the median, 0 of none.
func MedianOf(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}

var keColumns = []string{"certificate", "key exchange", "A us/handshake", "B us/handshake", "B/A"}

func (row *KERow) cells() []string {
	ratio := "-"
	if len(row.A) > 0 && len(row.B) > 0 {
		var ratios []float64
		for i := range row.A {
			ratios = append(ratios, float64(row.B[i])/float64(max(1, row.A[i])))
		}
		s := Summarise(ratios)
		ratio = fmt.Sprintf("%.2f (%.2f..%.2f)", s.Median, s.Min, s.Max)
	}
	return []string{row.Certificate, row.Group, microseconds(row.A), microseconds(row.B), ratio}
}

func microseconds(v []time.Duration) string {
	if len(v) == 0 {
		return "not known"
	}
	return fmt.Sprintf("%d (%d..%d)", MedianOf(v).Microseconds(), slices.Min(v).Microseconds(), slices.Max(v).Microseconds())
}
