.PHONY: audit bench catalog-scale check check-docker cluster compose-smoke crm-kills crm-live deliver-isolation demo erase-proof faults fuzz journey journey-faults parity resurrections savings sbom soak store-copy store-live test test-debian-13 upgrade webhook-fairness webhook-faults

# Normalizes the fixtures into demo-out/. Two of them are broken on purpose: exit code 3 (some rejected) is as it should be.
demo:
	@scripts/install.sh demo
	cargo build --release --locked
	cargo run --release --locked --quiet -- normalize fixtures --out demo-out || [ $$? -eq 3 ]
	@echo "look at $(CURDIR)/demo-out/index.html"

# What a change must pass before it is committed: format, spelling, lints, each cargo feature alone, unit tests,
# architecture, documents.
check:
	@scripts/install.sh test
	@scripts/venv.sh test
	@scripts/venv.sh judges
	@scripts/venv.sh crm
	@scripts/venv.sh login
	@scripts/venv.sh api
	@scripts/venv.sh pages
	@scripts/test.sh check

# Everything: the steps of `check` first, then every other test. With REQUIRE_SERVICES=1 a missing service is a failure
# rather than a skip that the last lines name.
test:
	@scripts/install.sh test
	@scripts/venv.sh test
	@scripts/venv.sh judges
	@scripts/venv.sh crm
	@scripts/venv.sh login
	@scripts/venv.sh api
	@scripts/venv.sh pages
	@scripts/test.sh

# The same on Debian 13, whose FFmpeg is 7.1 and whose RabbitMQ is 4: what is committed, in a root file system below target/.
# Wants root and debootstrap.
test-debian-13:
	@scripts/test-debian-13.sh

# N damaged files of SEED, from number FROM on, through the jailed child, on all cores: the files of MEDIAMILL_CORPUS or
# else the fixtures.
# Fails where the fork server dies, a job passes its deadline or an output is unproven; keeps what crashed a child in target/fuzz.
fuzz:
	@N=$(N) SEED=$(SEED) FROM=$(FROM) cargo test --quiet --locked --test it mutations::many -- --exact --ignored --nocapture

# What a job costs in a process of its own, where its time goes, a hundred voice notes against what teams write today, and
# the whole pipeline with broker and store, webhooks through the gateway. Runs all of them before it fails at a promise that is not kept.
bench:
	@scripts/install.sh test
	@scripts/venv.sh bench
	@missed=; for bench in cost voice versus pipeline webhooks; do \
		cargo bench --locked --bench $$bench || missed="$$missed $$bench"; \
	done; \
	if [ -n "$$missed" ]; then echo "promises missed by:$$missed"; exit 1; fi

# Bytes before and after for each built-in profile, over the files of CORPUS (the fixtures where it is not given).
savings:
	cargo build --release --locked --quiet
	benches/savings.py target/release/mediamill $(or $(CORPUS),fixtures)

# Our encodes against the ffmpeg program's with equal parameters: likeness, size, CPU time.
parity:
	cargo build --release --locked --quiet
	benches/parity.py target/release/mediamill $(or $(CORPUS),fixtures)

# WEBHOOKS webhooks under each of fourteen faults: none is lost, no file comes twice. Prints a table; exit code 3 where a line does
# not balance.
webhook-faults:
	@scripts/install.sh test
	@scripts/venv.sh judges
	cargo build --release --locked --quiet
	target/venv-judges/bin/python scripts/webhook-faults.py target/release/mediamill --webhooks $(or $(WEBHOOKS),2000)

# JOBS webhooks of one tenant and 50 of another, sent one by one: how long the notes of the other take from the webhook to the outcome, in
# median and worst case, with and without the many. Fails where they wait for more than one job of the many and half a second.
webhook-fairness:
	@scripts/install.sh test
	@JOBS=$(or $(JOBS),2000) REQUIRE_SERVICES=1 cargo test --quiet --locked --test it gateway::fairness -- --nocapture

# From a customer's message to a note in the CRM and gone again, on this machine and without an account: RabbitMQ, a provider and a
# CRM that are imitated, and `mediamill up`, which is killed twice in between. The ledger balances or the run is void (3). STAY=1 waits
# before the end, so that a person can look; PROVIDERS says which providers.
journey:
	@scripts/install.sh test
	@scripts/venv.sh judges
	cargo build --locked --quiet
	@for provider in $(or $(PROVIDERS),whatsapp-cloud); do \
	  target/venv-judges/bin/python scripts/journey target/debug/mediamill --provider $$provider $(if $(STAY),--stay) || exit $$?; done

# The whole way under 26 faults, MESSAGES messages each: every role, RabbitMQ, PostgreSQL, an S3 server, the CRM and the provider killed,
# frozen or restarted in between. Prints a table; exit code 3 where a line does not balance.
journey-faults:
	@scripts/install.sh test
	@scripts/venv.sh test
	@scripts/venv.sh judges
	cargo build --release --locked --quiet
	target/venv-judges/bin/python scripts/journey/faults.py target/release/mediamill --messages $(or $(MESSAGES),200)

# The suite of docs/stores.md on a real account: STORE is its address, MEDIAMILL_STORE_… variables have the credentials. The bucket
# should be made for it: objects are left behind.
store-live:
	@MEDIAMILL_STORE_URL=$(or $(STORE),$(error STORE is the address of a bucket)) \
	  cargo test --quiet --locked --test it store::contract::a_real_store_keeps_the_contract -- --exact --ignored --nocapture

