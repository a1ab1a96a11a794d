package job

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
)

// startFiles are where distributions keep a daemon's command line, and which
// variables have it.
var startFiles = map[string][]string{
	"etc/default/ntp": {"NTPD_OPTS"}, "etc/default/ntpsec": {"NTPD_OPTS"},
	"etc/sysconfig/ntpd": {"OPTIONS", "NTPD_OPTIONS"}, "etc/sysconfig/ntp": {"NTPD_OPTIONS", "OPTIONS"},
	"etc/conf.d/ntpd": {"NTPD_OPTS", "NTPD_ARGS"}, "etc/rc.conf": {"ntpd_flags"},
	"etc/default/chrony": {"DAEMON_OPTS"}, "etc/sysconfig/chronyd": {"OPTIONS"}, "etc/conf.d/chronyd": {"ARGS"},
}

// unitDirs are where systemd's unit files are.
var unitDirs = []string{"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}

// startOptions are the options of ntpd that are configuration and have to be
// added to the file, and what they mean.
var startOptions = map[string]string{
	"-A": "disable auth", "--authnoreq": "disable auth", "-b": "broadcastclient", "--bcastsync": "broadcastclient",
	"-t": "one more trusted key", "--trustedkey": "one more trusted key",
	"-L": "no virtual interfaces", "--novirtualips": "no virtual interfaces", "-c": "another configuration file",
	"--configfile": "another configuration file",
}

// valued are the short options of ntpd that take a value.
const valued = "cfijklpstuDIPUV"

// CommandLine finds the daemon's command line: as the operator gave it, or in
// the files of the host.
func (c *Job) CommandLine() {
	if c.Opt.DaemonOptions != "" {
		c.startOptions("the command line", c.Opt.DaemonOptions)
		return
	}
	if c.In.Files == nil {
		return
	}
	names := make([]string, 0, len(startFiles))
	for name := range startFiles {
		if strings.Contains(name, "chrony") == (c.Dialect == "chrony") && (!strings.Contains(name, "ntpsec") || c.Dialect == "ntpsec") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for variable, value := range c.assignments(name) {
			switch {
			case slices.Contains(startFiles[name], variable):
				c.startOptions("/"+name, value)
			case variable == "ntpd_sync_on_start" && strings.EqualFold(value, "yes"):
				c.startOptions("/"+name, "-g")
			}
		}
	}
	c.unitFiles()
}

// assignments returns the variables that a file of a shell sets.
func (c *Job) assignments(name string) map[string]string {
	found := make(map[string]string)
	data, err := fs.ReadFile(c.In.Files, name)
	if err != nil || len(data) > 1<<16 {
		return found
	}
	for line := range strings.Lines(string(data)) {
		variable, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(variable, "#") {
			value, _, _ = strings.Cut(value, " #")
			found[strings.TrimSpace(strings.TrimPrefix(variable, "export "))] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return found
}

// unitFiles reads the command line of units that have it in themselves.
func (c *Job) unitFiles() {
	daemon := map[string]string{"ntp": "ntpd", "ntpsec": "ntpd", "chrony": "chronyd"}[c.Dialect]
	for _, unit := range []string{"ntp", "ntpd", "ntpsec", "chrony", "chronyd"} {
		for _, dir := range unitDirs {
			files := []string{path.Join(dir, unit+".service")}
			more, _ := fs.Glob(c.In.Files, path.Join(dir, unit+".service.d", "*.conf"))
			for _, name := range append(files, more...) {
				command := strings.Fields(c.assignments(name)["ExecStart"])
				if len(command) > 0 && path.Base(strings.TrimLeft(command[0], "-@:+!")) == daemon {
					c.startOptions("/"+name, strings.Join(command[1:], " "))
				}
			}
		}
	}
}

// startOptions reads a command line.
func (c *Job) startOptions(where, line string) {
	c.Start.Known = true
	if len(line) > 1<<12 {
		return
	}
	list := strings.Fields(line)
	for i := 0; i < len(list); i++ {
		word, value, _ := strings.Cut(list[i], "=")
		if strings.HasPrefix(word, "--") || len(word) < 2 || word[0] != '-' {
			c.startOption(where, word, value)
			continue
		}
		word = list[i]
		for j := 1; j < len(word); j++ {
			if strings.IndexByte(valued, word[j]) < 0 || c.Dialect == "chrony" {
				c.startOption(where, "-"+word[j:j+1], "")
				continue
			}
			value := word[j+1:]
			if value == "" && i+1 < len(list) {
				i++
				value = list[i]
			}
			c.startOption(where, "-"+word[j:j+1], value)
			break
		}
	}
}

func (c *Job) startOption(where, option, value string) {
	if c.Dialect == "chrony" {
		if option == "-x" {
			c.Start.Never = "chronyd -x"
		}
		return
	}
	switch option {
	case "-g", "--panicgate", "-G", "--force_step_once", "--force-step-once":
		c.Start.PanicOnce = true
		return
	case "-x", "--slew":
		c.Start.SlewOnly = true
		return
	case "-f", "--driftfile":
		c.Start.Drift = value
		return
	case "-4", "--ipv4":
		c.Start.Family = "-4"
		return
	case "-6", "--ipv6":
		c.Start.Family = "-6"
		return
	case "-I", "--interface":
		c.Start.Settings = append(c.Start.Settings, Setting{where, option + " " + value, "interface listen " + quoteWord(value)})
		return
	case "-k", "--keyfile":
		c.Start.Settings = append(c.Start.Settings, Setting{where, option + " " + value, "keys " + quoteWord(value)})
		return
	case "-c", "--configfile":
		if strings.HasSuffix(Absolute(c.In.Name), Absolute(value)) {
			return
		}
	}
	if meaning := startOptions[option]; meaning != "" {
		c.Report.Note(report.Dangerous, "command-line", "add it to the configuration, and convert again",
			"%s starts ntpd with %s (%s), which is not in the file", where, spell.Printable(option), meaning)
	}
}

// Setting is an option of ntpd's command line that is configuration.
type Setting struct {
	Where   string // the file that has it
	Written string
	Line    string // of ntp.conf, that means the same
}

// quoteWord makes one word of ntp.conf of a value.
func quoteWord(value string) string {
	return `"` + strings.ReplaceAll(value, `"`, "") + `"`
}
