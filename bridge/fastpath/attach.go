package fastpath

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Status is how things stand at an interface.
type Status struct {
	Interface string `json:"interface"`
	Mode      Mode   `json:"mode"`   // that it has, or was to have
	Active    bool   `json:"active"` // the program is there
	Keys      string `json:"keys"`   // algorithms of keys that it answers
	Why       string `json:"why"`    // not active, or what else there is to say; else empty
	Taken     bool   `json:"-"`      // not active, since another XDP program is there
}

// String is a line for people.
func (s Status) String() string {
	line := s.Interface + ": answered by the sockets: " + s.Why
	if s.Active {
		line = fmt.Sprintf("%s: plain requests and those with keys of %s are answered in the kernel (%s)", s.Interface, s.Keys, s.Mode)
		if s.Mode == XDPNTS {
			line += ", those with NTS by AF_XDP"
		}
		if s.Why != "" {
			line += "; " + s.Why
		}
	}
	return line
}

// now is the status as it is by now.
func (a *attached) now() Status {
	s := a.status
	if s.Active = present(a.link) && a.fault == ""; !s.Active {
		s.Why = cmp.Or(a.fault, "somebody else has taken the program away; a restart attaches it again")
	}
	return s
}

// Status is how things stand at each interface now.
func (e *Engine) Status() []Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := slices.Clone(e.shown)
	for i := range list {
		for _, a := range e.at {
			if a.status.Interface == list[i].Interface {
				list[i] = a.now()
			}
		}
	}
	return list
}

// Watch leaves interfaces whose driver does not deliver what the program
// answers: veth with XDP, whose peer has no program. It is called each second.
func (e *Engine) Watch() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range e.at {
		if !a.status.Mode.inDriver() || a.fault != "" || transmitErrors(a.status.Interface) <= a.errors {
			continue
		}
		e.leave(a)
		a.fault = "the driver did not deliver answers of XDP: the peer of a veth needs an XDP program, too; name " +
			a.status.Interface + "/tcx"
		e.options.Log.Error(a.now().String())
	}
}

// attached is a program at an interface.
type attached struct {
	link   link.Link
	status Status
	fault  string // why it was left again
	errors uint64 // of transmission, see watch
	nts    queues // of AF_XDP
}

// leave takes the program from an interface.
func (e *Engine) leave(a *attached) {
	_ = a.link.Close()
	e.sockets.close(&a.nts)
}

// Attach goes to the interfaces that are there now, and leaves those that are
// gone. It is called again when interfaces or addresses have changed.
func (e *Engine) Attach() []Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.detached {
		return nil
	}
	if err := e.place(); err != nil {
		e.options.Log.Error("addresses are not answered in the kernel", "reason", err)
	}
	wanted, missing := wanted(e.options.Interfaces, e.served)
	shown := missing
	stay := make(map[int]bool)
	for _, w := range wanted {
		stay[w.device.Index] = true
		shown = append(shown, e.attach(w))
	}
	for index, a := range e.at {
		if !stay[index] {
			e.leave(a)
			delete(e.at, index)
			_ = e.objects.Maps[objectMapInterfaces].Put(uint32(index)%maxInterfaces, &objectInterface{})
			e.options.Log.Info("left an interface", "interface", a.status.Interface)
		}
	}
	for _, s := range shown {
		if !slices.Contains(e.shown, s) {
			e.options.Log.Info(s.String())
		}
	}
	e.shown = shown
	return slices.Clone(shown)
}

// served tells whether an interface has an address that is listened on. The
// caller holds the mutex.
func (e *Engine) served(i *net.Interface) bool {
	addresses, err := i.Addrs()
	if err != nil {
		return false
	}
	for _, a := range addresses {
		p, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		own, ok := netip.AddrFromSlice(p.IP)
		if !ok {
			continue
		}
		if own = own.Unmap(); own.Is6() && own.IsLinkLocalUnicast() {
			own = own.WithZone(i.Name)
		}
		for _, l := range e.listen {
			if _, ok := e.places[placeOf(own, l.Port())]; ok {
				return true
			}
		}
	}
	return false
}

// candidate is an interface that the program is to be at.
type candidate struct {
	device *net.Interface
	mode   Mode
}

// wanted returns the interfaces to be at, and those named that are not there.
func wanted(named []Interface, served func(*net.Interface) bool) (list []candidate, missing []Status) {
	if len(named) == 0 { // tunnels and the loopback are the sockets'
		all, err := net.Interfaces()
		if err != nil {
			return nil, []Status{{Interface: "all", Mode: TCX, Why: err.Error()}}
		}
		for i := range all {
			if all[i].Flags&net.FlagUp != 0 && ethernet(&all[i]) && served(&all[i]) {
				list = append(list, candidate{&all[i], TCX})
			}
		}
		return list, nil
	}
	for _, n := range named {
		device, err := net.InterfaceByName(n.Name)
		if err != nil {
			missing = append(missing, Status{Interface: n.Name, Mode: n.Mode, Why: "there is no such interface"})
			continue
		}
		list = append(list, candidate{device, n.Mode})
	}
	return list, missing
}

