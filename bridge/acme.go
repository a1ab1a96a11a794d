package bridge

import (
	"context"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/nke/acme"
)

// acmeKeeper is the manager of the certificate that an authority gives.
type acmeKeeper struct {
	cfg     config.ACME
	manager *acme.Manager
	cancel  context.CancelFunc
	done    chan struct{}
}

func (k *acmeKeeper) stop() {
	if k != nil {
		k.cancel()
		<-k.done
	}
}
