#!/usr/bin/env bash
# The steps of `make check` and `make test`, and how long each took.
#   scripts/test.sh check   format, spelling, lints, each cargo feature alone, unit tests, architecture, documents
#   scripts/test.sh         the same first, then every other test; nothing runs twice
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
log=$(mktemp) faults=$(mktemp)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -f "$log" "$faults"' EXIT
took=() status=0

# The lints run in the compiler that builds the tests: dependencies are compiled once, not a second time for `cargo clippy`.
export RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings

# Tests of the source, the documents and the repository: they need no service and take seconds.
static=(architecture:: documents:: links:: repository::)

step() { # name command…: ends the script where the command fails
  local name=$1 from=$SECONDS
  shift
  echo "== $name: $*"
  "$@"
  took+=("$name $((SECONDS - from)) s")
}

tests() { # name command…: goes on where tests fail
  local name=$1 from=$SECONDS
  shift
  echo "== $name: $*"
  "$@" 2>&1 | tee -a "$log" || status=$?
  took+=("$name $((SECONDS - from)) s")
}

# The tests of faults take turns at a broker that they stop and start, and mostly wait: they run beside the others.
integration() {
  local from job
  cargo test --locked --no-fail-fast --test it -- faults:: >"$faults" 2>&1 &
  job=$!
  tests 'integration tests' cargo test --locked --no-fail-fast --test it -- "${static[@]/#/--skip=}" --skip=faults::
  from=$SECONDS
  wait "$job" || status=$?
  took+=("tests of faults, after those $((SECONDS - from)) s")
  tee -a "$log" <"$faults"
}

features() {
  local feature
  for feature in $(sed -n '/^\[features\]/,/^\[/s/^\([a-z]\+\) = .*/\1/p' Cargo.toml | grep -v default); do
    env -u RUSTC_WORKSPACE_WRAPPER cargo check --locked --quiet --lib --bins --no-default-features --features "$feature"
  done
}

summary() {
  awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
       END { printf "\n%d passed, %d failed, %d skipped\n", passed, failed, ignored }' "$log"
  printf '%s\n' "${took[@]}"
  # Tests that miss a service say so; it must not be overlooked at the end of a long log.
  grep -h 'SKIPPED' "$log" || true
}

step format cargo fmt --check
step spelling target/venv/bin/typos
step 'build and lints' cargo test --locked --quiet --no-run --all-targets
step features features
tests 'unit tests' cargo test --locked --no-fail-fast --lib --bins
tests 'architecture and documents' cargo test --locked --no-fail-fast --test it -- "${static[@]}"
echo "check in all $SECONDS s"
if [ "$what" = all ]; then
  integration
  tests 'examples in the documentation' cargo test --locked --no-fail-fast --doc
fi
summary
echo "in all $SECONDS s"
exit "$status"
