package control

import (
	"errors"
	"time"
)

// The paths of the local API.
const (
	pathStatus      = "/v1/status"
	pathServerStats = "/v1/serverstats"
	pathNTS         = "/v1/nts"
	pathTracking    = "/v1/tracking"
	pathSources     = "/v1/sources"
	pathSourceStats = "/v1/sourcestats"
	pathAuthData    = "/v1/authdata"
	pathSelectData  = "/v1/selectdata"
	pathSourcePlots = "/v1/sources/history"
	pathCertificate = "/v1/certificates"
	pathMakeStep    = "/v1/makestep"
	pathReload      = "/v1/reload"
	pathCommand     = "/v1/command"
	pathMetrics     = "/metrics"
	pathOpenAPI     = "/v1/openapi.json"
)

// maxAnswerLen bounds what one answer of the API may hold, octets: some tens
// of thousands of sources.
const maxAnswerLen = 16 << 20

// ErrNoSources says that the daemon has no report on its clock.
var ErrNoSources = errors.New("this daemon follows no sources of its own (no sources are configured, or clock.mode: observe leaves the clock to another program)")

// errNTSOff is the answer of a daemon without NTS.
var errNTSOff = errors.New("NTS is off (nts.enabled: false)")

// ErrNoInventory says that the daemon keeps no inventory of clients.
var ErrNoInventory = errors.New("this daemon keeps no inventory of clients: fleet.enabled is false")

// streamTime bounds how long a list of clients may take to be read.
const streamTime = 5 * time.Minute

// ErrAlone says that the daemon agrees with no other gateway.
var ErrAlone = errors.New("this gateway is alone: fleet.etcd has no endpoints")
