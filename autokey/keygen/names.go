package keygen

import "strings"

// names are the names of a run.
type names struct {
	host       string // in file names and links
	group      string // in the names of identity files
	subject    string // of the certificate
	groupGiven bool
}

// namesOf takes the names from the options: -s [HOST][@GROUP], -i GROUP, else
// the system's host name. A group in -s goes before -i, as in ntp-keygen.
func namesOf(v *Values, system string) (names, error) {
	n := names{host: system, group: v.Text("ident"), groupGiven: v.Has("ident")}
	if v.Has("subject-name") {
		host, group, hasGroup := strings.Cut(v.Text("subject-name"), "@")
		if hasGroup {
			n.group, n.groupGiven = group, true
		}
		if host != "" {
			n.host = host
		} else if !hasGroup {
			return n, badOption("the subject-name option has an empty name")
		}
	}
	if err := checkName("host", n.host); err != nil {
		return n, err
	}
	if !n.groupGiven {
		n.group, n.subject = n.host, n.host
		return n, nil
	}
	n.subject = n.host + "@" + n.group
	return n, checkName("group", n.group)
}

// checkName refuses what cannot be part of a file name.
func checkName(what, name string) error {
	bad := func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }
	if name == "" || strings.ContainsFunc(name, bad) || len(name) > 200 {
		return badOption("%s name %q: want 1 to 200 characters without blanks and slashes", what, clipped(name))
	}
	return nil
}
