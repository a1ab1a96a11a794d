package discipline

import (
	"math"
	"testing"
)

// In steady state neither a sample nor a tick allocates.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	r := newRig(t, DefaultConfig(), sources(4)...)
	r.run(20000) // windows of delays are full
	i := 0
	n := testing.AllocsPerRun(200, func() {
		s := r.servers[i%4]
		i++
		r.advance(r.now + 1e9)
		if got := r.d.Sample(r.sample(s)); got != Accepted {
			t.Fatal(got)
		}
		r.planned(s, 0.5)
		r.rate = r.d.Tick(r.reading()).Rate
		r.d.Status(r.reading())
	})
	if n > 0 {
		t.Errorf("%v allocations per sample", n)
	}
}

func BenchmarkSample(b *testing.B) {
	r := newRig(b, DefaultConfig(), sources(4)...)
	r.run(3000)
	b.ReportAllocs()
	for i := range b.N {
		r.advance(r.now + 1e9)
		r.d.Sample(r.sample(r.servers[i%4]))
	}
}

func BenchmarkTick(b *testing.B) {
	r := newRig(b, DefaultConfig(), sources(4)...)
	r.run(3000)
	b.ReportAllocs()
	for b.Loop() {
		r.d.Tick(r.reading())
		r.d.Status(r.reading())
	}
}

// A day of samples costs what an hour did: nothing grows but windows of delays,
// which are bounded, and what is kept of sources that went is dropped.
func TestMemoryIsBounded(t *testing.T) {
	r := newRig(t, DefaultConfig(), sources(4)...)
	r.run(1000)
	for i := range 200 { // sources come and go, routes change
		id := SourceID(100 + i)
		if err := r.d.AddSource(id, poll4); err != nil {
			t.Fatal(err)
		}
		r.servers = append(r.servers, newServer(t, id, poll4, 1e-3+50e-3*r.noise(), r.now+1e8))
		for _, s := range r.servers {
			if i%20 == 0 {
				s.up = 20e-3 * r.noise()
			}
		}
		r.run(100)
		if i >= 4 {
			gone := r.servers[4]
			r.servers = append(r.servers[:4:4], r.servers[5:]...)
			r.d.RemoveSource(gone.id)
		}
	}
	r.run(20000)
	if n := len(r.d.joint.slots); n > maxSlots || n != r.d.joint.members[0].n-clockLen {
		t.Errorf("%d bias states, at most %d are allowed", n, maxSlots)
	}
	for _, s := range r.d.sources {
		if n := cap(s.path.window.delay); n > 2*windowLen {
			t.Errorf("window of %d delays", n)
		}
	}
	for name, n := range map[string]int{
		"claim": cap(r.d.claim.candidates), "survivors": cap(r.d.claim.survivors), "candidates": cap(r.d.selection.candidates),
		"replay":  cap(r.d.joint.replay),
		"borders": cap(r.d.borders), "views": cap(r.d.views), "opinions": cap(r.d.joint.opinions), "leanings": cap(r.d.joint.leanings),
		"events": cap(r.d.events),
	} {
		if n > 2*maxEvents {
			t.Errorf("%s holds %d", name, n)
		}
	}
	r.honest(t)
}

func BenchmarkSampleOneSource(b *testing.B)    { benchmarkSample(b, 1) }
func BenchmarkSampleEightSources(b *testing.B) { benchmarkSample(b, 8) }
func BenchmarkSample32Sources(b *testing.B)    { benchmarkSample(b, 32) }
func BenchmarkSample64Sources(b *testing.B)    { benchmarkSample(b, 64) }
func BenchmarkSample128Sources(b *testing.B)   { benchmarkSample(b, 128) }

func benchmarkSample(b *testing.B, n int) {
	r := newRig(b, DefaultConfig(), sources(n)...)
	r.run(4000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.advance(r.now + 1e9)
		r.d.Sample(r.sample(r.servers[i%n]))
	}
}

// BenchmarkStart128Sources is the first minute, when all is young.
func BenchmarkStart128Sources(b *testing.B) {
	for b.Loop() {
		r := newRig(b, DefaultConfig(), sources(128)...)
		r.run(60)
	}
}

// BenchmarkSample128Quarrelling has sources whose intervals overlap while their
// estimates do not.
func BenchmarkSample128Quarrelling(b *testing.B) {
	r := newRig(b, DefaultConfig(), sources(128)...)
	for i, s := range r.servers {
		s.delay, s.offset = 100e-3, 40e-3*math.Sin(float64(i))
	}
	r.run(1000)
	for i := 0; b.Loop(); i++ {
		r.advance(r.now + 1e9)
		r.d.Sample(r.sample(r.servers[i%128]))
	}
}
