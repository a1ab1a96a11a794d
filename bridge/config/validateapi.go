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
