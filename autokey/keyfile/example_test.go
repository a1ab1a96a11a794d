package keyfile_test

import (
	"fmt"
	"os"
	"time"

	"ntsbridge/autokey/keyfile"
)

// What an Autokey server reads of a key directory, and what speaks against it.
func ExampleLoadHost() {
	dir := os.DirFS("testdata/keys/iff-group")
	host, err := keyfile.LoadHost(dir, keyfile.HostOptions{Host: "tick", Password: "serverpw",
		Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(host.Name, host.NID(), "IFF:", host.IFF != nil, "trusted:", host.Certificate.Trusted)
	for _, f := range host.Findings {
		fmt.Println(f.File, f.Code)
	}
	// Output:
	// tick@grp md5WithRSAEncryption IFF: true trusted: true
	// ntpkey_host_tick weak-key
	// ntpkey_cert_tick weak-digest
	// ntpkey_cert_tick group
}
