#!/bin/sh
# Makes a container image of a static program and nothing else: an OCI layout in
# a tar file, which podman load, docker load (25 and later), skopeo copy
# oci-archive:FILE and ctr image import read. It wants no container engine.
#
# usage: image.sh PROGRAM VERSION OUTPUT.tar
#
# It runs as user 65532. NTP's port wants, where the container's namespace does
# not let everybody have it: --cap-add NET_BIND_SERVICE; to set the clock:
# --cap-add SYS_TIME --user 0. The state is in the volume /var/lib/ntsbridge.
set -eu
program=$1
version=$2
out=$3
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
root=$work/root oci=$work/oci blobs=$work/oci/blobs/sha256
mkdir -p "$root/etc/ntsbridge" "$root/var/lib/ntsbridge" "$root/run/ntsbridge" "$root/tmp" "$root/usr/share/zoneinfo" "$blobs"
chmod 700 "$root/var/lib/ntsbridge"
chmod 1777 "$root/tmp"
install -m 755 "$program" "$root/ntsbridge"
install -m 644 "$here/ntsbridge.yaml" "$root/etc/ntsbridge/ntsbridge.yaml"
printf 'root:x:0:0:root:/:/\nntsbridge:x:65532:65532::/var/lib/ntsbridge:/\n' >"$root/etc/passwd"
printf 'root:x:0:\nntsbridge:x:65532:\n' >"$root/etc/group"
# What a time server trusts and knows: authorities, leap seconds.
for file in /etc/ssl/certs/ca-certificates.crt /usr/share/zoneinfo/leap-seconds.list; do
	[ ! -e "$file" ] || install -D -m 644 "$file" "$root$file"
done

case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) arch=$(uname -m) ;;
esac

# blob FILE TYPE: puts a file among the blobs and prints its descriptor.
blob() {
	sum=$(sha256sum <"$1" | cut -d' ' -f1)
	size=$(wc -c <"$1")
	mv "$1" "$blobs/$sum"
	printf '{"mediaType":"%s","digest":"sha256:%s","size":%d}' "$2" "$sum" "$size"
}

# The same program makes the same image: no names, no dates of this machine.
(
	cd "$root"
	tar --sort=name --mtime=@0 --numeric-owner --format=ustar --owner=0 --group=0 -cf "$work/layer" --exclude=./var/lib/ntsbridge --exclude=./run/ntsbridge .
	tar --sort=name --mtime=@0 --numeric-owner --format=ustar --owner=65532 --group=65532 -rf "$work/layer" ./var/lib/ntsbridge ./run/ntsbridge
)
diff=$(sha256sum <"$work/layer" | cut -d' ' -f1)
gzip -9n "$work/layer"
layer=$(blob "$work/layer.gz" application/vnd.oci.image.layer.v1.tar+gzip)
cat >"$work/config" <<END
{"architecture":"$arch","os":"linux","config":{"User":"65532","Entrypoint":["/ntsbridge"],
"Cmd":["serve","-c","/etc/ntsbridge/ntsbridge.yaml"],"ExposedPorts":{"123/udp":{},"4460/tcp":{}},
"Env":["STATE_DIRECTORY=/var/lib/ntsbridge","RUNTIME_DIRECTORY=/run/ntsbridge"],"Volumes":{"/var/lib/ntsbridge":{}},
"Healthcheck":{"Test":["CMD","/ntsbridge","status","-c","/etc/ntsbridge/ntsbridge.yaml"],"Interval":30000000000,"Timeout":10000000000,"StartPeriod":20000000000,"Retries":3},
"StopSignal":"SIGTERM","Labels":{"org.opencontainers.image.title":"ntsbridge","org.opencontainers.image.version":"$version"}},
"rootfs":{"type":"layers","diff_ids":["sha256:$diff"]},"history":[{"created_by":"make image"}]}
END
config=$(blob "$work/config" application/vnd.oci.image.config.v1+json)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' "$config" "$layer" >"$work/manifest"
manifest=$(blob "$work/manifest" application/vnd.oci.image.manifest.v1+json)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s,"annotations":{"org.opencontainers.image.ref.name":"ntsbridge:%s"}}]}' \
	"${manifest%\}}" "$version" >"$oci/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$oci/oci-layout"
mkdir -p "$(dirname "$out")"
tar --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 -cf "$out" -C "$oci" oci-layout index.json blobs
