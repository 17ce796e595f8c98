# kvd: see README.md. `make run` starts a three-node cluster, `make test` runs every test.
#
#   make            build/kvd, build/kvcli and what else can be built
#   make run        a three-node cluster on 127.0.0.1, clients on 7000, 7001, 7002
#   make test       everything that CI runs
#   make unit       unit tests only          make unit V=asan   under address/leak/UB sanitizers
#   make fuzz       the fuzzers, FUZZ_SECONDS (60) each
#   make coverage   lines of raft/ and storage/ that the tests run
#   make sim        build/kvsim, the simulator (tests/sim)
#   make soak       the simulator with new seeds for MINUTES (30); seeds that fail stay in build/failed-seeds;
#                   SOAK="--set snapshots=1": each with members that come and go
#   make mutants    proves that the simulator finds known bugs; rewrites the table in tests/sim/README.md
#   make bench      the benchmark of tests/bench, thirty to forty minutes; BENCH=--quick: three
#   make clean
#
# V=<variant>: release (default, in build/), asan, tsan, clang, coverage, fuzz (each in build-<variant>/).

V ?= release
ifeq ($(V),release)
B := build
else
B := build-$(V)
endif

CC_release = gcc
CC_asan = gcc
CC_tsan = gcc
CC_clang = clang
CC_coverage = gcc
CC_fuzz = clang
CC := $(CC_$(V))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wvla -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wpointer-arith -Werror
OPTIMISE_release = -O2
OPTIMISE_clang = -O2
OPTIMISE_asan = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPTIMISE_tsan = -O1 -fsanitize=thread -fno-omit-frame-pointer
OPTIMISE_coverage = -O0 --coverage
OPTIMISE_fuzz = -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CFLAGS := -std=gnu11 -g $(OPTIMISE_$(V)) $(WARNINGS) -D_GNU_SOURCE -pthread
LDFLAGS := $(OPTIMISE_$(V)) -pthread

# Commands are shown in short; VERBOSE=1 shows them whole.
ifdef VERBOSE
Q :=
say =
else
Q := @
say = @printf '  %-4s %s\n' '$(1)' '$(2)'
endif

# Only what shows the version is compiled with it, and anew when it changes.
RELEASE := 0.1.0
BUILD_NAME ?= $(shell git describe --always --dirty 2>/dev/null || echo unknown)
VERSION_FLAGS = -DKVD_VERSION='"$(RELEASE)"' -DKVD_BUILD='"$(BUILD_NAME)"'
VERSIONED := $(shell grep -rlE 'KVD_VERSION|KVD_BUILD' --include='*.c' server client)
# (A missing stamp as a prerequisite would not do: with .SECONDARY, objects that are there pass for made.)
VERSION_STAMP := $(B)/version-$(RELEASE)-$(BUILD_NAME)
ifeq ($(wildcard $(VERSION_STAMP)),)
.PHONY: another-version
another-version:
	@mkdir -p $(B)
	@rm -f $(B)/version-*
	@touch $(VERSION_STAMP)
$(patsubst %.c,$(B)/objects/%.o,$(VERSIONED)): another-version
endif

# One library per folder; each sees only the folders that it may know (design: "the house").
INCLUDE_raft := -Iraft
INCLUDE_form := -Istorage/form
INCLUDE_storage := -Istorage -Istorage/form
INCLUDE_protocol := -Iserver/protocol
INCLUDE_commands := -Iserver/commands -Iserver/protocol -Istorage -Istorage/form
INCLUDE_replica := -Iserver/replica $(INCLUDE_commands) -Iraft
INCLUDE_runtime := -Iserver/runtime $(INCLUDE_replica)
INCLUDE_client := -Iclient -Iserver/protocol -Istorage/form
INCLUDE_sim := -Itests/sim -Itests/unit $(INCLUDE_replica) -Iclient

DIRECTORY_raft := raft
DIRECTORY_form := storage/form
DIRECTORY_storage := storage
DIRECTORY_protocol := server/protocol
DIRECTORY_commands := server/commands
DIRECTORY_replica := server/replica
DIRECTORY_runtime := server/runtime
DIRECTORY_client := client
DIRECTORY_sim := tests/sim

LIBRARIES := raft form storage protocol commands replica runtime client sim
SERVER_LIBRARIES := $(foreach l,runtime replica commands protocol storage form raft,$(B)/lib$(l).a)
SERVER_LINK := -levent_core -levent_pthreads -lcrypto -llmdb -lxxhash
CLIENT_LINK := -ledit -lcjson -lxxhash

