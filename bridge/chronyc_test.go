package bridge

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/facebook/time/ntp/chrony"
)

// A client of chrony's protocol finds the running daemon on its socket: this
// one is of facebook/time, which exporters use.
func TestChronyClient(t *testing.T) {
	t.Parallel()
	_, client, cfg := startFollowing(t)
	wait(t, "synchronised", func() bool { return client.snapshot().Tracking().Synchronised() })
	own := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "c"), Net: "unixgram"}
	conn, err := net.DialUnix("unixgram", own, &net.UnixAddr{Name: chronySocket(cfg), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	asker := chrony.Client{Connection: conn, Sequence: 1}
	reply, err := asker.Communicate(chrony.NewTrackingPacket())
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := reply.(*chrony.ReplyTracking); !ok || k.Stratum != 11 || k.LeapStatus != 0 || k.CurrentCorrection > 0.1 ||
		k.CurrentCorrection < -0.1 {
		t.Errorf("tracking %+v", reply)
	}
	if reply, err = asker.Communicate(chrony.NewSourcesPacket()); err != nil {
		t.Fatal(err)
	}
	if n, ok := reply.(*chrony.ReplySources); !ok || n.NSources != 3 {
		t.Fatalf("sources %+v", reply)
	}
	for i := range int32(3) {
		reply, err := asker.Communicate(chrony.NewSourceDataPacket(i))
		if err != nil {
			t.Fatal(err)
		}
		s, ok := reply.(*chrony.ReplySourceData)
		if !ok || s.Mode != chrony.SourceModeClient || s.IPAddr.String() != []string{"127.0.0.1", "127.0.0.2", "127.0.0.1"}[i] {
			t.Errorf("source %d: %+v", i, reply)
		}
	}
	if _, err = asker.Communicate(chrony.NewServerStatsPacket()); err != nil {
		t.Fatal(err)
	}
	if _, err := asker.Communicate(chrony.NewSourceDataPacket(3)); err == nil {
		t.Error("a fourth of three sources")
	}
}
