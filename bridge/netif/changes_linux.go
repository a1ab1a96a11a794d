package netif

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long changes are gathered before they are told: an interface
// comes with several addresses.
const settle = 200 * time.Millisecond

// again is when they are told once more: IPv6 addresses are usable a second or
// two after they came.
const again = 3 * time.Second

// Changes tells of changed addresses until stop is closed. What is told may be
// nothing new.
func Changes(stop <-chan struct{}) (<-chan struct{}, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("changes of addresses: %w", err)
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("changes of addresses: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "netlink")
	heard := make(chan struct{}, 1)
	go listen(socket, heard)
	told := make(chan struct{})
	go func() {
		defer close(told)
		defer socket.Close()
		gather(stop, heard, told)
	}()
	return told, nil
}

// listen reads what the kernel says; the messages are not looked at, since what
// counts is what the interfaces have afterwards. A message that was lost
// (ENOBUFS) is a change, too.
func listen(socket *os.File, heard chan<- struct{}) {
	buffer := make([]byte, 1<<16)
	for {
		if _, err := socket.Read(buffer); err != nil && !temporary(err) {
			return
		}
		select {
		case heard <- struct{}{}:
		default:
		}
	}
}

func temporary(err error) bool {
	e, ok := err.(*os.PathError)
	return ok && (e.Err == unix.ENOBUFS || e.Err == unix.EINTR)
}

// gather tells of changes when they have settled, and once more later.
func gather(stop <-chan struct{}, heard <-chan struct{}, told chan<- struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	more := false
	for {
		select {
		case <-stop:
			return
		case <-heard:
			timer.Reset(settle)
			more = true
			continue
		case <-timer.C:
		}
		select {
		case <-stop:
			return
		case told <- struct{}{}:
		}
		if more {
			timer.Reset(again)
		}
		more = false
	}
}
