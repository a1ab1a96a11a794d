package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/ntp"
)

// cookiesOpened bounds how long a cookie may be opened. The keys of all that time
// are worked out at a start, minute by minute.
const cookiesOpened = 10 * 8760 * time.Hour

// validate checks what goes beyond one option.
func (c *Config) validate(j *judge) {
	validateListen(j, "server.listen", c.Server.Listen)
	validateListen(j, "nts.listen", c.NTS.Listen)
	validateListen(j, "chronyc.listen", c.Chronyc.Listen)
	validateListen(j, "metrics.listen", c.Metrics.Listen)
	c.validateFastpath(j)
	limits := c.validateLimits(j)
	c.validateAccess(j, limits)
	c.validateKeys(j)
	c.validateAutokey(j)
	c.validateClock(j)
	c.validateSources(j)
	c.validateReferenceClocks(j)
	c.validateBroadcast(j)
	c.validateNTS(j)
	c.validateAPI(j)
	c.validateEtcd(j)
	c.validatePage(j)
}

func validateListen[T comparable](j *judge, path string, listen []T) {
	for i, a := range listen {
		if a != *new(T) && slices.Contains(listen[:i], a) {
			j.refuse(fmt.Sprintf("%s[%d]", path, i), "%v is in the list twice; delete one", a)
		}
	}
}

// validateLimits returns the names of the limits.
func (c *Config) validateLimits(j *judge) map[string]bool {
	names := make(map[string]bool)
	for i, l := range c.RateLimit.Limits {
		path := fmt.Sprintf("rate_limit.limits[%d].name", i)
		switch {
		case l.Name == "":
			j.refuse(path, "is missing; give the limit a name, so that access rules can refer to it")
		case l.Name == RateNone:
			j.refuse(path, "the name none stands for no limit; choose another one")
		case names[l.Name]:
			j.refuse(path, "%.60q is already the name of another limit; choose another one", l.Name)
		}
		names[l.Name] = true
	}
	return names
}

func (c *Config) validateAccess(j *judge, limits map[string]bool) {
	d := &c.Access.Default
	if len(d.Prefixes) > 0 {
		j.refuse("access.default.prefixes", "the default has no prefixes; write a rule below access.rules")
	}
	if d.SourcePort123 {
		j.refuse("access.default.source_port_123", `the default is for every source port; write a rule with `+
			`prefixes: ["0.0.0.0/0", "::/0"] below access.rules`)
	}
	d.validate(j, "access.default", limits)
	type entry struct {
		prefix  netip.Prefix
		port123 bool
	}
	seen := make(map[entry]string)
	for i := range c.Access.Rules {
		rule, path := &c.Access.Rules[i], fmt.Sprintf("access.rules[%d]", i)
		rule.validate(j, path, limits)
		if len(rule.Prefixes) == 0 {
			j.refuse(path+".prefixes", "is missing; write the networks that the rule is for")
		}
		for k, p := range rule.Prefixes {
			at := fmt.Sprintf("%s.prefixes[%d]", path, k)
			e := entry{p, rule.SourcePort123}
			if first, ok := seen[e]; ok && p.IsValid() {
				j.refuse(at, "%v is already in line %d; a network can have one rule (and one with source_port_123)",
					p, j.origins[first].Line)
			}
			seen[e] = at
		}
	}
}

func (a *AccessRule) validate(j *judge, path string, limits map[string]bool) {
	if a.Rate != RateNone && !limits[a.Rate] {
		j.refuse(path+".rate", "there is no limit %.60q; add it to rate_limit.limits, or write none", a.Rate)
	}
	if len(a.Kinds) == 0 {
		j.refuse(path+".kinds", "is empty; write action: deny if nobody is to be answered")
	}
	for i, k := range a.Kinds {
		if slices.Contains(a.Kinds[:i], k) {
			j.refuse(fmt.Sprintf("%s.kinds[%d]", path, i), "%v is in the list twice; delete one", k)
		}
	}
	if len(a.Keys) > 0 && !slices.Contains(a.Kinds, ntp.KindSymmetric) {
		j.refuse(path+".keys", "has no effect without the kind symmetric; add it to kinds, or delete keys")
	}
	if a.MSSNTP && !slices.Contains(a.Kinds, ntp.KindNone) {
		j.refuse(path+".ms_sntp", "has no effect without the kind none, which such requests count as; add it to kinds, or delete ms_sntp")
	}
	if a.MSSNTP && a.Action == ActionDeny {
		j.refuse(path+".ms_sntp", "has no effect with action: deny; delete it")
	}
	if a.Action == ActionDeny && len(a.Keys) > 0 {
		j.refuse(path+".keys", "has no effect with action: deny; delete it")
	}
}

