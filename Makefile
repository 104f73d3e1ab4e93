# make demo            Alf for real, with nothing installed
# make demo ARGS=--once
# make test            sets up what the tests need, and runs them
# make check           all that CI runs
# make servers         what checks need, of each SSH server in each way in which it can run, and of login shells at length
# make timeouts        1,000 commands that time out, and what is left of them
# make fuzz            every fuzz target for 30 s; FUZZTIME=10m for longer, FUZZ=Next for some of them

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
PREFIX  ?= /usr/local
LDFLAGS  = -s -w -X main.release=$(VERSION)
CHECK    = $(GO) tool -modfile=tools/go.mod

.PHONY: build demo test e2e lint fuzz bench kills servers timeouts vectors check install clean need setup

build: need
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/alf ./cmd/alf

demo: build
	bin/alf demo $(ARGS)

test: setup
	$(GO) test -race -timeout 9m ./...

e2e: setup
	$(GO) test -race -run TestScripts ./cmd/alf

lint: need
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt: $$out"; exit 1; }
	$(GO) vet ./...
	$(CHECK) staticcheck ./...
	cd tools && $(GO) vet ./... && $(GO) tool staticcheck ./...

fuzz: need
	@tools/fuzz $(or $(FUZZTIME),30s) '$(FUZZ)'

bench: need
	@tools/setup bench
	$(GO) test -run '^$$' -bench SilentDrop -benchtime 1x ./sshmux
	$(GO) test -run '^$$' -bench . -benchmem ./perfdata ./calendar ./state ./state/jetstream ./checker ./sinks ./actions
	$(GO) test -run "^$$" -bench Peers -benchtime 1x ./bench
	$(GO) test -run "^$$" -bench Links -benchtime 1x ./bench -args -links $(or $(LINKS),10000)
	$(GO) test -run "^$$" -bench RoundTrips -benchtime 1x ./bench
	$(GO) test -run "^$$" -bench Lateness -benchtime 1x ./bench
	$(GO) test -run "^$$" -bench Notifications -benchtime 5000x ./bench
	$(GO) test -run "^$$" -bench "Journal[^I]" ./bench
	$(GO) test -run "^$$" -bench "Load|Reload" -benchtime 5x ./bench
	$(GO) test -run "^$$" -bench JournalIdle -benchtime 1x ./bench -args -keys 100000

kills: need
	$(GO) test ./state/jetstream -run 'TestKill$$' -timeout 20m -args -kills 100

servers: setup
	$(GO) test -race ./sshmux -run 'TestServers$$|TestNeverLockedOut$$' -timeout 20m -args -long
	$(GO) test -race ./sshmux -run 'Accounts|Argv|Gateway' -timeout 20m -args -rapid.checks 500

timeouts: setup
	$(GO) test ./sshmux -run 'TestManyTimeouts$$' -v -parallel 1 -timeout 60m -args -timeouts 1000

vectors: need
	cd tools && $(GO) run ./nagios

check: lint test

install: build
	install -D -m 755 bin/alf $(DESTDIR)$(PREFIX)/bin/alf

clean:
	rm -rf bin

need:
	@tools/need

setup: need
	@tools/setup
