package material

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// signing looks whether Samba's socket is there for rules that want its
// signatures. Samba may come later, and go: the server does not depend on it.
func (k *loader) signing() {
	if !k.config.SignsMSSNTP() {
		return
	}
	const path = "server.ms_sntp.socket"
	name := k.config.Server.MSSNTP.Socket
	c, err := net.Dial("unix", name)
	switch {
	case err == nil:
		_ = c.Close()
		k.Facts = append(k.Facts, fmt.Sprintf("ms-sntp: answers are signed through %s", name))
	case errors.Is(err, os.ErrPermission):
		k.find(Warning, path, "%s cannot be opened by this user (%d): members of the domain get no answer; let the daemon's "+
			"user into the group of its directory", name, os.Geteuid())
	default:
		k.find(Warning, path, "nobody listens on %s now: members of the domain get no answer until Samba's domain controller runs, "+
			"with ntp_signd among its server services", name)
	}
}