.DEFAULT_GOAL := all
.PHONY: all run test check unit coverage fuzz sim soak mutants bench bench-programs clean programs unit-programs fuzz-programs
.SECONDARY:

all: programs
programs: $(B)/kvd $(B)/kvcli

# main.c of a program is not part of the library beside it.
define library_rules
SOURCES_$(1) := $$(filter-out %/main.c,$$(wildcard $$(DIRECTORY_$(1))/*.c))
OBJECTS_$(1) := $$(patsubst %.c,$$(B)/objects/%.o,$$(SOURCES_$(1)))
$$(B)/lib$(1).a: $$(OBJECTS_$(1))
	$$(call say,AR,$$@)
	@rm -f $$@
	@ar rcs $$@ $$^
$$(B)/objects/$$(DIRECTORY_$(1))/%.o: $$(DIRECTORY_$(1))/%.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$<)
	$$(Q)$$(CC) $$(CFLAGS) $$(INCLUDE_$(1)) $$(if $$(filter $$<,$$(VERSIONED)),$$(VERSION_FLAGS)) -MMD -MP -c $$< -o $$@
endef
$(foreach l,$(LIBRARIES),$(eval $(call library_rules,$(l))))

$(B)/kvd: $(B)/objects/server/runtime/main.o $(SERVER_LIBRARIES)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(SERVER_LINK)

$(B)/kvcli: $(B)/objects/client/main.o $(B)/libclient.a $(B)/libprotocol.a $(B)/libform.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CLIENT_LINK)

# Servers that pretend to be the version before this one, and the one after it, for tests of upgrades
# (server/replica/versions.c): they differ in the objects that say what a server knows.
PRETEND_older := -DKVD_TEST_RULES_VERSION=1 -DKVD_TEST_BUS_VERSION=3 -DKVD_TEST_BOOK_VERSION=1
PRETEND_newer := -DKVD_TEST_RULES_VERSION=3 -DKVD_TEST_BUS_VERSION=5
define pretend_rules
$$(B)/objects/$(1)/%.o: server/replica/%.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(INCLUDE_replica) $$(PRETEND_$(1)) -MMD -MP -c $$< -o $$@
$$(B)/kvd-$(1): $$(B)/objects/server/runtime/main.o $$(B)/objects/$(1)/versions.o $$(B)/objects/$(1)/members.o $$(SERVER_LIBRARIES)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(SERVER_LINK)
endef
$(foreach p,older newer,$(eval $(call pretend_rules,$(p))))

# ---- what people ask for -------------------------------------------------------------------------

# Installs what is missing first (Debian; elsewhere it says what to install).
run:
	@tests/install-packages build
	@$(MAKE) --no-print-directory -j2 programs
	@KVD_PROGRAM=$(CURDIR)/$(B)/kvd deploy/run-local-cluster

# ---- unit tests ----------------------------------------------------------------------------------

UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))
UNIT_HELPER_OBJECTS := $(patsubst %.c,$(B)/objects/%.o,$(UNIT_HELPERS))

$(B)/objects/tests/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) -Itests/unit -Itests/sim -Itests/bench $(INCLUDE_runtime) -Iclient -MMD -MP -c $< -o $@

# Which library a test needs: tests of raft link raft alone, and so on; the rest link everything.
LINK_OF = $(if $(filter test_raft%,$(1)),$(B)/libraft.a,\
	$(if $(filter test_storage%,$(1)),$(B)/libstorage.a $(B)/libform.a,\
	$(if $(filter test_protocol%,$(1)),$(B)/libprotocol.a,\
	$(if $(filter test_commands%,$(1)),$(B)/libcommands.a $(B)/libprotocol.a $(B)/libstorage.a $(B)/libform.a,\
	$(if $(filter test_client%,$(1)),$(B)/libclient.a $(B)/libprotocol.a $(B)/libform.a,\
	$(if $(filter test_load% test_latency%,$(1)),$(B)/libload.a $(B)/libprotocol.a,\
	$(if $(filter test_replica%,$(1)),$(foreach l,replica commands protocol storage form raft,$(B)/lib$(l).a),\
	$(if $(filter test_sim%,$(1)),$(foreach l,sim replica commands protocol storage form raft,$(B)/lib$(l).a),\
	$(SERVER_LIBRARIES)))))))))
# Helpers are in an archive: a test gets those that it uses.
$(B)/libunit.a: $(UNIT_HELPER_OBJECTS)
	$(call say,AR,$@)
	@rm -f $@
	@ar rcs $@ $^

.SECONDEXPANSION:
$(B)/tests/%: $(B)/objects/tests/unit/%.o $(B)/libunit.a $$(call LINK_OF,$$*)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(if $(filter test_client%,$*),$(CLIENT_LINK),$(if $(filter test_load% test_latency%,$*),-lm,$(SERVER_LINK)))

unit-programs: $(UNIT_TESTS)

-include $(shell find $(B)/objects -name '*.d' 2>/dev/null)

clean:
	rm -rf build build-*

# ---- fuzzers (tests/fuzz): parsers of outside bytes -----------------------------------------------

FUZZ_SECONDS ?= 60
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

$(B)/fuzz/%: tests/fuzz/%.c $(foreach l,replica commands protocol storage form raft,$(B)/lib$(l).a)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer $(INCLUDE_replica) -o $@ $^ -llmdb -lxxhash

fuzz-programs: $(FUZZERS:%=$(B)/fuzz/%)

fuzz:
	@$(MAKE) --no-print-directory V=fuzz fuzz-programs
	@for fuzzer in $(FUZZERS); do echo "$$fuzzer, $(FUZZ_SECONDS) s"; \
		build-fuzz/fuzz/$$fuzzer -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=build-fuzz/ || exit 1; done

# ---- simulator (tests/sim) -----------------------------------------------------------------------

$(B)/kvsim: $(B)/objects/tests/sim/main.o $(B)/objects/tests/unit/temp_directory.o \
		$(foreach l,sim replica commands client protocol storage form raft,$(B)/lib$(l).a)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -llmdb -lxxhash

# Installs what is missing first.
sim:
	@tests/install-packages build
	@$(MAKE) --no-print-directory -j2 $(B)/kvsim

MINUTES ?= 30
soak: sim
	@$(B)/kvsim $(SOAK) --seeds $$(date +%s)000:100000000 --seconds $$(($(MINUTES) * 60)) --history-steps 10000000 --run-seconds 600 --keep-failures $(B)/failed-seeds

mutants: sim
	@tests/sim/mutants/run --table tests/sim/README.md

# ---- bench (tests/bench) -------------------------------------------------------------------------

BENCH_OBJECTS := $(B)/objects/tests/bench/bench_clients.o
FLOOR_OBJECTS := $(patsubst %,$(B)/objects/tests/bench/%.o,floor floor_disk floor_link)
LOAD_OBJECTS := $(patsubst %,$(B)/objects/tests/bench/%.o,load_client load_keys latency_histogram)

$(B)/objects/tests/bench/%.o: tests/bench/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) -Itests/bench $(INCLUDE_protocol) -MMD -MP -c $< -o $@

$(B)/bench/ceiling: $(B)/objects/tests/bench/ceiling.o $(BENCH_OBJECTS) $(B)/libprotocol.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -levent_core

$(B)/bench/floor: $(FLOOR_OBJECTS) $(BENCH_OBJECTS) $(B)/libprotocol.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -levent_core -llmdb

$(B)/libload.a: $(LOAD_OBJECTS)
	$(call say,AR,$@)
	@rm -f $@
	@ar rcs $@ $^

$(B)/bench/load: $(B)/objects/tests/bench/load.o $(B)/libload.a $(B)/libprotocol.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lm

bench-programs: $(B)/kvd $(B)/bench/ceiling $(B)/bench/floor $(B)/bench/load

# BENCH="--quick --only set-50" and the like are handed on.
bench: bench-programs
	@/usr/bin/python3 tests/bench/bench.py --build $(B) $(BENCH)

# ---- tests (tests/run) ---------------------------------------------------------------------------

# TESTS="unit cluster" runs only these suites; tests/run --list names them.
test:
	@tests/install-packages
	@tests/run $(TESTS)

# What a reviewer asks for before a commit, in a few minutes: fewer rounds, no thread sanitizer, no containers.
check:
	@tests/install-packages
	@KVD_TEST_ROUNDS=2 tests/run unit scripts clang unit-asan cluster clients

unit:
	@tests/run $(if $(filter asan,$(V)),unit-asan,unit)

# COVERAGE="--missing raft/raft.c" and the like are handed on.
coverage:
	@tests/install-packages
	@tests/coverage $(COVERAGE)
