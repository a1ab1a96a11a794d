package ntpd

import (
	"ntsbridge/bridge/convert/restrict"
)

// builtIn returns what holds without any line: nothing is restricted by ntpd,
// queries and rates by ntpsec.
func (c *reader) builtIn() restrict.Set {
	if c.Dialect == "ntpsec" {
		return restrict.FlagNoQuery | restrict.FlagLimited
	}
	return 0
}

// defaultFlags returns what holds for an address without an entry of its own:
// the flags that both families' defaults have.
func (c *reader) defaultFlags() restrict.Set {
	var four, six restrict.Set
	for _, s := range c.All("restrict") {
		if !s.Keyword || s.Address != "default" {
			continue
		}
		if s.Family != "-6" {
			four |= restrict.FlagsOf(s)
		}
		if s.Family != "-4" {
			six |= restrict.FlagsOf(s)
		}
	}
	return four&six | c.builtIn()
}
