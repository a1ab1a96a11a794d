// Package frames receives and sends Ethernet frames by AF_XDP: memory that a
// queue of a network interface and this program share (the kernel's
// documentation, networking/af_xdp). A program of XDP decides which frames come
// here (bridge/fastpath); what it cannot hand over goes on to the sockets.
//
// It asks for no copying; where the driver copies, as veth does, it works as
// well. It knows requests of UDP over IPv4 and IPv6, and how to answer them to
// where they came from.
package frames
