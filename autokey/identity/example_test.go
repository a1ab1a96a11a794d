package identity_test

import (
	"crypto/rand"
	"fmt"

	"ntsbridge/autokey/identity"
)

// The IFF scheme: who has the parameters of the group can check that a server
// has its key.
func Example() {
	key, err := identity.GenerateIFF(rand.Reader, 512, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	group := key.Parameters()
	challenge, err := group.Challenge(rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	response, err := key.Respond(rand.Reader, challenge)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(group.Verify(challenge, response))
	challenge[0] ^= 1
	fmt.Println(group.Verify(challenge, response))
	// Output:
	// <nil>
	// identity: response does not match
}