func (c *Config) validateKeys(j *judge) {
	seen := make(map[string]bool)
	for i, f := range c.Keys.Files {
		path := fmt.Sprintf("keys.files[%d].path", i)
		switch {
		case f.Path == "":
			j.refuse(path, "is missing; write the name of the key file")
		case seen[f.Path]:
			j.refuse(path, "the file is in the list twice; delete one")
		}
		seen[f.Path] = true
	}
	if len(c.Keys.Trusted) > 0 && len(c.Keys.Files) == 0 {
		j.refuse("keys.trusted", "names keys, but keys.files names no file; add it, or delete the line")
	}
}

func (c *Config) validateAutokey(j *judge) {
	a := &c.Autokey
	for path, name := range map[string]string{"autokey.host": a.Host, "autokey.ident": a.Ident} {
		if strings.ContainsAny(name, "/ ") || name == "." || name == ".." {
			j.refuse(path, "%.60q cannot be part of a file name; write the name as ntp-keygen got it", name)
		}
	}
	if n := a.Budget.Clients; n&(n-1) != 0 {
		j.refuse("autokey.budget.clients", "%d is not a power of two; write such as 4096 or 8192", n)
	}
	if a.Enabled && a.KeysDir == "" {
		j.refuse("autokey.keysdir", "is missing; write the directory with the ntpkey_* files")
	}
	if a.Takeover.Enabled && !a.Enabled {
		j.refuse("autokey.takeover.enabled", "has no effect without autokey.enabled: true")
	}
	if a.Takeover.Enabled && a.Takeover.Until.IsZero() {
		j.refuse("autokey.takeover.until", "is missing; write the date on which the last of ntpd's clients "+
			"will have been restarted: anybody can forge the cookies that takeover accepts")
	}
}

func (c *Config) validateNTS(j *judge) {
	if k := c.NTS.Cookies; k.Rotation*time.Duration(k.Kept) > cookiesOpened {
		j.refuse("nts.cookies.kept", "cookies would be opened for %d times %s, above %s; lower it, or rotation", k.Kept,
			FormatDuration(k.Rotation), FormatDuration(cookiesOpened))
	}
	n := &c.NTS
	for i, cert := range n.Certificates {
		path := fmt.Sprintf("nts.certificates[%d]", i)
		if cert.Cert == "" {
			j.refuse(path+".cert", "is missing; write the file with the certificate chain (PEM)")
		}
		if cert.Key == "" {
			j.refuse(path+".key", "is missing; write the file with the private key (PEM)")
		}
	}
	n.ACME.validate(j)
	if len(n.AEADs) == 0 {
		j.refuse("nts.aeads", "is empty; write AES-SIV-CMAC-256, which every client has (RFC 8915), or delete the line")
	}
	for i, a := range n.AEADs {
		if slices.Contains(n.AEADs[:i], a) && a != 0 {
			j.refuse(fmt.Sprintf("nts.aeads[%d]", i), "%v is in the list twice; delete one", a)
		}
	}
	if n.Server != "" && !validHost(n.Server) {
		j.refuse("nts.server", "%.60q is neither a name nor an address; write it as clients would look it up", n.Server)
	}
	for i, name := range n.Names {
		if !validHost(name) {
			j.refuse(fmt.Sprintf("nts.names[%d]", i), "%.60q is neither a name nor an address", name)
		}
	}
	if n.Limits.Clients < n.Limits.Connections {
		j.refuse("nts.limits.clients", "%d is less than nts.limits.connections; write at least %d",
			n.Limits.Clients, n.Limits.Connections)
	}
	if n.Enabled && !n.Generate && len(n.Certificates) == 0 && n.ACME.Directory == "" {
		j.refuse("nts.certificates", "is missing, and nts.generate is false; write certificate and key, or nts.enabled: false")
	}
}

func (c *Config) validateFastpath(j *judge) {
	var names []string
	for i, s := range c.Server.FastpathInterfaces {
		path := fmt.Sprintf("server.fastpath_interfaces[%d]", i)
		name, _, err := FastpathInterface(s)
		switch {
		case err != nil:
			j.refuse(path, "%v", err)
		case slices.Contains(names, name):
			j.refuse(path, "%s is in the list twice; delete one", name)
		}
		names = append(names, name)
	}
}
