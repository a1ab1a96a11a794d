package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/control/remote"
)

const pathEvents = "/v1/events"

// kindEvents is the media type of server-sent events (HTML, section 9.2).
const kindEvents = "text/event-stream"

// How long a listener may take for one write, how often it hears something, and
// after how long it is to come back.
const (
	eventWrite   = 10 * time.Second
	eventComment = 15 * time.Second
	eventRetry   = 3 * time.Second
)

// eventRoute streams what happens.
func eventRoute(l *events.Log) []*route {
	if l == nil {
		return nil
	}
	return []*route{{method: http.MethodGet, path: pathEvents, role: remote.Read, lasting: true, streams: true,
		summary: "What happens, as server-sent events; Last-Event-ID goes on behind an event, 0 begins with the first one that is kept",
		query:   []parameter{{name: "last_event_id", summary: "as the header Last-Event-ID", kind: "string"}},
		answers: map[string]any{kindEvents: events.Event{}},
		serve:   func(w http.ResponseWriter, r *http.Request) error { return ServeEvents(l, w, r) }}}
}

// ServeEvents sends events until the asker goes away or the log is closed.
func ServeEvents(l *events.Log, w http.ResponseWriter, r *http.Request) error {
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = r.URL.Query().Get("last_event_id")
	}
	place, gap, err := l.Place(id)
	if err != nil {
		return badRequest{err}
	}
	leave, err := l.Join()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		return statusError{err, http.StatusServiceUnavailable, "events", ""}
	}
	defer leave()
	s := eventStream{w: w, control: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", kindEvents)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return nil
	}
	_ = s.control.SetReadDeadline(time.Time{})
	fmt.Fprintf(&s.b, "retry: %d\n\n", eventRetry/time.Millisecond)
	if gap {
		s.add(l.Gap(0, place, time.Now()))
	}
	s.run(l, r, place)
	return nil
}

// eventStream is the way to one listener.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	b       bytes.Buffer
}

func (s *eventStream) run(l *events.Log, r *http.Request, place uint64) {
	comment := time.NewTicker(eventComment)
	defer comment.Stop()
	for {
		list, lost, end, more, over := l.After(place)
		if lost > 0 {
			s.add(l.Gap(lost, end-uint64(len(list)), time.Now()))
		}
		for i := range list {
			s.add(list[i])
		}
		place = end
		if s.flush() != nil || over {
			return
		}
		if len(list) > 0 {
			continue
		}
		select {
		case <-more:
		case <-comment.C:
			s.b.WriteString(": \n\n")
		case <-r.Context().Done():
			return
		}
	}
}

// add appends an event. JSON has no line breaks.
func (s *eventStream) add(e events.Event) {
	text, err := json.Marshal(&e)
	if err == nil {
		fmt.Fprintf(&s.b, "id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, text)
	}
}

// flush sends what was added; a listener that does not take it in time is left.
func (s *eventStream) flush() error {
	if s.b.Len() == 0 {
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(eventWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := s.w.Write(s.b.Bytes())
	s.b.Reset()
	return errors.Join(err, s.control.Flush())
}
