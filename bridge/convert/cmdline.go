package convert

import (
	"io/fs"
	"strings"
)

// startFiles are where distributions keep ntpd's command line.
var startFiles = []string{"etc/default/ntp", "etc/default/ntpsec", "etc/sysconfig/ntpd", "etc/sysconfig/ntp"}

// startOptions are the options of ntpd that are configuration, and what they
// mean.
var startOptions = map[string]string{
	"-A": "disable auth", "--authnoreq": "disable auth", "-b": "broadcastclient", "-k": "keys", "-t": "one more trusted key",
	"-I": "the network interfaces that are used", "-L": "no virtual interfaces", "-4": "IPv4 only", "-6": "IPv6 only",
	"-x": "the clock is never stepped", "-f": "driftfile", "-c": "another configuration file", "--trustedkey": "one more trusted key",
	"--keyfile": "keys", "--interface": "the network interfaces that are used",
}

// commandLine tells of options of ntpd's command line that change what its
// file means. They are told, not converted: which of the files counts depends
// on how ntpd is started.
func (c *conversion) commandLine() {
	if c.in.Files == nil {
		return
	}
	for _, name := range startFiles {
		data, err := fs.ReadFile(c.in.Files, name)
		if err != nil || len(data) > 1<<16 {
			continue
		}
		for line := range strings.Lines(string(data)) {
			variable, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			if !ok || !strings.Contains(variable, "OPT") && !strings.Contains(variable, "ARGS") || strings.HasPrefix(variable, "#") {
				continue
			}
			for _, word := range strings.Fields(strings.Trim(value, `"'`)) {
				option, _, _ := strings.Cut(word, "=")
				if meaning := startOptions[option]; meaning != "" {
					c.report.note(Dangerous, "command-line", "add it to the configuration, and convert again",
						"/%s starts ntpd with %s (%s), which is not in the file", name, printable(option), meaning)
				}
			}
		}
	}
}