# OBJECTS objects from S3 to Google Cloud Storage and on to a directory, the command killed three times on each way: 0 differ.
store-copy:
	@scripts/install.sh test
	@OBJECTS=$(or $(OBJECTS),10000) REQUIRE_SERVICES=1 cargo test --quiet --locked --test it store::copy -- --nocapture

# The index with more and more tenants, up to ROWS media, on SQLite and PostgreSQL: rows stored a second beside a bulk insert of the same
# rows, and how long searches take; then a store with STORED media: `subject`, rebuild, sweeper. Fails where the slowest twentieth of a
# kind of search, or `subject`, takes twice as long as at first, and where ingest is slower than 0.3 of the bulk insert.
catalog-scale:
	@scripts/install.sh test
	@ROWS=$(or $(ROWS),100000) STORED=$(or $(STORED),20000) REQUIRE_SERVICES=1 cargo test --release --quiet --locked --test it catalog::scale -- --ignored --nocapture --test-threads=1

# The fault tests in their long form, JOBS jobs a fault, and the table of what came of them.
faults:
	@JOBS=$(or $(JOBS),2000) scripts/faults.sh

# KILLS kills of `deliver` for each CRM, at every call and once a delivery is in the ledger, with each event three times more; then two
# replicas, one killed. Prints what the CRM has afterwards, a row each: a note and a file for each media, no mail to a customer.
crm-kills:
	@scripts/install.sh test
	@KILLS=$(or $(KILLS),200) scripts/crm-kills.sh

# What docs/deliver promises of a destination, on an account at the vendor: one note and one file a media although `deliver` is killed,
# a transcript once, and nothing after an erasure, read by a client that is not ours. CRM is hubspot, salesforce, zendesk, zoho or
# chatwoot; MEDIAMILL_DELIVER__CRM__… variables have the credentials. The account should be made for it: a contact is made and deleted.
crm-live:
	@scripts/install.sh test
	@scripts/venv.sh crm
	@MEDIAMILL_DELIVER__CRM__KIND=$(or $(CRM),$(error CRM is hubspot, salesforce, zendesk, zoho or chatwoot)) REQUIRE_SERVICES=1 \
	  cargo test --quiet --locked --test it crm::account::a_real_account_keeps_the_contract -- --exact --ignored --nocapture

# Time from the broker to a webhook over SAMPLES events, idle and beside two dead destinations by turns. Fails where median or 95th
# percentile is more than 1.2 times that of idle.
deliver-isolation:
	@scripts/install.sh test
	@SAMPLES=$(or $(SAMPLES),500) REQUIRE_SERVICES=1 cargo test --quiet --locked --test it deliver::isolation -- --ignored --nocapture

# Three RabbitMQ nodes: JOBS jobs while the node that leads the work queues is killed and comes back. Nothing is lost, and
# what it took to recover is printed. Without RabbitMQ it says so and fails.
cluster:
	@JOBS=$(or $(JOBS),500) REQUIRE_SERVICES=1 cargo test --quiet --locked --test it faults::cluster -- --ignored --nocapture

# Workers of the older revision FROM beside this one's at the same queues: an upgrade and a way back while JOBS jobs are
# asked for. Nothing is lost, and what one version did the other says again.
upgrade:
	@scripts/upgrade.sh

# Mixed load and random faults for MINUTES; at the end every job has its outcome, and memory and descriptors are flat.
soak:
	@MINUTES=$(or $(MINUTES),10) REQUIRE_SERVICES=1 cargo test --release --locked --test it faults::soak -- --ignored --nocapture

# docker/compose.yaml built, brought up with every role and used: fixtures, objects, metrics; a customer's files from webhook to note,
# erased again; three workers, one killed and one drained under load. Where no image registry is reachable, with images of Debian's
# packages. Without Docker it says so and fails.
compose-smoke:
	@scripts/venv.sh judges
	@target/venv-judges/bin/python scripts/compose-smoke.py

# What the program and its images consist of, as CycloneDX in target/sbom: crates by cargo-cyclonedx, Debian's packages by debsbom.
sbom:
	@scripts/sbom.sh

# What is below docker/, each by its own validator; says which validators are not installed.
check-docker:
	@scripts/check-docker.sh

# Licenses, sources and versions of all dependencies by deny.toml; known vulnerabilities where their database can be reached.
# Wants cargo-deny (`cargo install --locked cargo-deny`). Outside of CI, since what it finds changes without a change here.
audit:
	@scripts/audit.sh

# CANARIES in everything that a person can put into a media or a message, one in ten erased: where they are found then, and
# whether the others are whole.
erase-proof:
	@MEDIAMILL_CANARIES=$(or $(CANARIES),1000) REQUIRE_SERVICES=1 cargo test --quiet --locked --test it privacy::proof -- --nocapture

# MEDIA of a person who is erased, each brought back by redelivery, replay, a second webhook, renormalize and another profile.
resurrections:
	@MEDIAMILL_RESURRECTIONS=$(or $(MEDIA),2000) REQUIRE_SERVICES=1 cargo test --quiet --locked --test it privacy::resurrection -- --nocapture
