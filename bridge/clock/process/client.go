package process

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/timebase"
)

// How long a request may be carried out, and how much longer an answer is
// waited for: what was given up is not done afterwards. A service manager may
// have to start the process first.
const (
	patience = 300 * time.Millisecond
	grace    = 150 * time.Millisecond
	begun    = 5 * time.Second
	// After one that came to nothing requests fail at once for a while, so
	// that the ticks of the driver stay where they are.
	rest = 600 * time.Millisecond
)

// ErrNoProcess says that the process which sets the clock does not answer.
var ErrNoProcess = errors.New("the process that sets the clock does not answer: is ntsbridge-clock.socket or `ntsbridge clock` running?")

// Client is the clock that a process at a socket sets.
type Client struct {
	clock.System // that is read and waited for
	path         string
	conn         *net.UnixConn // nil: not connected
	idle         time.Time     // until then nothing is asked
}

// Open asks the process at a socket whether it may set the clock and nobody
// else lets it. reading is the same clock, for what wants no privilege:
// clock.ReadOnlySystem. Errors are clock.ErrPrivilege (the process may not),
// clock.ErrLocked (another one steers) and ErrNoProcess. A process that ends
// later, and another one that comes, are noticed by the requests. The caller
// closes the client.
func Open(path string, reading clock.System) (*Client, error) {
	c := &Client{System: reading, path: path}
	if err := c.ask(request{verb: verbTake}, begun); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// OtherDaemon is clock.OtherDaemon as the process sees it, who sees the processes
// of others. It has a connection of its own.
func (c *Client) OtherDaemon() error {
	look := Client{path: c.path}
	return errors.Join(look.ask(request{verb: verbLook}, begun), look.Close())
}

// Close lets another one steer.
func (c *Client) Close() error {
	conn := c.conn
	if c.conn = nil; conn != nil {
		return conn.Close()
	}
	return nil
}

// Reset implements clock.System.
func (c *Client) Reset() error { return c.ask(request{verb: verbReset}, patience) }

// SetRate implements clock.System.
func (c *Client) SetRate(rate float64) error {
	return c.ask(request{verb: verbRate, first: int64(math.Float64bits(rate))}, patience)
}

// Step implements clock.System.
func (c *Client) Step(by int64) error { return c.ask(request{verb: verbStep, first: by}, patience) }

// SetStatus implements clock.System.
func (c *Client) SetStatus(s clock.Status) error {
	return c.ask(request{verb: verbStatus, synchronised: s.Synchronised, leap: s.Leap,
		first: int64(inRange(s.MaxError)), second: int64(inRange(s.EstError))}, patience)
}

// inRange is what the kernel makes of an error.
func inRange(d time.Duration) time.Duration { return min(max(d, 0), mostError) }

// SetTAI implements clock.System.
func (c *Client) SetTAI(seconds int) error {
	return c.ask(request{verb: verbTAI, first: int64(seconds)}, patience)
}

// ask has one request carried out.
func (c *Client) ask(r request, patience time.Duration) error {
	if err := r.judge(); err != nil {
		return err
	}
	if time.Now().Before(c.idle) {
		return c.fault(errors.New("it is left alone for a moment"))
	}
	r.until = timebase.Read().Raw + int64(patience)
	a, err := c.exchange(&r, time.Now().Add(patience+grace))
	if err != nil {
		_ = c.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.idle = time.Now().Add(rest)
		}
		return c.fault(err)
	}
	switch a.code {
	case codeDone:
		return nil
	case codeMayNot:
		return fmt.Errorf("the process at %s: %w", c.path, clock.ErrPrivilege)
	case codeTaken:
		return fmt.Errorf("%w, through %s: %s", clock.ErrLocked, c.path, a.why)
	}
	return fmt.Errorf("the process at %s: %s", c.path, a.why)
}

func (c *Client) fault(err error) error { return fmt.Errorf("%s: %w (%w)", c.path, ErrNoProcess, err) }

// exchange sends a request and reads the answer. What could not even be sent was
// for a process that is gone: it goes to the next one.
func (c *Client) exchange(r *request, until time.Time) (a answer, err error) {
	p := r.append(nil)
	fresh := c.conn == nil
	if err = c.send(p, until); err != nil && !fresh {
		_ = c.Close()
		err = c.send(p, until)
	}
	if err != nil {
		return a, err
	}
	var buffer [answerHeader + mostWhy + 1]byte
	n, err := c.conn.Read(buffer[:])
	if err != nil {
		return a, err
	}
	if a, err = parseAnswer(buffer[:n]); err == nil && a.verb != r.verb && a.code != codeRefused {
		err = errors.New("the answer is one to something else")
	}
	return a, err
}

// send connects where that is to be done, and sends.
func (c *Client) send(p []byte, until time.Time) error {
	if c.conn == nil {
		d := net.Dialer{Deadline: until}
		conn, err := d.Dial("unixpacket", c.path)
		if err != nil {
			return err
		}
		c.conn = conn.(*net.UnixConn)
	}
	if err := c.conn.SetDeadline(until); err != nil {
		return err
	}
	_, err := c.conn.Write(p)
	return err
}
