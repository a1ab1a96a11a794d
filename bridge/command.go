package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/association"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
)

// do does what an operator tells the running daemon, and says what was done.
func (b *Bridge) do(c *control.Command) (done string, err error) {
	defer func() {
		if err != nil {
			b.log.Warn("command not done", "command", c.Name, "source", c.Source, "by", c.By, "error", err)
			return
		}
		b.log.Info("command done", "command", c.Name, "source", c.Source, "by", c.By, "done", done)
	}()
	done, err = b.tell(c)
	if errors.Is(err, association.ErrNoSource) {
		err = fmt.Errorf("%w: %q", control.ErrUnknownSource, c.Source)
	}
	return done, err
}

func (b *Bridge) tell(c *control.Command) (string, error) {
	whom := c.Source
	if whom == "" {
		whom = "all sources"
	}
	switch c.Name {
	case control.CommandOnline:
		return whom + ": asked again", b.sources.SetOnline(c.Source, true)
	case control.CommandOffline:
		return whom + ": not asked any more", b.sources.SetOnline(c.Source, false)
	case control.CommandBurst:
		if c.Good < 1 || c.Max < c.Good || c.Max > maxBurst {
			return "", fmt.Errorf("a burst of %d samples in %d requests: both must be 1 to %d, and not fewer requests than samples",
				c.Good, c.Max, maxBurst)
		}
		return fmt.Sprintf("%s: up to %d requests", whom, c.Max), b.sources.Burst(c.Source, c.Good, c.Max)
	case control.CommandRefresh:
		b.sources.Refresh()
		return "the names of all sources are looked up", nil
	case control.CommandAdd:
		return c.Source + ": added until the next reload or restart" + without(c.Without), b.addSource(c)
	case control.CommandDelete:
		return c.Source + ": deleted until the next reload or restart", b.deleteSource(c.Source)
	case control.CommandModify:
		return c.Source + ": changed until the next reload or restart", b.modifySource(c)
	case control.CommandOnOffline:
		b.sources.OnOffline()
		return "sources that the routes reach are asked, others not", nil
	case control.CommandReset:
		b.sources.Reset()
		return "what was measured of all sources is forgotten", nil
	case control.CommandMakeStep:
		return "the offset is corrected by a step", b.clock.Steering().MakeStep()
	case control.CommandAllow, control.CommandDeny:
		return c.Name + " " + c.Source + ": until the next reload or restart", b.setAccess(c)
	case control.CommandRekey:
		return "keys and certificates are read again", b.Reload(b.parts.Load().cfg)
	case control.CommandReload:
		if b.options.Reload == nil {
			return "", control.ErrNotEnabled
		}
		return "the configuration is read again", b.options.Reload()
	case control.CommandShutdown:
		if b.options.Shutdown == nil {
			return "", control.ErrNotEnabled
		}
		b.options.Shutdown()
		return "the daemon ends", nil
	case control.CommandSetTime:
		return "the clock is set to " + c.Time.UTC().Format("2006-01-02 15:04:05.000 UTC"), b.clock.Steering().SetTime(c.Time)
	}
	return "", fmt.Errorf("%w: %.40q", control.ErrCommand, c.Name)
}

// without says which options nobody has here.
func without(options []string) string {
	if len(options) == 0 {
		return ""
	}
	return ", without " + strings.Join(options, ", ") + ", which this daemon does not have"
}

// maxBurst is the longest burst that may be asked for.
const maxBurst = 64

// addSource reloads with a source more. It is read as the configuration reads
// one.
func (b *Bridge) addSource(c *control.Command) error {
	item := map[string]any{"server": c.Source}
	for name, value := range c.Options {
		item[name] = value
	}
	text, err := yaml.Marshal(map[string]any{"sources": []any{item}})
	if err != nil {
		return err
	}
	read, err := config.Parse("command", "/", text)
	if err != nil {
		return err
	}
	next := *b.parts.Load().cfg
	if slices.ContainsFunc(next.Sources, func(s config.Source) bool { return s.Server == c.Source && s.Port == read.Sources[0].Port }) {
		return fmt.Errorf("%w: %s", control.ErrKnownSource, c.Source)
	}
	next.Sources = append(slices.Clone(next.Sources), read.Sources[0])
	return b.reconfigure(&next)
}

// configured returns which source of the configuration has a name or an
// address.
func (b *Bridge) configured(text string) (int, error) {
	cfg := b.parts.Load().cfg
	named := func(name string) int {
		return slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Server == name })
	}
	if i := named(text); i >= 0 {
		return i, nil
	}
	address, err := netip.ParseAddr(text)
	for _, s := range b.sources.Snapshot() {
		if err != nil || s.Status == nil || s.Status.Server.Addr() != address {
			continue
		}
		if i := named(s.Name); i >= 0 && !s.Pool {
			return i, nil
		} else if i >= 0 {
			return 0, fmt.Errorf("%s is of the pool %s: name that", text, s.Name)
		}
	}
	return 0, fmt.Errorf("%w: %q", control.ErrUnknownSource, text)
}

// deleteSource reloads without a source.
func (b *Bridge) deleteSource(name string) error {
	i, err := b.configured(name)
	if err != nil {
		return err
	}
	next := *b.parts.Load().cfg
	next.Sources = slices.Delete(slices.Clone(next.Sources), i, i+1)
	return b.reconfigure(&next)
}

// modifySource reloads with options of a source changed. They are read as the
// configuration reads them.
func (b *Bridge) modifySource(c *control.Command) error {
	i, err := b.configured(c.Source)
	if err != nil {
		return err
	}
	next := *b.parts.Load().cfg
	next.Sources = slices.Clone(next.Sources)
	if err := next.Sources[i].Set(c.Options); err != nil {
		return err
	}
	return b.reconfigure(&next)
}

// setAccess reloads with another answer to who is served.
func (b *Bridge) setAccess(c *control.Command) error {
	var network netip.Prefix
	if c.Source != "" {
		var err error
		if network, err = access.ParsePrefix(c.Source); err != nil {
			return err
		}
	}
	action := map[string]string{control.CommandAllow: config.ActionAllow, control.CommandDeny: config.ActionDeny}[c.Name]
	next := *b.parts.Load().cfg
	next.Access = next.Access.With(network, action, c.All)
	return b.reconfigure(&next)
}

func (b *Bridge) reconfigure(next *config.Config) error {
	if err := next.Validate(); err != nil {
		return err
	}
	return b.Reload(next)
}
