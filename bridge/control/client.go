package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"ntsbridge/bridge/convert/spell"
)

// ErrNoAnswer says that no daemon could be asked: it is not running, not yet,
// or elsewhere.
var ErrNoAnswer = errors.New("no answer")

// clientTimeout bounds a whole request.
const clientTimeout = 10 * time.Second

// Client asks a running daemon.
type Client struct {
	http *http.Client
	path string
	base string // URL of a gateway on another host; empty: a socket is asked
}

// NewClient returns a client for the socket at path.
func NewClient(path string) *Client { return NewReader(path, "") }

// NewReader returns a client for the socket at path. Who may not use that asks
// on the socket for everybody, readPath; empty: there is none.
func NewReader(path, readPath string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if errors.Is(err, fs.ErrPermission) && readPath != "" {
			if open, err := d.DialContext(ctx, "unix", readPath); err == nil {
				return open, nil
			}
		}
		return c, err
	}
	// Each command asks once; waitsync may ask daemons that come and go.
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	return &Client{path: path, http: &http.Client{Timeout: clientTimeout, Transport: transport}}
}

// Status returns what the daemon is, and what is the matter with it.
func (c *Client) Status() (*Status, error) { return fetch[*Status](c, pathStatus) }

// ServerStats returns the counters of the daemon.
func (c *Client) ServerStats() (*ServerStats, error) { return fetch[*ServerStats](c, pathServerStats) }

// NTS returns what the daemon's NTS server is and does.
func (c *Client) NTS() (*NTS, error) { return fetch[*NTS](c, pathNTS) }

// Tracking returns what the daemon knows of the clock.
func (c *Client) Tracking() (*Tracking, error) { return fetch[*Tracking](c, pathTracking) }

// Sources returns the daemon's sources.
func (c *Client) Sources() ([]Source, error) { return fetch[[]Source](c, pathSources) }

// SourceStats returns what was estimated from each source.
func (c *Client) SourceStats() ([]SourceStats, error) {
	return fetch[[]SourceStats](c, pathSourceStats)
}

// AuthData returns how each source is authenticated.
func (c *Client) AuthData() ([]AuthData, error) { return fetch[[]AuthData](c, pathAuthData) }

// SelectData returns how selection sees each source.
func (c *Client) SelectData() ([]SelectData, error) { return fetch[[]SelectData](c, pathSelectData) }

// MakeStep makes the daemon correct the clock's offset at once.
func (c *Client) MakeStep() error {
	return c.do(http.MethodPost, pathMakeStep, &struct{}{})
}

// Reload makes the daemon read its configuration again.
func (c *Client) Reload() error { return c.do(http.MethodPost, pathReload, &struct{}{}) }

func fetch[T any](c *Client, path string) (v T, err error) {
	err = c.do(http.MethodGet, path, &v)
	return v, err
}

func (c *Client) do(method, path string, into any) error { return c.send(method, path, nil, into) }

func (c *Client) send(method, path string, content []byte, into any) error {
	resp, err := c.ask(context.Background(), method, path, content, c.http)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerLen+1))
	switch {
	case err != nil:
		return fmt.Errorf("%w on %s: %w", ErrNoAnswer, c.path, err)
	case len(body) > maxAnswerLen:
		return fmt.Errorf("%s: the answer has more than %d octets", path, maxAnswerLen)
	case resp.StatusCode != http.StatusOK:
		return c.notAllowed(resp.StatusCode, refusal(path, resp, body))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: the answer cannot be understood: %w: the daemon may be another version", path, err)
	}
	return nil
}

// stream copies an answer of any length.
func (c *Client) stream(ctx context.Context, method, path string, body []byte, w io.Writer) error {
	patient := *c.http
	patient.Timeout = streamTime
	resp, err := c.ask(ctx, method, path, body, &patient)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		return c.notAllowed(resp.StatusCode, refusal(path, resp, text))
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("%s: the answer ends early: %w", c.path, err)
	}
	return nil
}

// ask sends a request; the caller closes the body of the answer.
func (c *Client) ask(ctx context.Context, method, path string, body []byte, by *http.Client) (*http.Response, error) {
	base := c.base
	if base == "" {
		base = "http://ntsbridge"
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := by.Do(req)
	if err != nil && c.base != "" {
		return nil, c.unreached(err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: the control socket is for the owner and the group of %s", cause(err), c.path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w on %s: %w: is ntsbridge running, with this --run-dir (%s)?", ErrNoAnswer, c.path, cause(err),
			filepath.Dir(c.path))
	}
	return resp, nil
}

// cause is err without the address that the HTTP client made up.
func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// printableLines keeps the lines of an error that has several, as that of a shut
// gate.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = spell.Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// refusal is what an answer without success means. One without our words comes
// from a daemon that does not know the path.
func refusal(path string, resp *http.Response, body []byte) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var p Problem
	if kind == kindProblem && json.Unmarshal(body, &p) == nil && p.Detail != "" && p.Place != "path" && p.Place != "method" {
		switch p.Type {
		case typeNoInventory:
			return ErrNoInventory
		case typeNoSources:
			return ErrNoSources
		}
		return errors.New(printableLines(p.Detail))
	}
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
		return fmt.Errorf("the running daemon does not know %s: it is older than this command; restart it", path)
	}
	return fmt.Errorf("%s: the daemon answers %s: it may be another version", path, resp.Status)
}
