package config

import (
	"fmt"
	"strings"
)

// resolve fills in what follows from other options.
func (a *ACME) resolve(names []string) {
	if a.Directory == "" {
		return
	}
	if len(a.Names) == 0 {
		a.Names = names
	}
	if len(a.Listen) == 0 {
		switch a.Challenge {
		case ChallengeHTTP:
			a.Listen = everywhere(80)
		case ChallengeTLS:
			a.Listen = everywhere(443)
		}
	}
}

func (a *ACME) validate(j *judge) {
	if a.Directory == "" {
		return
	}
	if rest, ok := strings.CutPrefix(a.Directory, "https://"); !ok || rest == "" || rest[0] == '/' || strings.ContainsAny(rest, " \t") {
		j.refuse("nts.acme.directory", "%.80q is no URL of https; write that of the authority's directory", a.Directory)
	}
	for i, name := range a.Names {
		path := fmt.Sprintf("nts.acme.names[%d]", i)
		rest, wild := strings.CutPrefix(name, "*.")
		switch {
		case !validHost(rest):
			j.refuse(path, "%.60q is neither a name nor an address", name)
		case wild && a.Challenge != ChallengeDNS:
			j.refuse(path, "a name with * needs challenge: dns-01")
		}
	}
	for i, c := range a.Contact {
		if at := strings.IndexByte(c, '@'); at < 1 || strings.ContainsAny(c, " :,") {
			j.refuse(fmt.Sprintf("nts.acme.contact[%d]", i), "%.60q is no address of mail; write it without mailto:", c)
		}
	}
	if a.Challenge == ChallengeDNS && a.Hook == "" {
		j.refuse("nts.acme.hook", "is missing; dns-01 needs a program that makes the TXT record")
	}
	if (a.BindingID == "") != (a.BindingFile == "") {
		j.refuse("nts.acme.binding_id", "and binding_file go together; write both or none")
	}
}
