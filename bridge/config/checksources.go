package config

import (
	"fmt"
	"os"

	"ntsbridge/bridge/ntp"
)

// sources checks what sources and broadcasts need of keys and files.
func (k *checker) sources() {
	for i := range k.config.Sources {
		s := &k.config.Sources[i]
		path := fmt.Sprintf("sources[%d]", i)
		if s.Auth == ntp.KindSymmetric {
			k.sourceKey(path+".key", s.Key)
		}
		if s.TrustedCertificates != "" {
			k.public(path+".trusted_certificates", s.TrustedCertificates)
		}
	}
	for i := range k.config.ReferenceClocks {
		c := &k.config.ReferenceClocks[i]
		path := fmt.Sprintf("reference_clocks[%d].device", i)
		if c.Driver != DriverPPS && c.Driver != DriverPHC {
			continue
		}
		if _, err := os.Stat(c.Device); err != nil {
			k.find(Warning, path, "%v; the clock is looked for again and again until it is there", err)
		}
	}
	if file := k.config.Clock.Leap.File; file != "" {
		k.public("clock.leap.file", file)
	}
	for i := range k.config.Broadcast {
		if b := &k.config.Broadcast[i]; b.Auth == ntp.KindSymmetric {
			k.sourceKey(fmt.Sprintf("broadcast[%d].key", i), b.Key)
		}
	}
}

// sourceKey checks that a key may be used, if the keys could be read.
func (k *checker) sourceKey(path string, id int) {
	switch {
	case k.keyTable.Lookup(uint32(id)) != nil, k.config.generatesKey() && id == generatedKey:
	case k.config.generatesKey():
		k.find(Failure, path, "no key file has key %d: the generated one has key %d; name a file in keys.files", id, generatedKey)
	default:
		k.find(Failure, path, "key %d is in no key file, or not in keys.trusted; add it, or correct the number", id)
	}
}

// generatedKey is the identifier of the key that is made on the first start.
const generatedKey = 1
