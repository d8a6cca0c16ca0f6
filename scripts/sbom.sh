#!/usr/bin/env bash
# What the program and its images consist of, as CycloneDX in target/sbom:
#   mediamill.cdx.json, mediamill-slim.cdx.json     the crates that each image's program is built of, by cargo-cyclonedx
#   mediamill.debian.cdx.json, mediamill-slim.…     Debian's packages in each image, by debsbom
# An image that is not there is said, and is no failure; crates need no image. Wants cargo-cyclonedx (`cargo install --locked
# cargo-cyclonedx`); debsbom is installed into target/venv-sbom.
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/sbom
mkdir -p "$out"

command -v cargo-cyclonedx >/dev/null || {
  echo "cargo-cyclonedx is missing: cargo install --locked cargo-cyclonedx" >&2
  exit 1
}

# The features of the image without libav are those of docker/Dockerfile.
slim=$(sed -n 's/^ARG FEATURES=//p' docker/Dockerfile)

crates() { # image flags…
  local image=$1
  shift
  # What is built and linked: no crates of tests, and of this target only. It writes its file beside Cargo.toml.
  cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps \
    --override-filename "sbom.$image.cdx" "$@"
  mv "sbom.$image.cdx.json" "$out/$image.cdx.json"
  python3 - "$out/$image.cdx.json" <<'PYTHON'
import json, sys
found = json.load(open(sys.argv[1]))["components"]
print(f"{sys.argv[1]}: {len(found)} crates")
PYTHON
}

packages() { # image
  local image=$1 container
  docker image inspect "$image" >/dev/null 2>&1 || {
    echo "SKIPPED: there is no image $image, so that no list of its Debian packages is made"
    return
  }
  container=$(docker create "$image")
  # shellcheck disable=SC2064
  trap "docker rm $container >/dev/null" RETURN
  docker export "$container" |
    target/venv-sbom/bin/debsbom generate --sbom-type cdx --root - --distro-name "$image" --out "$out/$image.debian" \
      2> >(grep -v 'no supplier for' >&2)
}

crates mediamill --all-features
crates mediamill-slim --no-default-features --features "$slim"
if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  scripts/venv.sh sbom
  packages mediamill
  packages mediamill-slim
else
  echo "SKIPPED: no Docker Engine answers, so that no list of Debian's packages is made"
fi
ls -l "$out"
