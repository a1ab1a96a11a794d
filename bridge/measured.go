package bridge

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"ntsbridge/bridge/control/metrics"
)

// measured is what Prometheus reads.
type measured struct {
	handler http.Handler
	servers []*http.Server

	mu      sync.Mutex
	clients *metrics.Clients
	made    time.Time
}

func (m *measured) close() (err error) {
	for _, s := range m.servers {
		err = errors.Join(err, s.Close())
	}
	return err
}
