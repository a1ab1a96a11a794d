package bridge

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// steering connects sources with the discipline of the clock. In mode
// discipline it steers the system clock; else it only measures, so that one
// sees what the sources say of the clock that another program steers.
type steering struct {
	driver *clock.Driver
	steers bool // measured and followed, and what is served comes from it
	log    hclog.Logger
	floor  time.Time // now is later
	// unchecked is how many first updates do not look at the dates of
	// certificates.
	unchecked int
	cancel    context.CancelFunc
	done      chan struct{}

	mu   sync.Mutex
	held map[string]*followed // by what makes a source the same over a reload
}

// followed is a source as the discipline knows it. It outlives a reload of the
// configuration that leaves the source as it is. A nil one is not followed.
type followed struct {
	steering *steering
	key      string
	name     string // for the log
	id       discipline.SourceID
	users    int
	first    atomic.Int64 // base's reading at the first sample used, 0: none
	last     atomic.Int64
}

// parked is how long a source that is not used any more stays known: a reload
// takes it up again.
const parked = 30 * time.Second

// clockLock returns the file that is locked by the daemon that steers the clock
// of this machine: as root one for all of them, whatever their directories are.
func clockLock(cfg *config.Config) string {
	if os.Geteuid() == 0 {
		return "/run/ntsbridge.clock.lock"
	}
	return filepath.Join(cfg.RunDir, "clock.lock")
}

// newSteering makes the driver of a configuration, nil if it has nothing to
// follow. It does not touch the clock yet.
func newSteering(p *parts, precision int8, noClock bool, log hclog.Logger, publish func(*ntp.ClockState), stepped func(time.Duration), doubted func()) (*steering, error) {
	cfg := p.cfg
	if len(cfg.Sources) == 0 && len(cfg.ReferenceClocks) == 0 {
		return nil, nil
	}
	s := &steering{steers: cfg.Clock.Mode == config.ClockDiscipline, log: log, floor: buildTime(), unchecked: cfg.Clock.NoCertTimeCheck,
		done: make(chan struct{}), held: make(map[string]*followed)}
	d := driverConfig(cfg, precision)
	d.Logger, d.LeapTable, d.Measure = log, p.leaps.month, noClock || !s.steers
	if !d.Measure {
		if err := clock.OtherDaemon(); err != nil {
			return nil, err
		}
		d.LockFile, d.Suspect = clockLock(cfg), clock.OtherDaemon
		d.DriftFile = cfg.Clock.DriftFile
	}
	d.OnStep, d.OnDoubt = stepped, doubted
	if s.steers {
		d.StateFile, d.OnState = filepath.Join(cfg.StateDir, "clock.state"), publish
		if saved, err := clock.ReadState(d.StateFile); err == nil && saved.Synchronised.After(s.floor) {
			s.floor = saved.Synchronised
		}
	}
	if d.Fallback.Orphan {
		d.Fallback.ReferenceID = ownReference()
	}
	var err error
	d.System = clock.ReadOnlySystem()
	if !d.Measure {
		if d.System, err = clock.OpenSystem(); err != nil {
			return nil, err
		}
	}
	s.driver, err = clock.NewDriver(d)
	return s, err
}

// buildTime is about when this program was made: the time cannot be earlier.
func buildTime() time.Time {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t
			}
		}
	}
	return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
}

