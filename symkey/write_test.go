package symkey

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzWrite writes keys of any secret: what a writer accepts its reader reads as
// the same key, and nothing else with it; errors name no secret.
func FuzzWrite(f *testing.F) {
	for i := range algorithms {
		f.Add(uint32(1), uint8(i), []byte("sixteen octets!!"), []byte("x"))
		f.Add(uint32(65536), uint8(i), bytes.Repeat([]byte{'#'}, 20), []byte{})
		f.Add(uint32(1<<31), uint8(i), []byte("HEX:00 \n2 MD5 a"), bytes.Repeat([]byte{0xff}, 64))
	}
	f.Fuzz(func(t *testing.T, id uint32, which uint8, secret, random []byte) {
		a := &algorithms[int(which)%len(algorithms)]
		if k, err := newKey(id, a, secret, len(secret), nil); err == nil {
			roundTrip(t, k)
		} else if len(secret) > 8 && bytes.Contains([]byte(err.Error()), secret) {
			t.Fatalf("the error tells the secret: %v", err)
		}
		k, err := Generate(bytes.NewReader(random), id, a.name)
		if err != nil {
			return
		}
		roundTrip(t, k)
		_, err = AppendNTPKeysLine(nil, k)
		if err != nil && id <= maxNTPKeyID && !errors.Is(err, errAlgorithm) && !errors.Is(err, errSecret) {
			t.Fatalf("a new key of %s has no line: %v", a.name, err)
		}
	})
}
