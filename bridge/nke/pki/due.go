package pki

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// Due says why a server's certificate is to be made anew at time now, which is
// right: "" if it is not. It is when two thirds of its life are over, when it is
// not valid at all, as one is that was made by a wrong clock, and when one of
// the names is missing.
func Due(c *x509.Certificate, names []string, now time.Time) string {
	life := c.NotAfter.Sub(c.NotBefore)
	switch left := c.NotAfter.Sub(now); {
	case now.Before(Birth):
		return "" // a clock that says so is wrong
	case now.Before(c.NotBefore):
		return fmt.Sprintf("it is not valid before %s", c.NotBefore.UTC().Format(time.DateOnly))
	case left <= 0:
		return fmt.Sprintf("it ended on %s", c.NotAfter.UTC().Format(time.DateOnly))
	case left < life/3:
		return fmt.Sprintf("it ends on %s", c.NotAfter.UTC().Format(time.DateOnly))
	}
	if missing := Missing(c, names); len(missing) > 0 {
		return "it is not for " + strings.Join(missing, ", ")
	}
	return ""
}

// Missing returns those names that a certificate is not for.
func Missing(c *x509.Certificate, names []string) (missing []string) {
	for _, name := range names {
		if strings.HasPrefix(name, "*.") {
			name = "a" + name[1:]
		}
		if c.VerifyHostname(name) != nil {
			missing = append(missing, name)
		}
	}
	return missing
}