// driverConfig translates what the configuration says of the clock.
func driverConfig(cfg *config.Config, precision int8) clock.DriverConfig {
	c := &cfg.Clock
	d := discipline.DefaultConfig()
	d.StepThreshold, d.StepUpdates = c.Step.Threshold.Seconds(), c.Step.Updates
	d.StepAnyTime, d.StepOut = c.Step.AnyTime, c.Step.Stepout.Seconds()
	d.Panic, d.PanicOnce = c.Panic.Seconds(), c.PanicOnce
	if c.Panic == 0 {
		d.Panic = (876000 * time.Hour).Seconds() // a century is no limit
	}
	d.MaxSlew, d.StartSlew = c.MaxSlewPPM*1e-6, c.StartSlewPPM*1e-6
	d.MaxDistance, d.MinSources = c.MaxDistance.Seconds(), c.MinSources
	d.Mode = authModes[c.AuthSelect]
	d.Drift = c.DriftPPM * 1e-6
	d.MinDispersion = math.Ldexp(1, int(precision))
	out := clock.DriverConfig{Discipline: d, Precision: precision, Leap: leapModes[c.Leap.Mode],
		Fallback:  clock.Fallback{Stratum: uint8(c.FallbackStratum), Orphan: c.Orphan},
		PanicExit: c.PanicExit,
		MaxChange: clock.MaxChange{Offset: c.MaxChange.Seconds(), Start: max(1, c.Step.Updates), Ignore: -1},
	}
	return out
}

var authModes = map[string]discipline.AuthSelect{"mix": discipline.AuthMix, "require": discipline.AuthRequire,
	"prefer": discipline.AuthPrefer, "ignore": discipline.AuthIgnore}

var leapModes = map[string]clock.LeapMode{"system": clock.LeapSystem, "step": clock.LeapStep,
	"slew": clock.LeapSlew, "ignore": clock.LeapIgnore}

// certifiedSources is how many sources must agree while the dates of
// certificates are not looked at.
const certifiedSources = 3

// makeStep steps the clock.
func (s *steering) makeStep() error {
	if s == nil {
		return clock.ErrMeasureOnly
	}
	return s.driver.MakeStep()
}

// trust asks for a majority of several sources as long as one of them speaks
// without the date of its certificate. It is called before each of their
// samples, and each second.
func (s *steering) trust(p *pollers) {
	if s == nil || s.unchecked == 0 {
		return
	}
	least := p.parts.cfg.Clock.MinSources
	if p.provisional() {
		least = max(least, certifiedSources)
	}
	s.driver.SetMinSources(least)
}

// state returns what is to be served of a clock that we steer, nil if it is
// not ours.
func (s *steering) state() *ntp.ClockState {
	if s == nil || !s.steers {
		return nil
	}
	return s.driver.State()
}

// run starts the driver, and tells if it ends by itself.
func (s *steering) run(failed chan<- error) {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.done)
		if err := s.driver.Run(ctx); err != nil && ctx.Err() == nil {
			failed <- err
		}
	}()
}

// close leaves the clock running at its best known rate.
func (s *steering) close() error {
	if s == nil {
		return nil
	}
	if s.cancel == nil {
		return s.driver.Close()
	}
	s.cancel()
	<-s.done
	return nil
}

// follow makes a source known to the discipline, or takes up one that is
// known already. name tells sources with the same address apart.
func (s *steering) follow(name string, cfg discipline.SourceConfig, info clock.SourceInfo) (*followed, error) {
	if s == nil {
		return nil, nil
	}
	key := fmt.Sprintf("%s %+v %+v", name, cfg, info)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.held[key]; f != nil {
		f.users++
		return f, nil
	}
	id, err := s.driver.AddSource(cfg, info)
	if err != nil {
		return nil, err
	}
	f := &followed{steering: s, key: key, name: info.Name, id: id, users: 1}
	if info.Address.IsValid() && info.Address.String() != info.Name {
		f.name = info.Name + " " + info.Address.String()
	}
	s.held[key] = f
	return f, nil
}

// leave ends the use of a source. now says that it is not to be followed for
// another moment; else a reload may take it up again.
func (f *followed) leave(now bool) {
	if f == nil {
		return
	}
	s := f.steering
	s.mu.Lock()
	f.users--
	s.mu.Unlock()
	if now {
		f.forget()
		return
	}
	time.AfterFunc(parked, f.forget)
}

func (f *followed) forget() {
	s := f.steering
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.users == 0 && s.held[f.key] == f {
		delete(s.held, f.key)
		s.driver.RemoveSource(f.id)
	}
}

