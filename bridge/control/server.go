package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Sources are where the answers come from.
type Sources struct {
	ServerStats func() *ServerStats
}

// Server is the local API. Access is by file permissions: the socket is for
// its owner and group.
type Server struct {
	http *http.Server
	done chan struct{}
	path string
}

const pathServerStats = "/v1/serverstats"

// Listen serves on a Unix socket. A socket left over by a dead daemon is
// replaced; one that answers is an error.
func Listen(path string, src Sources, log hclog.Logger) (*Server, error) {
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("control socket %s: another ntsbridge answers on it; stop it, or give this one its own --run-dir", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("control socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathServerStats, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(src.ServerStats()); err != nil {
			log.Debug("answer not sent", "error", err)
		}
	})
	s := &Server{http: &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		MaxHeaderBytes: 16 << 10}, done: make(chan struct{}), path: path}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("control socket closed", "error", err)
		}
	}()
	return s, nil
}

// Close stops the API and removes the socket.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	<-s.done
	return err
}

// Client asks a running daemon.
type Client struct {
	http *http.Client
	path string
}

// NewClient returns a client for the socket at path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial}}}
}

// ServerStats returns the counters of the daemon.
func (c *Client) ServerStats() (*ServerStats, error) {
	stats := new(ServerStats)
	return stats, c.get(pathServerStats, stats)
}

func (c *Client) get(path string, into any) error {
	resp, err := c.http.Get("http://ntsbridge" + path)
	if err != nil {
		return fmt.Errorf("no answer on %s: %w: is ntsbridge running, with this --run-dir (%s)?", c.path, err, filepath.Dir(c.path))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: the daemon answers %s: it may be another version", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
