# What a real systemd is asked to do with the package's units. Each line that
# begins with is or isnt is one thing that must hold; TestLongSystemd reads them.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
is() { name=$1; shift; if out=$("$@" 2>&1); then echo "ok: $name"; else echo "FAILED: $name: $out"; fi; }
isnt() { name=$1; shift; if out=$("$@" 2>&1); then echo "FAILED: $name: $out"; else echo "ok: $name"; fi; }
soon() { for i in 0 1 2 3 4 5 6 7 8 9; do "$@" && return; sleep 0.5; done; return 1; }
show() { systemctl show -P "$2" "$1"; }
same() { [ "$1" = "$2" ] || { echo "$1, want $2"; return 1; }; }
has() { case $1 in *"$2"*) ;; *) echo "$1, want $2"; return 1 ;; esac; }
drop_in() { mkdir -p "/etc/systemd/system/$1.d"; cat >"/etc/systemd/system/$1.d/$2.conf"; systemctl daemon-reload; }
capabilities() { sed -n 's/^CapEff:\t//p' "/proc/$(show "$1" MainPID)/status"; }
plain() { ntsbridge query --samples 1 --timeout 8s 127.0.0.1; }
nts() { ntsbridge query --samples 1 --timeout 8s --auth nts --ca /secret/root.crt localhost; }
config=/etc/ntsbridge/ntsbridge.yaml
observe=ntsbridge-observe.service
main=ntsbridge.service

is 'dpkg installs it' dpkg -i /n.deb
is 'systemd finds no fault with the units' systemd-analyze verify $observe $main ntsbridge-wait.service ntsbridge-clock.service ntsbridge.socket ntsbridge-clock.socket

