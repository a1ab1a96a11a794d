package source

import (
	"fmt"
	"net"

	"ntsbridge/bridge/clock/nic"
	"ntsbridge/bridge/netif"
)

// useHardware makes the socket ask for timestamps of the interface that it
// sends by, whose clock is kept in open.
func (s *socket) useHardware(device string, open map[string]*nic.Clock) error {
	if device == "" {
		i, err := net.InterfaceByIndex(netif.IndexOf(s.local))
		if err != nil {
			return fmt.Errorf("no interface has address %v", s.local)
		}
		device = i.Name
	}
	h, known := open[device]
	if !known {
		err := s.apply(func(fd int) (err error) {
			h, err = nic.Open(fd, device)
			return err
		})
		open[device] = h
		if err != nil {
			return fmt.Errorf("interface %s: no hardware timestamps, those of the kernel are used: %w", device, err)
		}
	}
	if h == nil {
		return nil // told already
	}
	s.hardware = h
	return s.apply(func(fd int) error { return stampAll(fd, hardwareStamps) })
}
