#!/usr/bin/env bash
# The test command on Debian 13, for FFmpeg 7.1 and RabbitMQ 4: what is committed, in a root file system below target/ with
# this machine's Rust toolchain. Wants root and debootstrap; its mounts are gone when it ends.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "wants root: it makes a root file system and mounts into it" >&2; exit 1; }

root=$PWD/target/debian-13
if [ ! -e "$root/build" ]; then
  rm -rf "$root"
  mkdir -p "$root"
  scripts/debian-13.sh "$root"
  mkdir -p "$root/build" "$root/opt/rust"
fi
mkdir -p "$root/corpus/real" "$root/corpus/hostile" "$root/corpus/cases"
# The tree as it is committed; what was built of the last one stays.
find "$root/build" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
git archive HEAD | tar --extract --touch --directory "$root/build"
cp /etc/resolv.conf "$root/etc/"
mkdir -p "$root/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/trusted-here.crt"

inside='
  export PATH=/opt/rust/bin:$PATH HOME=/root REQUIRE_SERVICES=1 CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never
  export SSL_CERT_FILE=/etc/ssl/certs/trusted-here.crt PIP_CERT=/etc/ssl/certs/trusted-here.crt
  for kind in real hostile cases; do [ -z "$(ls -A /corpus/$kind)" ] || export "$kind=/corpus/$kind"; done
  [ -z "${real-}" ] || export MEDIAMILL_CORPUS=$real
  [ -z "${hostile-}" ] || export MEDIAMILL_HOSTILE=$hostile
  [ -z "${cases-}" ] || export MEDIAMILL_CASES=$cases
  command -v make >/dev/null || { apt-get -qq update && apt-get -qq install -y --no-install-recommends make; } >/dev/null
  cd /build && exec make test'
# The root file system takes the place of the machine's: below a mere chroot the kernel refuses user namespaces, which tests make.
mounts='
  mount --rbind "$0" "$0"
  mount -t proc proc "$0/proc"
  mount --rbind /sys "$0/sys"
  mount --rbind /dev "$0/dev"
  mount --bind "$1" "$0/opt/rust"
  [ -z "$2" ] || mount --bind "$2" "$0/corpus/real"
  [ -z "$3" ] || mount --bind "$3" "$0/corpus/hostile"
  [ -z "$4" ] || mount --bind "$4" "$0/corpus/cases"
  mkdir -p "$0/outside"
  cd "$0"
  pivot_root . outside
  umount --lazy /outside
  exec env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -euc "$5"'
exec unshare --mount --propagation private bash -euc "$mounts" \
  "$root" "$(rustc --print sysroot)" "${MEDIAMILL_CORPUS-}" "${MEDIAMILL_HOSTILE-}" "${MEDIAMILL_CASES-}" "$inside"
