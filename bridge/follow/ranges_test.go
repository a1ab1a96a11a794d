package follow

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/config"
)

// setting puts one end of the range of an option into a configuration.
type setting struct {
	name string
	set  func(*config.Clock)
}

// ends returns both ends of each range in clock.
func ends(t *testing.T) (all []setting) {
	var walk func(at reflect.Type, path []int, name string)
	walk = func(at reflect.Type, path []int, name string) {
		for i := range at.NumField() {
			f := at.Field(i)
			way := append(append([]int(nil), path...), i)
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, way, name+f.Name+".")
				continue
			}
			low, high, ok := strings.Cut(f.Tag.Get("range"), "..")
			if !ok {
				continue
			}
			for _, text := range []string{low, high} {
				all = append(all, setting{name + f.Name + "=" + text, func(c *config.Clock) {
					put(t, reflect.ValueOf(c).Elem().FieldByIndex(way), text)
				}})
			}
		}
	}
	walk(reflect.TypeFor[config.Clock](), nil, "")
	return all
}

func put(t *testing.T, v reflect.Value, text string) {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		v.SetInt(int64(d))
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		v.SetFloat(f)
	default:
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		v.SetInt(int64(n))
	}
}

// What the configuration allows the driver takes: each end of each range, and
// every pair of them. An error leaves no steering.
func TestEveryRangeMakesADriver(t *testing.T) {
	all := ends(t)
	if len(all) < 30 {
		t.Fatalf("%d ends of ranges", len(all))
	}
	for i, a := range all {
		for _, b := range all[i:] {
			cfg := config.Default()
			a.set(&cfg.Clock)
			b.set(&cfg.Clock)
			d := driverConfig(cfg, -20)
			d.System, d.Measure = clock.ReadOnlySystem(), true
			made, err := clock.NewDriver(d)
			if err != nil {
				t.Errorf("%s %s: %v", a.name, b.name, err)
				continue
			}
			made.Close()
		}
	}
	c := silent(t)
	cfg := testConfig(t, config.ClockDiscipline)
	cfg.Clock.MaxSlewPPM = 1e9
	if _, err := c.Prepare(cfg, LeapConfig{}); err == nil {
		t.Error("a driver that cannot be")
	}
	if c.Steering() != nil {
		t.Error("steering without a driver")
	}
}
