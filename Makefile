# Everything a developer or packager calls, by name. What a target needs and the machine lacks is installed or fetched
# first (scripts/deps, scripts/fetch-engine); once fetched, all of it works offline.

PREFIX ?= /usr/local
DESTDIR ?=
# How many inputs make fuzz makes.
RUNS ?= 1000000
# One test by a part of its file's name: make test T=exec
T ?=
# make sim: how many simulated lives, from which seed on; LIVES=1 tells that one with its log
LIVES ?= 100000
SEED ?= 1

BIN := node_modules/.bin

.PHONY: help build check test test-matrix sim fuzz conformance demo bench install uninstall clean proto format types lint unit native js \
	cli shim gates deps-build deps-test deps-fuzz
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: js cli shim ## the shim (build/containerd-shim-moor-v2) and the command (build/cli/moor.mjs), with all they need
	@ls -l build/containerd-shim-moor-v2 build/cli/moor.mjs | awk '{ print "built " $$NF ", " $$5 " bytes" }'

check: types lint native unit ## types, lint, format, layers, unit tests, C code under sanitizers: under three minutes

test: deps-test build gates $(if $(T),,native) ## all tests, end to end included, as root; T=NAME: files that hold NAME
	scripts/run-tests all $(T)

sim: js ## LIVES simulated lives of the shim from SEED on, and what they have seen; LIVES=1 SEED=N tells one with its log
	node --enable-source-maps build/js/sim/run.js $(LIVES) $(SEED)

test-matrix: build gates ## table of daemon x runtime x tests, as root, most of an hour; PART=short: CI's; README=1: into the README
	@scripts/deps matrix || echo "without what is missing: cells that need it say so"
	scripts/test-matrix $(or $(PART),all)
	$(if $(README),scripts/test-matrix readme)

demo: ## a container run, left, met again and ended, as a story; DAEMON=containerd tells it with a daemon
	+@scripts/demo $(DAEMON)

bench: build ## start-up, memory, speed beside the stock shims; QUICK=1: a short run; ONLY=B7,B8: those
	@scripts/deps matrix
	bench/run $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(RECORD),--record)

# Cases whose id begins so (ONLY=kill,exec), those that take minutes too (SLOW=1), results for programs (JSON=FILE).
conformance: build deps-test ## cases for any containerd shim: RUNTIME=io.containerd.runc.v2 or a path; Moor's column beside it
	@node --enable-source-maps build/js/conformance/main.js $(if $(RUNTIME),--runtime "$(RUNTIME)") \
		$(if $(ONLY),--only "$(ONLY)") $(if $(SLOW),--slow) $(if $(JSON),--json "$(JSON)")

install: build ## into $(DESTDIR)$(PREFIX): bin/containerd-shim-moor-v2, bin/moor, lib/moor, share/man/man1
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/moor
	install -m 755 build/containerd-shim-moor-v2 $(DESTDIR)$(PREFIX)/bin/containerd-shim-moor-v2
	cp -R build/cli/. $(DESTDIR)$(PREFIX)/lib/moor/
	ln -sfn ../lib/moor/moor.mjs $(DESTDIR)$(PREFIX)/bin/moor
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 build/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/

uninstall: ## removes what install put there, with the same DESTDIR and PREFIX
	rm -f $(DESTDIR)$(PREFIX)/bin/containerd-shim-moor-v2 $(DESTDIR)$(PREFIX)/bin/moor
	rm -rf $(DESTDIR)$(PREFIX)/lib/moor
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/moor.1 $(DESTDIR)$(PREFIX)/share/man/man1/moor-*.1

clean: ## removes what was built; keeps what was fetched (build/cache, node_modules)
	rm -rf packages/*/dist
	[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name cache ! -name proto-originals -exec rm -rf {} +

proto: deps-test ## makes src/api from proto/ again
	scripts/proto

format: deps-build ## formats all TypeScript
	$(BIN)/biome format --write

deps-build:
	@scripts/deps build

deps-test:
	@scripts/deps test

deps-fuzz:
	@scripts/deps fuzz

js: deps-build
	scripts/build-js

cli: js
	scripts/build-cli.mjs
	scripts/build-man.mjs

shim: js
	@echo "building build/containerd-shim-moor-v2 (the engine, the first time: half a minute)"
	@$(MAKE) -s -j2 -C native shim

# The shim with the gates of the fault tests in it (src/sys/gates.ts).
gates: js
	@$(MAKE) -s -j2 -C native gates

types: js
	$(BIN)/tsc -p tsconfig.shim.json
	$(BIN)/tsc -p test/native/tsconfig.json

lint: js
	$(BIN)/oxlint --type-aware
	$(BIN)/biome format

unit: js
	scripts/run-tests unit $(T)

fuzz: js deps-fuzz ## hostile input under the sanitizers, long: RUNS=1000000 inputs from SEED
	@$(MAKE) -s -j2 -C native hosts compiler fuzz shim-asan
	scripts/fuzz $(RUNS) $(SEED)

native: js
	@echo "building and running the native tests, also under the sanitizers (the first time: a minute)"
	@$(MAKE) -s -j2 -C native test
