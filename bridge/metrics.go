package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control/metrics"
	"ntsbridge/bridge/fleet/gate"
)

// clientsAge is how old the figures of the inventory may be that are shown:
// they are made by looking at every client.
const clientsAge = 30 * time.Second

// exposeMetrics answers Prometheus on metrics.listen. Without it all else works.
func (b *Bridge) exposeMetrics(cfg *config.Config) {
	for i, a := range cfg.Metrics.Listen {
		l, err := net.Listen("tcp", a.String())
		if err != nil {
			b.log.Error("metrics are not served everywhere", "error", err)
			b.noted = append(b.noted, fmt.Sprintf("metrics.listen[%d]: %v", i, err))
			continue
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", b.metrics.handler)
		s := &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 16 << 10}
		b.metrics.servers = append(b.metrics.servers, s)
		go func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				b.log.Error("metrics are not served any more", "address", a.String(), "error", err)
			}
		}()
		b.log.Info("serving metrics", "address", l.Addr().String())
	}
}

// metricsState is the daemon as Prometheus sees it now.
func (b *Bridge) metricsState() *metrics.State {
	s := &metrics.State{Version: Version(), Stats: b.ServerStats(), Snapshot: b.snapshot(), Problems: len(b.status().Problems),
		Requests: b.requests, Events: b.told}
	if b.ke != nil {
		s.KE = &metrics.KeyExchange{Connections: b.ke.Counters().Active}
		for _, c := range b.ke.Status(time.Now()).Certificates {
			s.KE.Certificates = append(s.KE.Certificates, metrics.Certificate{File: c.Files.Certificate, NotAfter: c.NotAfter})
		}
	}
	p := b.parts.Load()
	s.Autokey = p.autokey != nil
	if p.cfg.Fleet.Enabled {
		s.Clients, s.Fleet = b.withSize(b.measuredClients()), b.migration.Figures(time.Now())
		s.Site = b.site.Figures()
	}
	return s
}

// withSize adds how full the inventory is, and whether it is kept.
func (b *Bridge) withSize(counted *metrics.Clients) *metrics.Clients {
	if counted == nil {
		return nil
	}
	size, c := b.fleet.Size(), *counted
	c.Held, c.Forgotten, c.Lost, c.Behind = size.Clients, size.Full.Forgotten, size.Lost, size.Behind != nil
	watched, _ := b.fleet.Watching()
	c.Watched = gate.ContinuousSince(intervals(watched), uint32(time.Now().Unix()), time.Hour)
	return &c
}

// measuredClients counts the clients by what they use, now and then.
func (b *Bridge) measuredClients() *metrics.Clients {
	m := &b.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clients != nil && time.Since(m.made) < clientsAge {
		return m.clients
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	summary, err := b.fleet.Summary(ctx, "0,0")
	if err != nil {
		return m.clients
	}
	m.clients, m.made = &metrics.Clients{ByMeans: map[string]int{}, Capacity: summary.Capacity, Lost: summary.Lost}, time.Now()
	for _, g := range summary.Groups[:1] { // all
		for means, at := range g.Best {
			m.clients.ByMeans[means] = at["now"]
		}
	}
	return m.clients
}
