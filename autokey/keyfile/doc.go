// Package keyfile reads and writes the ntpkey_* files of ntp-keygen 4.2.8 and
// older: host and sign keys, identity keys and parameters, certificates; and
// it does the public-key operations of Autokey with them.
//
// It works on bytes and on fs.FS. It knows nothing of messages or of
// associations (autokey), nor of the identity exchanges (autokey/identity).
package keyfile
