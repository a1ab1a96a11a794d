// Package metrics shows the daemon to Prometheus: what the other reports show,
// as metrics with conventional names, made when somebody asks. Serving knows
// nothing of it.
//
// Labels are bounded by the configuration: kinds, versions, reasons, the names of
// sources and of certificates' files; never the addresses of clients, and those
// of sources only if asked for.
package metrics

import (
	"math/bits"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

// State is what is shown, as of a moment.
type State struct {
	Version  string
	Stats    *control.ServerStats
	Snapshot *control.Snapshot
	Problems int // that the status report has
	// NTS-KE connections at work, and the certificates; nil: NTS is off.
	KE *KeyExchange
	// Clients is the inventory; nil: it is off.
	Clients *Clients
	Autokey bool // whether it is on
	// Fleet is the migration; nil: without an inventory there is none.
	Fleet *steer.Figures
	// Requests are those to the API and the page, Events what listeners are told.
	Requests *control.Requests
	Events   *events.Log
	Site     *site.Figures // nil: this gateway is alone
}

// KeyExchange is NTS-KE.
type KeyExchange struct {
	Connections  int // at work
	Certificates []Certificate
}

// Certificate is one that is served.
type Certificate struct {
	File     string
	NotAfter time.Time
}

// Clients is the inventory of clients.
type Clients struct {
	ByMeans  map[string]int // by the best means that they are answered by now
	Capacity int
	Lost     uint64 // packets that it did not look at

	Held      int    // clients in it
	Forgotten uint64 // clients that were forgotten for want of room
	Behind    bool   // its file cannot be written
	Watched   uint32 // since when there was no long gap, seconds since 1970; 0: it is not watching
}

// Options are what may be left out.
type Options struct {
	// Addresses are put into the label of that name for sources.
	Addresses bool
}

// Handler answers with all metrics. read is called for each scrape.
func Handler(read func() *State, options Options) http.Handler {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(&collector{read, options}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError, MaxRequestsInFlight: 4,
		Timeout: 10 * time.Second})
}

// collector makes the metrics of a state.
type collector struct {
	read    func() *State
	options Options
}

// Describe tells of all metrics that there can be.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range all {
		to <- d
	}
}

// Collect makes the metrics.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := c.read()
	w := writer{to, c.options}
	w.gauge(buildInfo, 1, s.Version)
	w.gauge(problems, float64(s.Problems))
	w.serving(s.Stats)
	if s.Autokey {
		w.autokey(s.Stats)
	}
	w.nts(s.Stats, s.KE)
	w.clock(s.Snapshot)
	w.sources(s.Snapshot)
	w.clients(s.Clients)
	w.fleet(s.Fleet)
	w.api(s.Requests, s.Events)
	w.site(s.Site)
}

// writer sends metrics.
type writer struct {
	to      chan<- prometheus.Metric
	options Options
}

