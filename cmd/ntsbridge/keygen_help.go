package main

// keygenLong is the text of keygen's help.
const keygenLong = `Makes the files of Autokey with the options of ntp-keygen 4.2.8p15, under the
same names and with the same links, in the current directory (or --keysdir).
Linked as ntp-keygen it runs in its place.

  keygen [OPTIONS]             make keys, groups, and always a new certificate
  keygen renew [OPTIONS]       a certificate that running peers take over
  keygen inspect FILE...       what a file is, and whether ntpd takes it
  keygen repair FILE...        group files of ntp-keygen that cannot work

A fresh site:
  server, TC    keygen -T --password-file pw
  server, IFF   keygen -T -I -i GROUP --password-file pw
                keygen -e -i GROUP --password-file pw > ntpkey_iffpar_GROUP
  server, GQ    the same with -G, ntpkey_gqpar_GROUP
  server, MV    keygen -T -V 5 -b 512 -i GROUP --password-file pw
                keygen -i GROUP --password-file pw --export-password-file pw > ntpkey_mvkey_HOST
                keygen -e --mv-client 1 -i GROUP --password-file pw > ntpkey_mvpar_GROUP
  PC            keygen -P --password-file pw; copy host key and certificate to the clients
  client        keygen -i GROUP --password-file pw; put ntpkey_{iff,gq,mv}par_GROUP
                beside it. Of a server without -i: keygen --password-file pw
A server made with -i has the name HOST@GROUP, and then drops every client
whose own name has no group, without a word, as ntpd does: clients want -i, too.
ntp.conf of the server: "crypto pw PASSWORD"; with -q for another host the
password of that host. Of a client: "server HOST autokey ident GROUP".

Where it differs from ntp-keygen:
- Nothing is written unless all can be; what ntp-keygen leaves out with status
  0 is an error with status 255 here.
- Private keys are written in OpenSSL's traditional form, which 0.9.8 to 3 read
  and which alone keeps the public values of IFF and MV. GQ keys are arranged
  for servers of 4.2.8. Exports (-e, -q) therefore work with real daemons.
- Private files are 0600; 0640 with the group of the file that is replaced, if
  that was readable by its group, or in a set-group-ID directory. Certificates
  are 0644. (There: all 0640.)
- A group's key is found under the host's link too, so -e works in a later run.
- -d prints no secrets. Wrong passwords are not printed.
- --save-opts writes no passwords. ~/.ntprc, ./.ntprc, NTP_KEYGEN and
  NTP_KEYGEN_* are read as there, and told.
- A group modulus (-b) is 512 bits by default, 256 for MV only.

Exit status: 0 done; 1 wrong options; 255 failed. inspect, repair: 0 good;
1 failed; 2 wrong options; 3 a file that some daemon does not take (--strict).
`
