package discipline

import "testing"

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
		r.d.Next(s.id, 0.5)
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
