#!/usr/bin/env bash
# Base images of docker/Dockerfile for machines that reach Debian's packages but no image registry: Debian 13, and the same
# with this machine's Rust toolchain. They take the place of `debian:trixie-slim` and `rust:1.95-slim-trixie`, under names of
# their own:
#   docker build --file docker/Dockerfile --tag mediamill \
#     --build-arg BUILD_BASE=mediamill-base/rust --build-arg RUN_BASE=mediamill-base/debian .
# Wants root, debootstrap, and a Rust toolchain that trixie's glibc can run.
set -euo pipefail
cd "$(dirname "$0")"

debian=mediamill-base/debian rust=mediamill-base/rust
has() { docker image inspect "$1" >/dev/null 2>&1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! has "$debian"; then
  echo "making $debian"
  ./debian-13.sh "$work/root"
  tar --directory "$work/root" --create . | docker import --change 'CMD ["bash"]' - "$debian" >/dev/null
fi

if ! has "$rust"; then
  echo "making $rust"
  # The toolchain without its books and sources, and the certificates that this machine trusts: cargo fetches over TLS.
  mkdir -p "$work/rust/etc/ssl/certs" "$work/rust/usr"
  cp /etc/ssl/certs/ca-certificates.crt "$work/rust/etc/ssl/certs/"
  tar --directory "$(rustc --print sysroot)" --create --exclude='lib/rustlib/src' bin lib |
    tar --directory "$work/rust/usr" --extract
  printf 'FROM %s\nCOPY . /\n' "$debian" |
    docker build --quiet --tag "$rust" --file - "$work/rust" >/dev/null
fi
