package convert

// ClientOptions asks for the configuration of a client's daemon.
type ClientOptions struct {
	Format string // chrony, ntpsec, ntpd-rs or timesyncd
}

func (c *conversion) client() *Result { return c.result(nil) }
