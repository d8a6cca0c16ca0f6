#!/usr/bin/env bash
# Base images of docker/Dockerfile for machines that reach Debian's packages but no image registry: Debian 13 by
# debootstrap, and the same with this machine's Rust toolchain. They take the place of `debian:trixie-slim` and
# `rust:1.95-slim-trixie`, under names of their own:
#   docker build --file docker/Dockerfile --tag mediamill \
#     --build-arg BUILD_BASE=mediamill-base/rust --build-arg RUN_BASE=mediamill-base/debian .
# Wants root, debootstrap, and a Rust toolchain that trixie's glibc can run.
set -euo pipefail

debian=mediamill-base/debian rust=mediamill-base/rust
has() { docker image inspect "$1" >/dev/null 2>&1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! has "$debian"; then
  command -v debootstrap >/dev/null || {
    echo "debootstrap is missing: apt-get install debootstrap" >&2
    exit 1
  }
  echo "making $debian"
  debootstrap --variant=minbase trixie "$work/root" http://deb.debian.org/debian >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    exit 1
  }
  # What the published image has, too: without the security suite FFmpeg stays as it was when 13 came out.
  cat >"$work/root/etc/apt/sources.list" <<'LIST'
deb http://deb.debian.org/debian trixie main
deb http://deb.debian.org/debian trixie-updates main
deb http://security.debian.org/debian-security trixie-security main
LIST
  # Packages do not stay behind once they are installed, nor do books that nobody reads there.
  echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' >"$work/root/etc/apt/apt.conf.d/clean"
  printf 'path-exclude /usr/share/%s/*\n' doc info locale man >"$work/root/etc/dpkg/dpkg.cfg.d/slim"
  for heap in var/cache/apt var/lib/apt/lists usr/share/doc usr/share/info usr/share/locale usr/share/man; do
    find "$work/root/$heap" -mindepth 1 -delete
  done
  tar --directory "$work/root" --create . | docker import --change 'CMD ["bash"]' - "$debian" >/dev/null
fi

if ! has "$rust"; then
  echo "making $rust"
  toolchain=$(rustc --print sysroot)
  # The toolchain without its books and sources, and the certificates that this machine trusts: cargo fetches over TLS.
  mkdir -p "$work/rust/etc/ssl/certs"
  cp /etc/ssl/certs/ca-certificates.crt "$work/rust/etc/ssl/certs/"
  mkdir -p "$work/rust/usr"
  tar --directory "$toolchain" --create --exclude='lib/rustlib/src' --exclude='share' bin lib |
    tar --directory "$work/rust/usr" --extract
  printf 'FROM %s\nCOPY . /\n' "$debian" |
    docker build --quiet --tag "$rust" --file - "$work/rust" >/dev/null
fi
