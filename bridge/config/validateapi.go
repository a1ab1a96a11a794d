package config

import "fmt"

func (c *Config) validateAPI(j *judge) {
	a := &c.API
	validateListen(j, "api.listen", a.Listen)
	if (a.Certificate == "") != (a.Key == "") {
		j.refuse("api.certificate", "and key go together; write both, or none to show the certificates of nts")
	}
	if len(a.Writers) > 0 && a.ClientsCA == "" {
		j.refuse("api.writers", "has no effect without clients_ca, which says whose certificates count; write it, or delete writers")
	}
	for i, name := range a.Writers {
		if name == "" {
			j.refuse(fmt.Sprintf("api.writers[%d]", i), "is empty; write a name that stands in the certificate, or delete it")
		}
	}
	if len(a.Listen) == 0 {
		return
	}
	if a.ClientsCA == "" && a.Tokens == "" {
		j.refuse("api.listen", "nobody could use it; write tokens (`ntsbridge secret token` makes one) or clients_ca")
	}
	if a.Certificate == "" && !c.NTS.Enabled {
		j.refuse("api.certificate", "is missing, and NTS, whose certificate would be shown, is off; write certificate and key")
	}
}

func (c *Config) validatePage(j *judge) {
	p, a := &c.Page, &c.API
	validateListen(j, "page.listen", p.Listen)
	if p.Local == PageNone && len(p.Listen) > 0 && a.ClientsCA == "" && a.Tokens == "" {
		j.refuse("page.local", "nobody could use the page: with none somebody needs api.tokens (`ntsbridge secret token` makes one); "+
			"write them, or local: read")
	}
	if !p.Remote() {
		return
	}
	if a.ClientsCA == "" && a.Tokens == "" {
		j.refuse("page.listen", "other hosts could not use it; write api.tokens (`ntsbridge secret token` makes one) or api.clients_ca, "+
			"or listen on an address of loopback")
	}
	if a.Certificate == "" && !c.NTS.Enabled {
		j.refuse("page.listen", "needs a certificate for other hosts, and NTS, whose certificate would be shown, is off; "+
			"write api.certificate and api.key")
	}
}
