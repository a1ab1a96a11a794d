package association

import (
	"context"
	"net/netip"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// listen follows a broadcast server.
func (a *association) listen(ctx context.Context) error {
	if group := a.spec.Config.Group; group.IsValid() {
		if err := a.join(group); err != nil {
			return err
		}
		defer a.leave(group)
	}
	local, remote, err := a.ends(ctx)
	if err != nil {
		return err
	}
	auth, err := a.broadcastAuth(local, remote)
	if err != nil {
		return err
	}
	followed, err := a.enlist(remote.Addr())
	if err != nil {
		return err
	}
	defer followed.Leave(false)
	defer a.followed.Store(nil)
	client, err := source.NewBroadcastClient(source.BroadcastClientConfig{
		Server: remote, Local: local, Auth: auth, Clock: a.clock, OnError: a.logged,
		Self: followsUs, OnSample: a.sample(followed), OnMissed: a.missed(followed),
	})
	if err != nil {
		return err
	}
	return a.hear(ctx, remote.Addr(), ofGroup{client, a.spec.Config.Group})
}

// ofGroup gives a broadcast client the broadcasts to its group alone, or, if it
// has none, to no group: a server may send to several at once, and each but
// the first would count as a repetition.
type ofGroup struct {
	*source.BroadcastClient
	group netip.Addr
}

// Deliver hands over a packet.
func (g ofGroup) Deliver(p source.Packet) {
	if p.Destination.IsMulticast() || g.group.IsValid() {
		if p.Destination != g.group.WithZone("") {
			return
		}
	}
	g.BroadcastClient.Deliver(p)
}

func (a *association) broadcastAuth(local netip.Addr, remote netip.AddrPort) (source.BroadcastAuth, error) {
	if a.spec.Config.Auth != ntp.KindAutokey {
		key, err := source.NewSymmetric(a.spec.Key)
		return source.SymmetricBroadcast{Symmetric: key}, err
	}
	client, err := autokey.NewBroadcastClient(a.spec.autokeyWith(a.id, local, remote.Addr()))
	if err != nil {
		return nil, err
	}
	return &watchedBroadcast{source.NewAutokeyBroadcastClient(client), a}, nil
}

// watchedBroadcast lets ntpq see the state of a broadcast client of Autokey.
type watchedBroadcast struct {
	*source.AutokeyBroadcastClient
	a *association
}

// Open implements source.Authenticator.
func (w *watchedBroadcast) Open(m source.Moment, p []byte) source.Judgement {
	defer w.note()
	return w.AutokeyBroadcastClient.Open(m, p)
}

// OpenBroadcast implements source.BroadcastAuth.
func (w *watchedBroadcast) OpenBroadcast(m source.Moment, p []byte, destination netip.Addr) source.Judgement {
	defer w.note()
	return w.AutokeyBroadcastClient.OpenBroadcast(m, p, destination)
}

func (w *watchedBroadcast) note() { w.a.note(w.AutokeyBroadcastClient.Client.State()) }

// join hears a multicast group, which several sources may send to.
func (s *shared) join(group netip.Addr) error {
	s.joining.Lock()
	defer s.joining.Unlock()
	if err := s.env.UDP.Join(group); err != nil {
		return err
	}
	s.joined[group]++
	return nil
}

func (s *shared) leave(group netip.Addr) {
	s.joining.Lock()
	defer s.joining.Unlock()
	if s.joined[group]--; s.joined[group] == 0 {
		s.env.UDP.Leave(group)
	}
}
