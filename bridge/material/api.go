package material

import (
	"os"
	"time"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/nke"
)

// api loads who may use the API over HTTPS, and what it shows. What is broken of
// it lets nobody in, and keeps nothing else from being served.
func (k *loader) api() {
	a := &k.config.API
	s := &remote.Settings{Listen: a.Listen, Writers: a.Writers, Connections: a.Connections}
	k.API = s
	defer k.page()
	if len(a.Listen)+len(k.config.Page.Listen) == 0 {
		return
	}
	if a.Certificate == "" {
		if k.NTS != nil {
			s.Files = k.NTS.Files
		}
	} else {
		s.Files = []nke.Files{{Certificate: a.Certificate, Key: a.Key, Readable: k.config.ReadableSecrets}}
		k.apiCertificate(s.Files)
	}
	var err error
	if a.ClientsCA != "" {
		if s.Authorities, err = remote.ReadAuthorities(a.ClientsCA); err != nil {
			k.find(NotServed, "api.clients_ca", "%v; no certificate of a client counts", err)
		}
	}
	if a.Tokens != "" {
		if s.Tokens, err = remote.ReadTokens(a.Tokens); err != nil {
			k.find(NotServed, "api.tokens", "%v; no token lets anybody in", err)
		}
	}
	k.fact("api", "%d tokens, certificates of clients %s", s.Tokens.Len(),
		map[bool]string{true: "count", false: "do not count"}[s.Authorities != nil])
}

// page says who may use the page: the same, and those on this host.
func (k *loader) page() {
	s := *k.API
	p := &k.config.Page
	s.Listen, s.Plain, s.Option = p.Listen, true, "page.listen"
	s.Local, _ = remote.ParseRole(p.Local) // none is none
	k.Page = &s
	if len(p.Listen) > 0 {
		k.fact("page", "who is on this host may do this without a token: %s", p.Local)
	}
}

// apiCertificate looks at a certificate of the API's own.
func (k *loader) apiCertificate(files []nke.Files) {
	loaded, err := nke.ReadCertificates(files, os.ReadFile)
	if err != nil {
		k.find(NotServed, "api.certificate", "%s", oneLine(err))
		return
	}
	for _, c := range loaded.Complaints(k.opt.Now)[0] {
		switch {
		case c.Dated:
			k.findDated(Warning, "api.certificate", "%s", c.Text)
		default:
			k.find(Warning, "api.certificate", "%s", c.Text)
		}
	}
	k.validity("api.certificate", loaded.Chains()[0])
	k.fact("api", "%s until %s", files[0].Certificate, loaded.Chains()[0][0].NotAfter.UTC().Format(time.DateOnly))
}