func (w *writer) gauge(d *prometheus.Desc, v float64, labels ...string) {
	w.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (w *writer) counter(d *prometheus.Desc, v uint64, labels ...string) {
	w.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (w *writer) serving(s *control.ServerStats) {
	w.counter(packetsReceived, s.NTPReceived)
	w.requests(s)
	for mode, n := range s.Modes {
		w.counter(modes, n, strconv.Itoa(mode))
	}
	w.counter(interleaved, s.Interleaved)
	w.counter(receiveStamps, s.DaemonRXTimestamps, "daemon")
	w.counter(receiveStamps, s.KernelRXTimestamps, "kernel")
	w.counter(transmitStamps, s.DaemonTXTimestamps, "daemon")
	w.counter(transmitStamps, s.KernelTXTimestamps, "kernel")
	w.counter(socketErrors, s.Errors.Receive, "receive")
	w.counter(socketErrors, s.Errors.Send, "send")
	w.counter(fastpathAnswered, s.Fastpath.Answered)
	for cause, n := range s.Fastpath.Passed {
		w.counter(fastpathPassed, n, cause)
	}
	w.counter(queryBytes, s.Queries.OctetsIn, "in")
	w.counter(queryBytes, s.Queries.OctetsOut, "out")
	w.counter(commandPackets, s.CommandReceived)
	w.counter(commandDropped, s.CommandDropped)
}

// requests has a zero for what is answered in each kind, so that the first one
// is an increase.
func (w *writer) requests(s *control.ServerStats) {
	type pair struct{ kind, what string }
	seen := map[pair]bool{}
	for _, p := range s.Packets {
		w.counter(requests, p.Count, p.Kind, strconv.Itoa(p.Version), p.Reason)
		if p.Version == 4 && p.Reason == ntp.ReasonOK.String() {
			seen[pair{p.Kind, p.Reason}] = true
		}
	}
	for _, a := range s.Answers {
		w.counter(answers, a.Count, a.Kind, a.Action)
		seen[pair{a.Kind, a.Action}] = true
	}
	for k := range ntp.Kind(ntp.KindCount) {
		kind := k.String()
		if !seen[pair{kind, ntp.ReasonOK.String()}] {
			w.counter(requests, 0, kind, "4", ntp.ReasonOK.String())
		}
		for _, action := range []string{"dropped", "answered"} {
			if !seen[pair{kind, action}] {
				w.counter(answers, 0, kind, action)
			}
		}
	}
}

func (w *writer) autokey(s *control.ServerStats) {
	for _, operation := range control.AutokeyOperations() {
		w.counter(autokeyOperations, s.Autokey.Operations[operation], operation)
	}
	w.counter(autokeyBudget, s.Count(ntp.KindAutokey.String(), ntp.ReasonBudget.String()))
	w.counter(autokeyForeign, s.Autokey.ForeignSeed)
	w.counter(autokeySlow, s.Autokey.SlowLaneDropped)
	w.counter(autokeyAmplified, s.Autokey.AmplifiedIn, "in")
	w.counter(autokeyAmplified, s.Autokey.AmplifiedOut, "out")
}

func (w *writer) nts(s *control.ServerStats, ke *KeyExchange) {
	if ke == nil {
		return
	}
	w.gauge(keConnections, float64(ke.Connections))
	w.counter(keAccepted, s.KEAccepted)
	w.counter(keDropped, s.KEDropped)
	for result, n := range s.KE {
		w.counter(keResults, n, result)
	}
	for _, result := range control.KEResults() {
		if _, ok := s.KE[result]; !ok {
			w.counter(keResults, 0, result)
		}
	}
	for aead, n := range s.NTS.Agreed {
		w.counter(ntsAgreed, n, aead)
	}
	for aead, n := range s.NTS.CookiesIssued {
		w.counter(ntsCookies, n, aead)
	}
	w.counter(ntsOldCookies, s.NTS.OldCookies)
	for _, c := range ke.Certificates {
		w.gauge(certificateEnd, float64(c.NotAfter.Unix()), c.File)
	}
}

func (w *writer) clock(s *control.Snapshot) {
	t := s.Tracking()
	w.gauge(clockSynchronised, number(t.Synchronised()))
	w.gauge(clockStratum, float64(t.Stratum))
	w.gauge(clockLeap, float64(t.Leap))
	w.gauge(clockRootDelay, t.RootDelay)
	w.gauge(clockRootDispersion, t.RootDispersion)
	w.gauge(clockBound, t.RootDelay/2+t.RootDispersion)
	if s.Clock == nil {
		return
	}
	w.gauge(clockOffset, t.SystemOffset)
	w.gauge(clockLastOffset, t.LastOffset)
	w.gauge(clockRMSOffset, t.RMSOffset)
	w.gauge(clockFrequency, t.Frequency)
	w.gauge(clockSkew, t.Skew)
	w.gauge(clockHeld, number(t.Held != ""))
	w.counter(clockUpdates, t.Updates)
	w.counter(clockSteps, t.Steps)
	w.counter(clockForeign, t.Foreign)
}

// sources shows each source that time comes from. Several of one name, such as
// the members of a pool, are told apart by a number.
func (w *writer) sources(s *control.Snapshot) {
	seen := map[string]int{}
	lines, auth := s.SourceList(), s.AuthDataList()
	i := 0
	for k := range s.Sources {
		from := &s.Sources[k]
		if !from.Timed() {
			continue
		}
		line := &lines[i]
		labels := []string{from.Name, strconv.Itoa(seen[from.Name])}
		seen[from.Name]++
		address := ""
		if w.options.Addresses {
			address = line.Address
		}
		w.gauge(sourceInfo, 1, append(labels, string(line.Mode), string(auth[i].Mode), address)...)
		for _, state := range sourceStates {
			w.gauge(sourceState, number(line.State == state), append(labels, string(state))...)
		}
		w.gauge(sourceReach, float64(bits.OnesCount8(line.Reach))/8, labels...)
		w.gauge(sourceStratum, float64(line.Stratum), labels...)
		w.gauge(sourcePoll, pow2(line.Poll), labels...)
		w.gauge(sourceAuthentic, number(auth[i].Mode == control.AuthSymmetric || auth[i].Mode == control.AuthNTS), labels...)
		if line.LastRx >= 0 {
			w.gauge(sourceAge, float64(line.LastRx), labels...)
			w.gauge(sourceOffset, line.Offset, labels...)
			w.gauge(sourceBound, line.Error, labels...)
		}
		if auth[i].Mode == control.AuthNTS {
			w.gauge(sourceCookies, float64(auth[i].Cookies), labels...)
		}
		i++
	}
}

var sourceStates = []control.SourceState{control.StateSelected, control.StateCombined, control.StateNotCombined, control.StateFalseticker,
	control.StateTooVariable, control.StateUnusable}

func (w *writer) clients(c *Clients) {
	if c == nil {
		return
	}
	for means, n := range c.ByMeans {
		w.gauge(inventoryClients, float64(n), means)
	}
	w.gauge(inventoryCapacity, float64(c.Capacity))
	w.counter(inventoryLost, c.Lost)
	w.gauge(inventoryHeld, float64(c.Held))
	w.counter(inventoryForgotten, c.Forgotten)
	w.gauge(inventoryBehind, number(c.Behind))
	if c.Watched != 0 {
		w.gauge(inventoryWatched, float64(c.Watched))
	}
}

// fleet shows the migration; groups and means are those of the declared plan.
func (w *writer) fleet(f *steer.Figures) {
	if f == nil {
		return
	}
	w.gauge(fleetDeclared, number(f.Declared))
	w.gauge(fleetHeld, number(f.Held))
	w.gauge(fleetUnkept, number(f.Unkept))
	for i := range f.Places {
		p := &f.Places[i]
		w.gauge(fleetStage, float64(p.Stage), p.Group, p.Means)
		w.gauge(fleetTarget, float64(p.Target), p.Group, p.Means)
		w.gauge(fleetBrownOuts, float64(p.Round), p.Group, p.Means)
		w.gauge(fleetBackedOut, float64(p.BackedOut), p.Group, p.Means)
		w.gauge(fleetShut, float64(p.Shut), p.Group, p.Means)
		if !p.NotBefore.IsZero() {
			w.gauge(fleetDate, float64(p.NotBefore.Unix()), p.Group, p.Means)
		}
		w.gauge(fleetGroupHeld, number(p.Held), p.Group, p.Means)
		w.gauge(fleetRefused, float64(p.Refused), p.Group, p.Means)
		w.gauge(fleetRefusing, number(p.Trying != "" && p.Refusing), p.Group, p.Means)
		w.gauge(fleetWatching, number(p.Trying != "" && !p.Refusing), p.Group, p.Means)
		if p.Trying != "" {
			w.gauge(fleetEnds, float64(p.Ends.Unix()), p.Group, p.Means)
			w.gauge(fleetClients, float64(p.Clients), p.Group, p.Means)
			w.gauge(fleetHurt, float64(p.Hurt), p.Group, p.Means)
			w.gauge(fleetMute, float64(p.CannotTell), p.Group, p.Means)
		}
	}
}

// api shows who asks what; paths are those that there are.
func (w *writer) api(q *control.Requests, l *events.Log) {
	count, took := q.Figures()
	for _, c := range count {
		w.counter(apiRequests, c.Count, c.By, c.Method, c.Path, strconv.Itoa(c.Status))
	}
	for _, t := range took {
		below := make(map[float64]uint64, len(t.Below))
		for i, bound := range control.TookBounds {
			below[bound] = t.Below[i]
		}
		w.to <- prometheus.MustNewConstHistogram(apiTook, t.Count, t.Sum, below, t.By, t.Method, t.Path)
	}
	listeners, total, lost := l.Figures()
	w.gauge(apiListeners, float64(listeners))
	w.counter(apiEvents, total)
	w.counter(apiLost, lost)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func pow2(exponent int) float64 {
	if exponent < 0 {
		return 1 / float64(uint64(1)<<min(-exponent, 63))
	}
	return float64(uint64(1) << min(exponent, 63))
}
