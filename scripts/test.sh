#!/usr/bin/env bash
# Format, lints, every test; then what was run, how long it took, and how it ended.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
took=()

step() { # name command…
  local name=$1 from=$SECONDS
  shift
  echo "== $name: $*"
  "$@"
  took+=("$name $((SECONDS - from)) s")
}

step format cargo fmt --check
step lints cargo clippy --locked --quiet --all-targets -- -D warnings
step build cargo test --locked --quiet --no-run
from=$SECONDS
echo "== tests: cargo test"
status=0
cargo test --locked --no-fail-fast 2>&1 | tee "$log" || status=$?
took+=("tests $((SECONDS - from)) s")

awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
     END { printf "\n%d passed, %d failed, %d skipped\n", passed, failed, ignored }' "$log"
printf '%s\n' "${took[@]}" "in all $SECONDS s"
# Tests that miss a service say so; it must not be overlooked at the end of a long log.
grep -h 'SKIPPED' "$log" || true
exit "$status"
