package clock

import (
	"fmt"
	"io"
	"math"
	"os"
)

func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s: longer than %d octets; is it the right file?", path, most)
	}
	return text, err
}

func checkFrequency(frequency, skew float64) error {
	if !(math.Abs(frequency) <= maxRate) {
		return fmt.Errorf("frequency %.6g ppm is out of range, -100000 to 100000", frequency*1e6)
	}
	if !(skew >= 0 && skew <= mostSkew) {
		return fmt.Errorf("skew %.6g ppm is out of range, 0 to 1000", skew*1e6)
	}
	return nil
}
