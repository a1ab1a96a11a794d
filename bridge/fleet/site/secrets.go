package site

import "context"

// Secrets is not yet.
type Secrets struct{}
type sealed struct{}

func (n *session) handOut(context.Context) error { return nil }
