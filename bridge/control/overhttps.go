package control

import (
	"net/http"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/control/remote"
)

// Remote is the API for other hosts: what the control socket answers, by the
// roles of its endpoints.
func Remote(src Sources, log hclog.Logger) remote.Protected {
	a := newAPI(src.routes(), log)
	return remote.Protected{Handler: a, Needs: a.needs,
		Watch: func(h http.Handler) http.Handler { return src.Requests.Watch(ByHTTPS, h, a.known) },
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			refuse(w, statusError{err, status, refusedPlace(status), ""}, status)
		}}
}

func refusedPlace(status int) string {
	if status == http.StatusForbidden {
		return "role"
	}
	return "credentials"
}
