package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ServerName reports why a text is neither the address nor the name of a server,
// as sources[].server takes it: an address without brackets, IPv6 also with the
// zone of a link, or a name of letters, digits, hyphens and underscores. What is
// written in another form has a remedy.
func ServerName(text string) error {
	if _, err := netip.ParseAddr(text); err == nil {
		return nil
	}
	switch {
	case text == "":
		return errors.New("is missing; write the name or address of the server")
	case strings.Contains(text, "://"):
		return fmt.Errorf("%.60q is a URL; write the name or address alone", text)
	case strings.HasPrefix(text, "["):
		return fmt.Errorf("%.60q has brackets; write the address alone, and a port below it, as port or nts_port", text)
	case strings.Contains(text, "/"):
		return fmt.Errorf("%.60q is a network or a path; write the name or address of one server", text)
	case strings.Count(text, ":") == 1:
		return fmt.Errorf("%.60q has a port; write the port below it, as port or nts_port", text)
	}
	labels := strings.Split(strings.TrimSuffix(text, "."), ".")
	for _, label := range labels {
		switch at := strings.IndexFunc(label, notOfName); {
		case label == "":
			return fmt.Errorf("%.60q is no name: there is nothing between two dots", text)
		case at >= 0:
			return fmt.Errorf("%.60q is neither an address nor a name: %q is not of one; write a name in letters, digits and hyphens",
				text, []rune(label[at:])[0])
		case len(label) > 63 || len(text) > 254:
			return fmt.Errorf("%.60q is longer than a name can be", text)
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return fmt.Errorf("%.60q is neither an address nor a name", text)
	}
	return nil
}

func notOfName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}
