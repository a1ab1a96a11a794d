package bridge

import (
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
)

// do does what an operator tells the running daemon, and says what was done.
func (b *Bridge) do(c *control.Command) (done string, err error) {
	defer func() {
		if err != nil {
			b.log.Warn("command not done", "command", c.Name, "source", c.Source, "error", err)
			return
		}
		b.log.Info("command done", "command", c.Name, "source", c.Source, "done", done)
	}()
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
		return c.Source + ": added until the next reload or restart", b.addSource(c)
	case control.CommandDelete:
		return c.Source + ": deleted until the next reload or restart", b.deleteSource(c.Source)
	case control.CommandSetTime:
		return "the clock is set to " + c.Time.UTC().Format("2006-01-02 15:04:05.000 UTC"), b.clock.Steering().SetTime(c.Time)
	}
	return "", fmt.Errorf("%w: %.40q", control.ErrCommand, c.Name)
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
		return fmt.Errorf("there is a source %s already", c.Source)
	}
	next.Sources = append(slices.Clone(next.Sources), read.Sources[0])
	return b.reconfigure(&next)
}

// deleteSource reloads without a source.
func (b *Bridge) deleteSource(name string) error {
	next := *b.parts.Load().cfg
	next.Sources = slices.DeleteFunc(slices.Clone(next.Sources), func(s config.Source) bool { return s.Server == name })
	if len(next.Sources) == len(b.parts.Load().cfg.Sources) {
		return errors.New("no source has that name in the configuration")
	}
	return b.reconfigure(&next)
}

func (b *Bridge) reconfigure(next *config.Config) error {
	if err := next.Validate(); err != nil {
		return err
	}
	return b.Reload(next)
}
