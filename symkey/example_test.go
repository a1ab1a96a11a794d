package symkey_test

import (
	"fmt"

	"ntsbridge/symkey"
)

// A key file of ntpd, of which only some keys are trusted.
func Example() {
	const text = "1 MD5 sesame\n" +
		"7 SHA256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
	file, err := symkey.ParseNTPKeys("ntp.keys", []byte(text))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range file.Keys {
		fmt.Println(key)
		for _, text := range key.Weaknesses() {
			fmt.Println("  " + text)
		}
	}
	trusted, err := symkey.ParseTrusted([]string{"5 ... 9"})
	if err != nil {
		fmt.Println(err)
		return
	}
	table, err := symkey.NewTable(file.Keys, trusted)
	if err != nil {
		fmt.Println(err)
		return
	}
	packet := make([]byte, 48, 72)
	key, s := table.Lookup(7), symkey.NewScratch()
	packet = packet[:key.Seal(packet[:cap(packet)], 48, key.WireLen(4), s)]
	fmt.Println(table.Len(), "trusted;", len(packet), "octets, verified:", key.Verify(packet, 48, s))
	// Output:
	// key 1 (MD5, 6 octets)
	//   MD5 is broken and deprecated for NTP (RFC 8573); use AES128CMAC, or SHA256 where the client has no CMAC
	//   the secret has 6 octets, fewer than 16; make a longer one at random
	// key 7 (SHA256, 32 octets)
	// 1 trusted; 72 octets, verified: true
}
