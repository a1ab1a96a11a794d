package nke_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/facebook/time/ntp/ntske"

	"ntsbridge/nts"
)

func TestFacebookClient(t *testing.T) {
	files := selfSigned(t, loopback)
	config := testConfig(t, files)
	_, addr := listen(t, config)
	conf, err := ntske.ClientTLSConfig(files.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		offer   []uint16
		compl   bool
		want    uint16
		keysFit bool
	}{
		{nil, true, 30, true},
		{nil, false, 15, true}, // 30 without record 1024 is ambiguous
		{[]uint16{15}, false, 15, true},
		{[]uint16{17}, false, 17, true},
		{[]uint16{30}, false, 30, false}, // chrony 4.4's keys, which this client does not make
	} {
		c := ntske.Client{SupportedAEAD: test.offer, RequestCompliantExport: test.compl}
		res, err := c.Handshake(context.Background(), addr, conf)
		if err != nil {
			t.Errorf("%v: %v", test.offer, err)
			continue
		}
		var keys nts.Keys
		_, ok := config.Ring().OpenCookie(&keys, res.Cookies[0])
		fit := bytes.Equal(keys.C2S(), res.C2S) && bytes.Equal(keys.S2C(), res.S2C)
		if !ok || res.AEAD != test.want || len(res.Cookies) != 8 || fit != test.keysFit {
			t.Errorf("%v: AEAD %d, %d cookies, keys fit: %v", test.offer, res.AEAD, len(res.Cookies), fit)
		}
	}
}