# Keys that root alone may read come by LoadCredential.
mkdir -m 700 /secret
ntsbridge certificate make localhost --dir /secret --group root >/dev/null
echo '1 SHA256 0101010101010101010101010101010101010101010101010101010101010101' >/secret/ntp.keys
chmod 600 /secret/*
cat >$config <<END
clock: {mode: local}
keys: {files: [{path: \$CREDENTIALS_DIRECTORY/ntp.keys, format: ntp}], trusted: [all]}
nts: {certificates: [{cert: \$CREDENTIALS_DIRECTORY/nts.crt, key: \$CREDENTIALS_DIRECTORY/nts.key}]}
END
for unit in $observe $main; do
	# Where another one may set the clock, this container may not.
	drop_in $unit test <<END
[Service]
LoadCredential=ntp.keys:/secret/ntp.keys
LoadCredential=nts.crt:/secret/localhost.crt
LoadCredential=nts.key:/secret/localhost.key
AmbientCapabilities=
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
WatchdogSec=4
TimeoutAbortSec=1
END
done

is 'it starts' systemctl start $observe
# Without that nothing else is worth the wait.
systemctl is-active $observe || { journalctl -u $observe -o cat --no-pager; exit 1; }
is 'it is active once it serves' same "$(show $observe ActiveState)" active
is 'its status has a line' has "$(show $observe StatusText)" serv
is 'it is the user ntsbridge' same "$(stat -c %U "/proc/$(show $observe MainPID)")" ntsbridge
is 'it serves' plain
is 'keys come by LoadCredential' ntsbridge query --samples 1 --timeout 8s --auth key --keys /secret/ntp.keys --key-id 1 127.0.0.1
is 'certificates come by LoadCredential' nts
is 'it has one right' same "$(capabilities $observe)" 0000000000000400
is 'the kernel filters its calls' grep -q '^Seccomp:.2' "/proc/$(show $observe MainPID)/status"
is 'it confines itself' sh -c "journalctl -u $observe -o cat | grep 'confined: ' | grep -q 'landlock=true seccomp=true'"
is 'a reload is done' systemctl reload $observe
is 'it is active after a reload' same "$(show $observe ActiveState)" active
echo 'bogus: 1' >>$config
isnt 'a reload that is refused is not done' systemctl reload $observe
is 'it is active after a refused reload' same "$(show $observe ActiveState)" active
is 'it serves after a refused reload' plain
is 'the journal knows what is an error' sh -c "journalctl -u $observe -p err -o cat | grep -q bogus"
is 'the journal knows what is none' sh -c "journalctl -u $observe -p info..info -o cat | grep -q 'ntsbridge: serving'"
sed -i '/bogus/d' $config
is 'another reload is done' systemctl reload $observe

kill -STOP "$(show $observe MainPID)"
sleep 5
restarted() { [ "$(show $observe NRestarts)" = 1 ] && plain; }
is 'the watchdog restarts it' soon soon restarted

# The socket unit as the drop-in says.
systemctl stop $observe
drop_in ntsbridge.socket observe <<END
[Socket]
Service=$observe
END
drop_in $observe socket </usr/share/doc/ntsbridge/observe-socket.conf
sed -i '/Capabilit/d' /etc/systemd/system/$observe.d/test.conf
systemctl daemon-reload
is 'the socket unit starts' systemctl start ntsbridge.socket
is 'nobody serves before somebody asks' same "$(show $observe ActiveState)" inactive
is 'a request starts it' soon plain
is 'NTS-KE is on the sockets of systemd' nts
is 'by sockets it has no right at all' same "$(capabilities $observe)" 0000000000000000
is 'by sockets it confines itself' sh -c "journalctl -u $observe -o cat | grep 'confined: ' | tail -n 1 | grep -q 'landlock=true seccomp=true'"
is 'by sockets it reloads' systemctl reload $observe
systemctl stop ntsbridge.socket $observe
rm -r /etc/systemd/system/ntsbridge.socket.d /etc/systemd/system/$observe.d/socket.conf
systemctl daemon-reload

systemctl start $observe
is 'the other unit starts' systemctl start $main
is 'the other unit confines itself' sh -c "journalctl -u $main -o cat | grep 'confined: ' | grep -q 'landlock=true seccomp=true'"
is 'of the two units one runs' same "$(show $observe ActiveState)" inactive
is 'the other unit serves' plain
systemctl stop $main

# The clock set by a process apart, which here may not set it either, and says so.
drop_in ntsbridge-clock.service test <<END
[Service]
AmbientCapabilities=
CapabilityBoundingSet=
END
apart() { setpriv --reuid ntsbridge --regid ntsbridge --clear-groups ntsbridge check --state-dir /var/lib/ntsbridge --run-dir /var/lib/ntsbridge/apart -c /tmp/apart.yaml 2>&1; }
sed 's#mode: local#mode: discipline, process: /run/ntsbridge-clock.sock#; /CREDENTIALS/d' $config >/tmp/apart.yaml
echo 'sources: [{server: 127.0.0.9}]' >>/tmp/apart.yaml
is 'the socket of the clock is there' systemctl start ntsbridge-clock.socket
is 'the socket of the clock is of our user alone' same "$(stat -c '%U %a' /run/ntsbridge-clock.sock)" 'ntsbridge 600'
is 'the process at the clock starts and answers' has "$(apart)" 'ntsbridge-clock.sock: may not set the system clock'
is 'the process at the clock is active' same "$(show ntsbridge-clock.service ActiveState)" active
is 'the process at the clock confines itself' grep -q '^Seccomp:.2' "/proc/$(show ntsbridge-clock.service MainPID)/status"
systemctl stop ntsbridge-clock.socket ntsbridge-clock.service
is 'timedatectl knows us' same "$(timedatectl show --property=CanNTP --value)" yes
is 'timedatectl starts us' timedatectl set-ntp true
is 'set-ntp starts the unit' soon plain
is 'dpkg removes it' dpkg -P ntsbridge
isnt 'after a removal nobody serves' plain
is 'secrets stay after a purge' test -s /var/lib/ntsbridge/cookies.secret