// attach goes to an interface, or stays. The caller holds the mutex.
func (e *Engine) attach(c candidate) Status {
	s := Status{Interface: c.device.Name, Mode: c.mode, Keys: e.keys.algorithms()}
	if err := e.describe(c); err != nil {
		s.Why = err.Error()
		return s
	}
	if a := e.at[c.device.Index]; a != nil {
		return a.now()
	}
	if s.Why, s.Taken = obstacle(c); s.Why != "" {
		return s
	}
	l, err := attachProgram(e.objects, c)
	if err != nil {
		s.Why = explain(err).Error()
		return s
	}
	s.Active, s.Why = true, remark(c)
	a := &attached{link: l, status: s, errors: transmitErrors(c.device.Name)}
	if c.mode == XDPNTS {
		if err := e.openSockets(c, a); err != nil {
			e.leave(a)
			s.Active, s.Why = false, fmt.Sprintf("%v; name %s/xdp, and the sockets answer requests with NTS", err, c.device.Name)
			return s
		}
	}
	e.at[c.device.Index] = a
	return s
}

// openSockets makes an interface's requests with NTS come by AF_XDP.
func (e *Engine) openSockets(c candidate, a *attached) error {
	i := describeInterface(c)
	if err := e.sockets.open(c.device.Index, c.device.Name, i.Partial != 0, &a.nts); err != nil {
		return err
	}
	i.Sockets, i.Queues = a.nts.first, uint32(len(a.nts.stops))
	return e.objects.Maps[objectMapInterfaces].Put(i.Index%maxInterfaces, &i)
}

func attachProgram(objects *ebpf.Collection, c candidate) (link.Link, error) {
	if c.mode.inDriver() {
		return link.AttachXDP(link.XDPOptions{Interface: c.device.Index, Program: objects.Programs[objectProgNtpXdp],
			Flags: link.XDPDriverMode})
	}
	// Behind the tcx programs that are there: what they take, they take.
	return link.AttachTCX(link.TCXOptions{Interface: c.device.Index, Program: objects.Programs[objectProgNtpTcx],
		Attach: ebpf.AttachTCXIngress})
}

// present tells whether a link still holds a program at its interface.
func present(l link.Link) bool {
	info, err := l.Info()
	if err != nil {
		return false
	}
	if t := info.TCX(); t != nil {
		return t.Ifindex != 0
	}
	if x := info.XDP(); x != nil {
		return x.Ifindex != 0
	}
	return true
}

// describe tells the program of an interface.
func (e *Engine) describe(c candidate) error {
	if !ethernet(c.device) {
		return errors.New("it is not Ethernet")
	}
	i := describeInterface(c)
	if a := e.at[c.device.Index]; a != nil {
		i.Sockets, i.Queues = a.nts.first, uint32(len(a.nts.stops))
	}
	at := i.Index % maxInterfaces
	for other := range e.at {
		if other != c.device.Index && uint32(other)%maxInterfaces == at {
			return fmt.Errorf("its index %d and that of another interface, %d, are %d apart: make it anew", c.device.Index, other, maxInterfaces)
		}
	}
	return e.objects.Maps[objectMapInterfaces].Put(at, &i)
}

// describeInterface is what the program knows of an interface.
func describeInterface(c candidate) objectInterface {
	i := objectInterface{Index: uint32(c.device.Index)}
	for j := range i.Mac {
		i.Mac[j] = uint16(c.device.HardwareAddr[2*j]) | uint16(c.device.HardwareAddr[2*j+1])<<8
	}
	if driverOf(c.device.Name).local() {
		i.Partial = 1
	}
	return i
}

// ethernet tells whether frames begin with an Ethernet header.
func ethernet(i *net.Interface) bool {
	return len(i.HardwareAddr) == 6 && i.Flags&(net.FlagLoopback|net.FlagPointToPoint) == 0
}

// obstacle returns why the program may not be at an interface; taken says that
// another program has its place.
func obstacle(c candidate) (why string, taken bool) {
	name := c.device.Name
	if c.mode.inDriver() {
		up, program, err := linkOf(c.device.Index)
		switch {
		case err != nil:
			return fmt.Sprintf("what is on top of it is not known: %v", err), false
		case program != 0:
			return fmt.Sprintf("another XDP program is here (id %d, see bpftool net); remove it, or name %s/tcx", program, name), true
		case len(up) > 0:
			return fmt.Sprintf("XDP is below %s on top of it, whose packets it cannot tell apart; name %s instead, with tcx",
				strings.Join(up, ", "), up[0]), false
		}
		return "", false
	}
	if has, err := hasClassifier(c.device.Index); err != nil {
		return fmt.Sprintf("whether tc filters packets here is not known: %v", err), false
	} else if has {
		return "tc has a clsact or ingress qdisc here, whose filters would not see what is answered; " +
			"tc qdisc del dev " + name + " clsact, if it is not needed", false
	}
	return "", false
}

// remark is what somebody should know of an interface that the program is at.
func remark(c candidate) string {
	if c.mode == TCX {
		if n := othersAt(c.device.Index); n > 0 {
			return fmt.Sprintf("%d other tcx programs are here, too, and those before it see packets first", n)
		}
		return ""
	}
	if driverOf(c.device.Name).name == veth {
		return "answers on veth are only delivered while its peer has an XDP program, too"
	}
	return ""
}

// othersAt counts the tcx programs of others at the ingress of an interface.
func othersAt(index int) int {
	found, err := link.QueryPrograms(link.QueryOptions{Target: index, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return 0
	}
	return len(found.Programs) - 1
}
