package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// What the program has room for, as maps.h has it.
const (
	maxKeys    = 4096
	maxKeysets = 1024
)

// keyring are the symmetric keys that the program has, in memory that both see.
type keyring struct {
	memory   memory
	slots    *ebpf.Map
	ciphers  *ebpf.Map
	prepare  *ebpf.Program // makes contexts of ciphers; nil: the kernel has none
	keysets  *ebpf.Map
	of       *symkey.Table // whose keys they are
	ids      []uint32      // by slot
	withheld int           // keys that could be there and are not
}

// hasCipher tells whether this kernel lends its ciphers to programs (Linux 6.10
// with CONFIG_CRYPTO).
func hasCipher() bool {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return false
	}
	var f *btf.Func
	return spec.TypeByName("bpf_crypto_encrypt", &f) == nil
}

// without takes from a specification what needs the kernel's ciphers.
func without(spec *ebpf.CollectionSpec) {
	delete(spec.Programs, objectProgNtpCipher)
	spec.Maps[objectMapCiphers].Value = nil // octets instead of an object of the kernel
}

func openKeyring(objects *ebpf.Collection) (r keyring, err error) {
	r = keyring{slots: objects.Maps[objectMapKeySlots], ciphers: objects.Maps[objectMapCiphers],
		prepare: objects.Programs[objectProgNtpCipher], keysets: objects.Maps[objectMapKeysets]}
	r.memory, err = mapMemory(objects.Maps[objectMapKeys])
	return r, err
}

// algorithms names those that the program can compute.
func (r *keyring) algorithms() string {
	if r.prepare == nil {
		return "MD5 and SHA1"
	}
	return "MD5, SHA1 and AES128"
}

func (r *keyring) key(slot int) *objectKey {
	return &unsafe.Slice((*objectKey)(unsafe.Pointer(unsafe.SliceData(r.memory))), maxKeys)[slot]
}

// replace puts the keys of a table in the place of those that are there. The
// program answers nothing meanwhile. Keys that it cannot have are the sockets'.
func (r *keyring) replace(t *symkey.Table) error {
	if r.of == t {
		return nil
	}
	r.wipe()
	r.of = t
	var errs []error
	for k := range t.All() {
		image, ok := k.Image(ntp.HeaderLen)
		if !ok || image.Algorithm == symkey.ImageAES128 && r.prepare == nil {
			continue
		}
		if len(r.ids) == maxKeys {
			r.withheld++
			continue
		}
		if err := r.add(&image); err != nil {
			r.withheld++
			errs = append(errs, fmt.Errorf("key %d: %w", image.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (r *keyring) add(image *symkey.Image) error {
	slot := uint32(len(r.ids))
	k := r.key(int(slot))
	if image.Algorithm == symkey.ImageAES128 {
		if err := r.cipher(slot, image.Secret[:]); err != nil {
			return err
		}
		copy(octets(&k.Block), image.Subkey[:])
	} else {
		copy(octets(&k.Block), image.Block[:])
	}
	k.Algorithm, k.At, k.Blocks, k.State = uint32(image.Algorithm), uint32(image.At), uint32(image.Blocks), image.State
	k.Id = image.ID
	if err := r.slots.Put(image.ID, slot); err != nil {
		*k = objectKey{}
		return err
	}
	r.ids = append(r.ids, image.ID)
	return nil
}

func octets(words *[32]uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(words)), unsafe.Sizeof(*words))
}

// cipher makes the kernel's context of an AES key, or takes it away.
func (r *keyring) cipher(slot uint32, secret []byte) error {
	order := objectCipherOrder{Slot: slot}
	name := func(to []int8, s string) {
		for i := range len(s) {
			to[i] = int8(s[i])
		}
	}
	name(order.Params.Type[:], "skcipher")
	name(order.Params.Algorithm[:], "cbc(aes)")
	order.Params.KeyLen = uint32(copy(order.Params.Key[:], secret))
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&order)), unsafe.Sizeof(order))
	out := make([]byte, len(raw))
	defer clear(raw)
	defer clear(out)
	result, err := r.prepare.Run(&ebpf.RunOptions{Context: raw, ContextOut: out})
	if err != nil {
		return err
	}
	if result != 0 {
		code := int32(binary.NativeEndian.Uint32(out[unsafe.Offsetof(order.Error):]))
		return fmt.Errorf("the kernel's cbc(aes) cannot be had (error %d)", -code)
	}
	return nil
}

// missing says that keys have no room; empty: none.
func (r *keyring) missing() string {
	if r.withheld == 0 {
		return ""
	}
	return fmt.Sprintf("server.fastpath: %d keys have no room in the kernel (%d have): the sockets answer them", r.withheld, len(r.ids))
}

// wipe takes all keys from the program and their secrets from its memory.
func (r *keyring) wipe() {
	for slot, id := range r.ids {
		_ = r.slots.Delete(id)
		if r.key(slot).Algorithm == symkey.ImageAES128 {
			_ = r.cipher(uint32(slot), nil)
		}
	}
	clear(r.memory)
	r.of, r.ids, r.withheld = nil, nil, 0
}

// What a rule answers with MACs, as maps.h has it.
const (
	keyedNone = iota
	keyedAll
	keyedSet // and the number of a set
)

// keysets gives numbers to the sets of keys that rules allow.
type keysets struct {
	ids  []uint32 // by slot
	of   map[objectKeyset]uint32
	list []objectKeyset
}

// number returns what a rule answers with MACs.
func (s *keysets) number(r *access.Rule) uint32 {
	var set objectKeyset
	for slot, id := range s.ids {
		if action, _ := r.JudgeKey(id); action == ntp.Answer && r.Refuses(ntp.KindSymmetric, id) == nil {
			set.Has[slot/64] |= 1 << (slot % 64)
		}
	}
	n := 0
	for _, w := range set.Has {
		n += bits.OnesCount64(w)
	}
	switch n {
	case 0:
		return keyedNone
	case len(s.ids):
		return keyedAll
	}
	number, there := s.of[set]
	if !there {
		if len(s.list) == maxKeysets {
			return keyedNone
		}
		number = uint32(len(s.list))
		s.of[set] = number
		s.list = append(s.list, set)
	}
	return keyedSet + number
}

// install writes the sets where the program looks them up.
func (s *keysets) install(m *ebpf.Map) error {
	for i := range s.list {
		if err := m.Put(uint32(i), &s.list[i]); err != nil {
			return err
		}
	}
	return nil
}
