//go:build linux

package attack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/symkey"
)

// Config is an attack on one server.
type Config struct {
	Server netip.AddrPort
	From   netip.Prefix // of clients and attackers, routed to this namespace
	Key    *symkey.Key
	TLS    *tls.Config
	Time   time.Duration // of each flood
	Asks   int           // of each client during a flood
	Rate   int           // packets a second of the floods at the full rate
	Only   string        // floods whose name contains it
	NTPD   NTPD          // real daemons, if there are

	host *keyfile.Host // of Autokey clients
}

// ErrHurt says that a flood cost clients that can be told from it their service.
var ErrHurt = errors.New("a flood cost clients that can be told from it more than one answer in twenty")

// Run runs every flood and prints a line for each.
func Run(ctx context.Context, c Config, w io.Writer) error {
	host, err := autokeyHost("client.example")
	if err != nil {
		return err
	}
	c.host = host
	victims, err := c.victims(ctx)
	if err != nil {
		return err
	}
	daemons, remove, err := c.ntpds(ctx)
	if remove != nil {
		defer remove()
	}
	if err != nil {
		return err
	}
	victims = append(victims, daemons...)
	fmt.Fprintln(w, c.whose())
	fmt.Fprintf(w, "%-15s", "flood")
	for _, v := range victims {
		fmt.Fprintf(w, " %8s", v.name)
	}
	fmt.Fprintln(w)
	hurt := false
	for _, f := range floods {
		if !strings.Contains(f.name, c.Only) {
			continue
		}
		shares, err := c.under(ctx, f, victims)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-15s", f.name)
		for i, v := range victims {
			fmt.Fprintf(w, " %8s", shares[i])
			hurt = hurt || v.held && !slices.Contains(strings.Fields(f.like), v.name) && shares[i].hurt()
		}
		fmt.Fprintf(w, "  %s\n", f.what)
	}
	if hurt {
		return ErrHurt
	}
	return nil
}

// whose says what asks by Autokey.
func (c *Config) whose() string {
	own := "autokey and newcomer are clients of this program's own"
	if c.NTPD.Root == "" {
		return own + "; there is no real ntpd (--peers)"
	}
	return own + "; ntpd and ntpd-new are ntpd 4.2.8 of " + c.NTPD.Root
}

// share is how many requests of a client were answered.
type share struct{ answered, asked int }

func (s share) String() string { return fmt.Sprintf("%d/%d", s.answered, s.asked) }

// hurt tells whether more than one answer in twenty is missing, or more than
// one of fewer.
func (s share) hurt() bool { return s.asked == 0 || s.answered == 0 || s.answered < s.asked*95/100 }

// under counts the answers of each client during a flood.
func (c *Config) under(ctx context.Context, f flood, victims []*client) ([]share, error) {
	flooding, stop := context.WithTimeout(ctx, c.Time+30*time.Second)
	defer stop()
	var floods, clients sync.WaitGroup
	floods.Go(func() { f.run(flooding, c, victims) })
	defer floods.Wait()
	defer stop()
	shares := make([]share, len(victims))
	for i, v := range victims {
		clients.Go(func() {
			if v.during != nil {
				shares[i].answered, shares[i].asked = v.during(ctx, c.Time)
				return
			}
			ticker := time.NewTicker(c.Time / time.Duration(c.Asks))
			defer ticker.Stop()
			for range c.Asks {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
				shares[i].asked++
				if v.ask(ctx, v) {
					shares[i].answered++
				}
			}
		})
	}
	clients.Wait()
	return shares, ctx.Err()
}
