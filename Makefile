# make            builds bin/ntsbridge, static
# make run        builds and serves (ARGS='-c FILE' for a configuration)
# make test       everything that must pass: installs what it needs, checks,
#                 unit tests, interop tests against real daemons (as root)
# make quick      what a change needs before it is shown: format, vet, unit tests
#                 without the slow ones; below 30 s where little is to be built
# make fuzz       each fuzz target for FUZZTIME
# make attack     floods in namespaces, and what legitimate clients get meanwhile,
#                 a real ntpd among them where make peers has run (root; 5 min)
# make bench      all benchmarks
# make sim        the clock discipline in all simulated scenarios, as a table
#                 beside chronyd's and ntpd's figures, judged
# make sim-random the same in RANDOM random scenarios
# make sim-chaos  CHAOS random stories of lies, gaps, steps and storms, audited
# make sim-stories
#                 STORIES random mixes of sources and options, half of them wrong at
#                 most, judged
# make interop    the interop tests alone
# make interop-long
#                 the interop tests that take many minutes: refreshes, used-up key
#                 lists, restarts, long broadcasts
# make real-clock SETS THE CLOCK of this machine, and sets it back: ntsbridge and
#                 chronyd discipline it, one after the other; prints the true
#                 error of both. Root; nothing else must need the time for 8 min
# make install    puts program, units, man pages and completions below DESTDIR
# make deb        bin/ntsbridge.deb, with VERSION; make rpm bin/ntsbridge.rpm, by
#                 rpmbuild; make image bin/ntsbridge-image.tar, a container image
# make clean      removes what make build and make interop made
#
# README.md, "Working on it", tells of the NTSBRIDGE_* variables.

GO ?= go
FUZZTIME ?= 20s
RANDOM ?= 10000
CHAOS ?= 2000
STORIES ?= 2500

# The interop tests have a turn of their own.
interop := ./bridge/interop
packages = $(shell $(GO) list ./... | grep -v '/bridge/interop$$')
# Packages with goroutines, in code or tests: the race detector's. The commands'
# only wait for programs that their tests start.
concurrent = $(shell grep -rlE '^[[:space:]]+go [[:alpha:]]|[.]Go\b' --include='*.go' . \
	| grep -v '/bridge/interop/\|/testdata/\|/cmd/ntsbridge/' | xargs -r -n 1 dirname | sort -u)

# All but the race detector's tests is built as the program is, so that one build
# serves all: without C, and without this directory's name.
export CGO_ENABLED := 0
export GOFLAGS := $(filter-out -trimpath,$(GOFLAGS)) -trimpath

VERSION ?= 0.0.$(shell date -u +%Y%m%d)

.PHONY: install deb rpm image build run test alone quick check format lines deadcode unit race compiler peers interop interop-long real-clock fuzz attack bench sim sim-random sim-chaos sim-stories clean

build:
	$(GO) build -o bin/ntsbridge ./cmd/ntsbridge

run: build
	./bin/ntsbridge serve $(ARGS)

quick: format
	$(GO) vet ./...
	$(GO) test -short $(packages)

# The interop tests wait most of the time, as the installation of peers does: the
# others work meanwhile.
test:
	$(MAKE) -j 2 --output-sync=target alone interop

alone: check peers
	$(MAKE) unit
	$(MAKE) race

check: format lines deadcode
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

format:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted" >&2; exit 1; }

# Functions that no command reaches. What hides secrets from fmt is called by
# reflection, if ever; the other names are what a Go user or a test of a whole
# protocol needs.
deadcode_kept = [.]Format$$|: (NIDByScheme|NewKey|ParseSmearReferenceID|Bridge.Made|Ranges|Tree.Err|filter.octets|Inventory.Ranks|ChronySockets.Addresses|Controller.Refusing|Read|Server.Reload|Server.Apply|Engine.Try|Engine.TryNTS|Engine.TrySocket)$$
deadcode:
	@dead=$$($(GO) tool deadcode ./cmd/...) && ! echo "$$dead" | grep -vE '$(deadcode_kept)' | grep .

