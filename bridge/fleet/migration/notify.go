package migration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/plan"
)

// notifyTime bounds a notification, and notifyRoom how many may wait.
const (
	notifyTime = 20 * time.Second
	notifyRoom = 100
)

type notice struct {
	to   plan.Notify
	text []byte
}

func (n *notifier) start(log hclog.Logger, noPrograms string) {
	ctx, cancel := context.WithCancel(context.Background())
	n.log, n.noPrograms, n.queue, n.end = log, noPrograms, make(chan notice, notifyRoom), cancel
	n.wait.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-n.queue:
				n.send(ctx, &e)
			}
		}
	})
}

func (n *notifier) stop() {
	n.end()
	n.wait.Wait()
}

func (n *notifier) send(ctx context.Context, e *notice) {
	ctx, cancel := context.WithTimeout(ctx, notifyTime)
	defer cancel()
	if len(e.to.Command) > 0 {
		if err := n.run(ctx, e); err != nil {
			n.log.Error("fleet: notify.command", "command", e.to.Command[0], "error", err)
		}
	}
	if e.to.Webhook != "" {
		if err := post(ctx, e); err != nil {
			n.log.Error("fleet: notify.webhook", "error", err)
		}
	}
}

func (n *notifier) run(ctx context.Context, e *notice) error {
	if n.noPrograms != "" {
		return errors.New(n.noPrograms)
	}
	cmd := exec.CommandContext(ctx, e.to.Command[0], e.to.Command[1:]...)
	cmd.Stdin = bytes.NewReader(e.text)
	cmd.WaitDelay = time.Second
	return cmd.Run()
}

func post(ctx context.Context, e *notice) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.to.Webhook, bytes.NewReader(e.text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

// tell logs what was recorded and notifies.
func (m *Migration) tell(e *history.Entry, to *plan.Notify) {
	level := hclog.Info
	switch e.What {
	case history.BackedOut:
		level = hclog.Error
	case history.Warned, history.Forced, history.Refused, history.Ended, history.RolledBack:
		level = hclog.Warn
	}
	args := []any{"what", e.What, "by", e.Who}
	for _, f := range []struct{ name, value string }{{"group", e.Group}, {"means", e.Means}, {"stage", e.Stage}, {"why", e.Why}} {
		if f.value != "" {
			args = append(args, f.name, f.value)
		}
	}
	if e.Step != 0 {
		args = append(args, "step", e.Step)
	}
	if e.Key != 0 {
		args = append(args, "key", e.Key)
	}
	m.opt.Log.Log(level, "fleet", args...)
	if m.opt.Happened != nil {
		m.opt.Happened(e)
	}
	if len(to.Command) == 0 && to.Webhook == "" {
		return
	}
	text, err := json.Marshal(e)
	if err != nil {
		return
	}
	select {
	case m.notifier.queue <- notice{*to, append(text, '\n')}:
	default:
		m.opt.Log.Error("fleet: too many notifications wait; one was dropped", "what", e.What)
	}
}
