// Package aead is the authenticated encryption of NTS (RFC 8915): AES-SIV
// (RFC 5297; AEAD_AES_SIV_CMAC_256, _384 and _512) and AES-128-GCM-SIV
// (RFC 8452; AEAD_AES_128_GCM_SIV).
//
// A server gets the keys of every packet out of the packet's cookie, so keys
// live for one packet. Key is therefore a plain value that its owner expands
// with Init again and again. On amd64 with AES-NI and PCLMULQDQ nothing here
// allocates. Elsewhere, and under the build tag purego, the blocks come from
// crypto/aes, which allocates in Init and in each operation; POLYVAL is then
// constant-time Go.
//
// It does not choose nonces, does not frame packets and knows no cookies.
package aead
