package server

import (
	"ntsbridge/bridge/convert/job"
)

// writer writes ntsbridge's configuration.
type writer struct{ *job.Job }
