# The one entry to the project. Every target does its own set-up: on a fresh Debian machine with
# Swift, `make demo` and `make test` need nothing before them.

SWIFT ?= swift
# More options for SwiftPM, e.g. SWIFT_FLAGS="--scratch-path ../build".
SWIFT_FLAGS ?=
SWIFT_TEST = $(SWIFT) test --disable-xctest $(SWIFT_FLAGS)

.PHONY: help setup servers readers build install uninstall deb demo check unit test integration compose-test \
  differential compat-debezium test-allocations fuzz fuzz-selftest lint format bench bench-decode \
  bench-reader bench-stream bench-copy bench-formats bench-latency bench-visibility bench-probes chaos librdkafka-test compatibility package-use fixtures deploy-test \
  page-test ci clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: ## install the Debian packages that are missing
	@Scripts/setup

servers: setup ## the PostgreSQL servers of other versions that the tests compare
	@Scripts/servers

readers: setup ## the readers of Avro, Protobuf and JSON Schema that the tests compare with
	@Scripts/readers

# Swift's runtime is linked into the binary: where it is installed no toolchain is needed. The
# toolchain's own linker makes what it has filled in read-only from the start on (Debian 13's does not).
RELEASE = -c release --product psql-streamer --static-swift-stdlib \
  -Xswiftc -use-ld=lld -Xlinker -z -Xlinker now
build: setup ## the release binary: .build/release/psql-streamer
	$(SWIFT) build $(RELEASE) $(SWIFT_FLAGS)

# Where it goes: PREFIX on the machine on which it will run, DESTDIR before it while a package is made.
PREFIX ?= /usr/local
DESTDIR ?=
BINARY ?= .build/release/psql-streamer
UNIT_DIR ?= $(PREFIX)/lib/systemd/system
DOC_DIR ?= $(PREFIX)/share/doc/psql-streamer
ZSH_DIR ?= $(PREFIX)/share/zsh/site-functions
COMPLETIONS = bash-completion/completions fish/vendor_completions.d

