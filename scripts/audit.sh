#!/usr/bin/env bash
# Checks all dependencies by deny.toml: bans, licenses and sources without network, then known vulnerabilities, whose database
# is fetched. Where it cannot be fetched, the last copy is used; where there is none, that is printed, and is no failure.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo deny --version >/dev/null 2>&1 || {
  echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2
  exit 1
}
# Metadata covers all platforms, so the packages of all platforms have to be here.
cargo fetch --locked --quiet
cargo deny --offline check bans licenses sources
database=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
if cargo deny fetch db >/dev/null 2>&1 || [ -n "$(find "$database" -mindepth 1 -maxdepth 1 -type d 2>/dev/null)" ]; then
  cargo deny --offline check advisories
else
  echo "SKIPPED: advisories: their database cannot be fetched from here, and there is no copy in $database"
fi
