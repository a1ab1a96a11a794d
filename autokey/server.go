package autokey

import (
	"errors"
	"io"

	"ntsbridge/bridge/ntp"
)

// Server answers Autokey requests of clients. It is safe for concurrent use.
type Server struct{}

// NewServer makes a server. rand is used by the public-key operations and
// must be safe for concurrent use, as crypto/rand.Reader is.
func NewServer(cfg Config, rand io.Reader) (*Server, error) { return nil, errors.ErrUnsupported }

// Open verifies a request and prepares the answer.
func (s *Server) Open(now ntp.Timestamp, synced bool, req *ntp.Request, sess *Session, slow bool) ntp.Verdict {
	return ntp.Verdict{}
}

// Seal appends to the final header in resp[:48] what Open prepared and
// returns the length of the answer. resp has MaxResponseLen octets.
func (s *Server) Seal(req *ntp.Request, resp []byte, sess *Session) int { return 0 }

// SignatureUpdate signs the certificates and the leap second values, with now
// as the common timestamp. The caller calls it when the clock is first
// synchronised.
func (s *Server) SignatureUpdate(now ntp.Timestamp) error { return errors.ErrUnsupported }

// SetLeap replaces the leap second values and updates the signatures.
func (s *Server) SetLeap(now ntp.Timestamp, v LeapValues) error { return errors.ErrUnsupported }

// Status returns the status word that the server sends.
func (s *Server) Status() Status { return 0 }
