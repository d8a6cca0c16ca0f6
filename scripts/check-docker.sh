#!/usr/bin/env bash
# What is below docker/, each by its own validator. A validator that is not installed is said, and is no failure.
set -euo pipefail
cd "$(dirname "$0")/../docker"
status=0

check() { # program command…
  local program=$1
  shift
  if ! command -v "$program" >/dev/null; then
    echo "SKIPPED: $program is not installed: $*"
  elif ! "$@"; then
    echo "FAILED: $*"
    status=1
  fi
}

compose() { # file…
  local compose=(docker compose)
  docker compose version >/dev/null 2>&1 || compose=(docker-compose)
  "${compose[@]}" "${@/#/--file=}" config --quiet && echo "$*: valid"
}

# `docker compose` or docker-compose: either reads the files, and neither needs an engine for it.
composer=docker
command -v docker >/dev/null || composer=docker-compose
check "$composer" compose compose.yaml
check "$composer" compose compose.yaml compose.debian.yaml
check promtool promtool check config prometheus/prometheus.yml
check promtool promtool test rules prometheus/rules.test.yml
check caddy env GATEWAY_HOST=gateway.example CATALOG_HOST=catalog.example \
  caddy validate --adapter caddyfile --config caddy/Caddyfile
check python3 python3 -c 'import json, sys; [json.load(open(name)) for name in sys.argv[1:]]; print("JSON: valid")' \
  grafana/dashboards/mediamill.json s3/s3.json
check kubectl bash -c 'kubectl kustomize kubernetes >/dev/null && echo "kustomization: valid"'
# From PyPI. It knows none of the kinds of KEDA (scaledobject.yaml), of RabbitMQ's operator and of Prometheus's.
manifests() {
  kubernetes-validate --strict --quiet kubernetes/{worker,gateway,catalog,deliver,privacy}.yaml \
    kubernetes/{networkpolicies,secret.example,ingress.example,autoscale.example}.yaml && echo "manifests: valid"
}
check kubernetes-validate manifests
exit "$status"