// sample takes in a measurement.
func (f *followed) sample(x source.Sample) {
	if f == nil {
		return
	}
	pivot := f.steering.pivot()
	h := &x.Header
	verdict := f.steering.driver.Sample(discipline.Sample{
		Source: f.id, T1: discipline.Instant(x.Raw1), T4: discipline.Instant(x.Raw4),
		T2: x.T2.Time(pivot).UnixNano(), T3: x.T3.Time(pivot).UnixNano(),
		Leap: h.Leap, Stratum: h.Stratum, Loop: x.Loop, Smeared: smearing(h),
		RootDelay: h.RootDelay.Duration().Seconds(), RootDispersion: h.RootDispersion.Duration().Seconds(),
	})
	if verdict != discipline.Accepted {
		f.steering.log.Debug("measurement not used", "source", f.name, "reason", verdict)
		return
	}
	f.first.CompareAndSwap(0, x.Raw4)
	f.last.Store(x.Raw4)
}

// smearing recognises ntpd's reference identifier of a server that smears a
// leap second at the moment: 254.x.y.z, with the offset in the last three
// octets.
func smearing(h *ntp.Header) bool { return h.ReferenceID>>24 == 254 && h.Stratum > 1 }

// pivot decides the era of timestamps: a clock before the time at which this
// program was made is wrong.
func (s *steering) pivot() time.Time {
	if now := time.Now(); now.After(s.floor) {
		return now
	}
	return s.floor
}

// span is the time from the first sample used to the last.
func (f *followed) span() time.Duration {
	if f == nil {
		return 0
	}
	return time.Duration(f.last.Load() - f.first.Load())
}

func (f *followed) missed() {
	if f != nil {
		f.steering.driver.Missed(f.id)
	}
}

// unsynchronised says that the source itself says that it has no time.
func (f *followed) unsynchronised() {
	if f != nil {
		f.steering.driver.Unsynchronised(f.id)
	}
}

func (f *followed) kiss(k *source.KissError) {
	switch {
	case f == nil:
	case k.Code == "RATE":
		f.steering.driver.RateLimited(f.id)
	default:
		f.steering.driver.Denied(f.id)
	}
}

// pace returns what asks for the time until the next request, nil if polling
// is the association's own matter.
func (f *followed) pace() func() time.Duration {
	if f == nil {
		return nil
	}
	return func() time.Duration { return f.steering.driver.Next(f.id) }
}

// report returns what the discipline thinks of the source.
func (f *followed) report() (clock.SourceReport, bool) {
	if f == nil {
		return clock.SourceReport{}, false
	}
	return f.steering.driver.Source(f.id)
}

// disciplineSource translates what the configuration says of a source.
func disciplineSource(c *config.Source) discipline.SourceConfig {
	return discipline.SourceConfig{
		MinPoll: max(c.MinPoll, 1), MaxPoll: max(c.MaxPoll, 1),
		Authenticated: c.Auth == ntp.KindSymmetric || c.Auth == ntp.KindNTS,
		NoSelect:      c.NoSelect, Prefer: c.Prefer, Trust: c.Trust, Require: c.Require,
		Offset: seconds(c.Offset), Asymmetry: c.Asymmetry,
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// clockReference is the reference identifier of a clock that follows an
// address.
func clockReference(addr netip.Addr) uint32 { return clock.SourceInfo{Address: addr}.ReferenceID() }

// ownReference is what other servers call a clock that follows this host: of
// the first address that is not a loopback one.
func ownReference() uint32 {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return 0
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok && !addr.IsLoopback() && !addr.IsLinkLocalUnicast() {
				return clockReference(addr.Unmap())
			}
		}
	}
	return 0
}

// sourceInfo says what a source is called.
func sourceInfo(c *config.Source, addr netip.Addr) clock.SourceInfo {
	return clock.SourceInfo{Name: c.Server, Address: addr}
}