install: ## what `make build` has made, with unit, documentation and example; PREFIX=/usr/local DESTDIR=
	@test -x $(BINARY) || { echo "install: there is no $(BINARY): make build comes first" >&2; exit 1; }
	install -D -s -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/psql-streamer
	install -d $(DESTDIR)$(UNIT_DIR) $(DESTDIR)$(DOC_DIR)/examples
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1 $(COMPLETIONS)) $(DESTDIR)$(ZSH_DIR)
	$(BINARY) help --man | gzip -9nc >$(DESTDIR)$(PREFIX)/share/man/man1/psql-streamer.1.gz
	$(BINARY) completions bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/psql-streamer
	$(BINARY) completions zsh >$(DESTDIR)$(ZSH_DIR)/_psql-streamer
	$(BINARY) completions fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/psql-streamer.fish
	sed 's|/usr/bin/|$(PREFIX)/bin/|' deploy/psql-streamer.service >$(DESTDIR)$(UNIT_DIR)/psql-streamer.service
	chmod 644 $(DESTDIR)$(UNIT_DIR)/psql-streamer.service
	install -m 644 psql-streamer.toml deploy/prometheus/psql-streamer.rules.yml \
	  deploy/grafana/psql-streamer.json $(DESTDIR)$(DOC_DIR)/examples
	install -m 644 README.md CHANGELOG.md LICENSE docs/*.md docs/*.schema.json $(DESTDIR)$(DOC_DIR)

deb: build ## a package for this machine's release of Debian: .build/deb/psql-streamer_….deb
	@Scripts/setup dpkg-dev
	@Scripts/deb

uninstall: ## takes that away again; configuration and positions stay
	rm -f $(DESTDIR)$(PREFIX)/bin/psql-streamer $(DESTDIR)$(UNIT_DIR)/psql-streamer.service \
	  $(DESTDIR)$(ZSH_DIR)/_psql-streamer \
	  $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1/psql-streamer.1.gz \
	  $(addsuffix /psql-streamer*,$(COMPLETIONS)))
	rm -rf $(DESTDIR)$(DOC_DIR)

demo: build ## a throw-away PostgreSQL streamed into an embedded Kafka, shown, cleaned up
	.build/release/psql-streamer demo

check: lint unit ## what to run before each commit: lint and unit

# What waits for a server, for the timers of a Kafka client, or for chance.
SLOW = --skip IntegrationTests --skip FuzzTests --skip KafkaPipelineTests --skip ConsumerTests \
  --skip ProducerTests

unit: readers ## the tests that need no server: seconds, once it is built
	PSQL_STREAMER_UNIT=1 PSQL_STREAMER_SIMULATIONS=40 PSQL_STREAMER_DRIVER_SIMULATIONS=100 \
	  $(SWIFT_TEST) $(SLOW)

test: servers readers ## every test; those on a real Kafka need KAFKA_KIT (default: ../shared/kafka)
	$(SWIFT_TEST)

integration: servers readers ## only the black-box tests on real servers
	$(SWIFT_TEST) --filter IntegrationTests

# How many seeds, and the first one (the clock decides).
SEEDS ?= 500
DIFFERENTIAL_SEED ?=
differential: servers ## events against the server's own decoding; SEEDS=500 on 15, a fifth on others
	DIFFERENTIAL_SEEDS=$(SEEDS) $(if $(DIFFERENTIAL_SEED),DIFFERENTIAL_SEED=$(DIFFERENTIAL_SEED)) \
	  $(SWIFT_TEST) --filter DifferentialTests

compat-debezium: build ## records of a real Debezium (DEBEZIUM_KIT, KAFKA_KIT) beside ours of the same changes
	@Tests/Debezium/compare
	@Tests/Debezium/outbox

compose-test: ## builds the image, runs docker-compose.yml, restarts its parts; needs CONTAINERS_KIT
	@Scripts/compose-test

test-allocations: setup ## that a row costs no allocation, in optimised code
	PSQL_STREAMER_ALLOCATIONS=1 $(SWIFT) run -c release -Xswiftc -enable-testing \
	  --scratch-path .build/allocations $(SWIFT_FLAGS) allocation-check

# Seconds for each target, the one target to run, how many run at a time, and what chance begins with
# (0: something else at each run).
SECONDS ?= 60
TARGET ?=
JOBS ?= 2
SEED ?= 0
FUZZ = FUZZ_SECONDS=$(SECONDS) FUZZ_TARGET=$(TARGET) FUZZ_JOBS=$(JOBS) FUZZ_SEED=$(SEED) \
  SWIFT="$(SWIFT)" SWIFT_FLAGS="$(SWIFT_FLAGS)" Scripts/fuzz

fuzz: setup ## libFuzzer on every target of Fuzz/; SECONDS=60 each, TARGET=name for one, JOBS=2, SEED=0
	@$(FUZZ)

fuzz-selftest: setup ## that fuzzing finds a planted bug
	@$(FUZZ) selftest

chaos: servers ## everything breaks under load; SECONDS=60 each, SEED=n, DELIVERY= and BLOWS=a,b for some of it
	CHAOS_SECONDS=$(SECONDS) $(if $(DELIVERY),CHAOS_DELIVERY=$(DELIVERY)) $(if $(BLOWS),CHAOS_BLOWS=$(BLOWS)) $(if $(filter-out 0,$(SEED)),PSQL_STREAMER_SEED=$(SEED)) \
	  $(SWIFT_TEST) --filter 'Integration.*(Chaos|ExactlyOnce)'

# The same tests beside a newer librdkafka than they were built against: what Debian 13 has, by default.
LIBRDKAFKA ?= 2.8.0
librdkafka-test: servers ## what concerns Kafka, with the librdkafka of confluent-kafka's wheel; LIBRDKAFKA=2.8.0
	$(SWIFT) build --build-tests --disable-xctest $(SWIFT_FLAGS)
	CHAOS_SECONDS=$(SECONDS) Scripts/librdkafka $(LIBRDKAFKA) \
	  $(SWIFT_TEST) --skip-build --filter 'KafkaBridgeTests|KafkaPipelineTests|KafkaWriterTests|FirstThird'

compatibility: servers ## write docs/COMPATIBILITY.md from what servers of each version do
	PSQL_STREAMER_COMPATIBILITY=1 $(SWIFT_TEST) --filter 'Integration.*Matrix'

package-use: setup ## that another package can use the library PGWire
	@if grep -n unsafeFlags Package.swift; then \
	  echo "no package that is fetched may have unsafe flags" >&2; exit 1; fi
	$(SWIFT) run --package-path Tests/PackageUse --scratch-path .build/package-use package-use

deploy-test: ## alerts, dashboard and manifest of deploy/; needs a built binary and promtool
	@Scripts/setup prometheus || echo "deploy-test: prometheus cannot be installed" >&2
	@Scripts/deploy-test

page-test: ## the page of / in chromium: well, broken, dark, narrow, without scripts; .build/pages
	@Scripts/setup chromium || echo "page-test: chromium cannot be installed" >&2
	@Scripts/page-test

lint: ## formats, lengths, limits, links, duplicates, shell scripts, compose file
	@Scripts/lint

format: ## rewrite the Swift files in the project's format
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests Fuzz

bench: build ## drain times beside pg_recvlogical; BENCH_ROWS, BENCH_TX, BENCH_ROUNDS scale it
	PSQL_STREAMER_BENCHMARKS=1 $(SWIFT) build -c release --product bench-reader \
	  --scratch-path .build/benchmarks $(SWIFT_FLAGS)
	@python3 Benchmarks/drain

bench-decode: ## GB/s from a stream's bytes to changes, on one core
	PSQL_STREAMER_BENCHMARKS=1 $(SWIFT) run -c release --scratch-path .build/benchmarks \
	  $(SWIFT_FLAGS) bench-decode

bench-reader: ## drain a slot into nothing; READ="'host=… dbname=…' slot publication 0/123"
	PSQL_STREAMER_BENCHMARKS=1 $(SWIFT) run -c release --scratch-path .build/benchmarks \
	  $(SWIFT_FLAGS) bench-reader $(READ)

bench-stream: build ## memory and spool of one streamed transaction of BENCH_ROWS (10 000 000) rows
	@python3 Benchmarks/stream

bench-copy: build ## existing rows beside psql's \copy and Debezium; BENCH_ROWS (10 000 000), BENCH_TABLES, BENCH_READERS
	@python3 Benchmarks/copy

bench-formats: build ## each format and a table's rules beside the native format, to discard; BENCH_ROWS
	@python3 Benchmarks/formats

bench-latency: build ## from a commit to the reader, and how long a standby takes to take over
	@python3 Benchmarks/latency

bench-visibility: build ## what visibility = "primary" costs; BENCH_ROUNDS, BENCH_TX, BENCH_COMMITS
	@python3 Benchmarks/visibility

bench-probes: build ## /health beside BENCH_CLIENTS (1000) slow HTTP clients for BENCH_SECONDS (1200)
	@python3 Benchmarks/probes

fixtures: setup ## record Fixtures/ anew from real servers
	PSQL_STREAMER_RECORD=1 $(SWIFT_TEST) --filter FixtureRecording

ci: ## what the continuous integration runs
	@.ci/run

clean: ## remove what was built
	rm -rf .build