# A reader takes in a line at once: code up to 140 columns with tabs of four,
# comments that stand alone up to 90 (they are filled to 78). Not counted: what
# holds one text of 60 characters and more, rows of tables in comments, and
# expectations (#!) in texts of tests.
lines:
	@! git grep -nIE '.{80}' -- '*.go' ':!*/testdata/*' ':!*_bpfel.go' | \
		grep -vE '["`][^"`]{60}|`.{60}|\\n.{60}|#!|:[[:space:]]*//(	| .*  )' | \
		awk '{ l = $$0; sub(/^[^:]*:[0-9]*:/, "", l); gsub(/\t/, "    ", l); n = length(l) } \
			n > (l ~ /^ *\/\/ / ? 90 : 140) { print n " columns: " $$0 }' | grep .

# Those that ask real programs find them where make peers puts them. make check
# has vetted all of them.
unit race: export NTSBRIDGE_PEERS ?= $(shell ls -d $(CURDIR)/.peers 2>/dev/null)
unit:
	$(GO) test -vet=off -timeout 30m $(packages)

# The short forms, and what needs.Slow marks: the long ones have had their turn in
# unit.
race: compiler
	@[ -z "$(concurrent)" ] || { set -x; CGO_ENABLED=1 $(GO) test -race -vet=off -short -timeout 30m $(concurrent); }

# The race detector needs a C compiler.
compiler:
	@command -v $${CC:-gcc} >/dev/null || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null; }

# Without root there are no peers and the interop tests are skipped, loudly,
# unless NTSBRIDGE_REQUIRE_INTEROP=1.
peers:
	@bridge/interop/peers.sh || [ "$$NTSBRIDGE_REQUIRE_INTEROP" != 1 ]

# From inside its directory, so that go test shows what happens, and skips. They
# wait most of the time; who computes meanwhile goes first.
interop: peers
	cd $(interop) && nice -n 5 $(GO) test -vet=off -count=1 -timeout 20m -v

interop-long: peers
	cd $(interop) && NTSBRIDGE_INTEROP_LONG=1 $(GO) test -count=1 -timeout 60m -v -run '^TestLong' .

real-clock: peers
	NTSBRIDGE_REAL_CLOCK=1 $(GO) test -count=1 -v -run '^TestRealClock$$' ./bridge/clock
	cd $(interop) && NTSBRIDGE_REAL_CLOCK=1 $(GO) test -count=1 -timeout 20m -v -run '^TestRealClock' .

# Without a bound of its own the shortening of what is merely new takes all of
# the time where seeds are long.
fuzz:
	@set -e; for p in $(packages); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) \
				-fuzzminimizetime 50x $$p; \
		done; \
	done

attack: export NTSBRIDGE_PEERS ?= $(shell ls -d $(CURDIR)/.peers 2>/dev/null)
attack: build
	$(GO) build -o bin/ntpload ./cmd/ntpload
	bin/ntpload attack --server ntsbridge,bin=bin/ntsbridge,limited

bench:
	$(GO) test -run '^$$' -bench . -benchmem $(packages)

sim:
	$(GO) test ./bridge/clock/sim -count=1 -timeout 120m -v -run '^TestTable$$' -args -full

sim-random:
	$(GO) test ./bridge/clock/sim -count=1 -timeout 120m -v -run '^TestRandomScenarios$$' -args -random $(RANDOM)

sim-chaos:
	$(GO) test ./bridge/clock/sim -count=1 -timeout 60m -v -run '^TestChaos$$' -args -chaos $(CHAOS)

sim-stories:
	$(GO) test ./bridge/clock/sim -count=1 -timeout 120m -v -run '^TestStories$$' -args -stories $(STORIES)

install: build
	configs/packaging/stage.sh bin/ntsbridge "$(DESTDIR)/"

deb: build
	configs/packaging/deb.sh bin/ntsbridge "$(VERSION)" bin/ntsbridge.deb

rpm: build
	configs/packaging/rpm.sh bin/ntsbridge "$(VERSION)" bin/ntsbridge.rpm

image: build
	configs/packaging/image.sh bin/ntsbridge "$(VERSION)" bin/ntsbridge-image.tar

clean:
	rm -rf bin .peers
