# Tests of the plain C units, under sanitizers. A program per tests/native/test_*.c and fuzz_*.c:
# exit status 0 is a pass. Other .c files there are helpers, linked to every program.

NATIVE_UNITS := $(wildcard native/record/*.c native/read/*.c)
NATIVE_TESTS := $(wildcard tests/native/test_*.c)
NATIVE_FUZZERS := $(wildcard tests/native/fuzz_*.c)
NATIVE_HELPERS := $(filter-out $(NATIVE_TESTS) $(NATIVE_FUZZERS),$(wildcard tests/native/*.c))
NATIVE_CFLAGS := -std=c11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -pthread \
    -Wall -Wextra -Werror -Inative -Itests/native
NATIVE_LDLIBS := -lm
ARM64_CC ?= aarch64-linux-gnu-gcc

# How many damaged inputs each fuzzer reads.
OTRACE_FUZZ_RUNS ?= 50000
export OTRACE_FUZZ_RUNS

SANITIZER_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
# Fences are used on top of atomic fields; ThreadSanitizer does not model them, and says so.
SANITIZER_tsan := -fsanitize=thread -Wno-tsan
SANITIZER_arm64 :=
COMPILER_asan = $(CC)
COMPILER_tsan = $(CC)
COMPILER_arm64 = $(ARM64_CC)

# native-rules FLAVOUR: objects and programs of one flavour, in a folder of its own.
define native-rules
$(BUILD)/native/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	@echo "$(1)    $$<"
	@$$(COMPILER_$(1)) $$(NATIVE_CFLAGS) $$(SANITIZER_$(1)) -MMD -MP -c -o $$@ $$<

$(BUILD)/native/$(1)/%: $(BUILD)/native/$(1)/tests/native/%.o \
    $(patsubst %.c,$(BUILD)/native/$(1)/%.o,$(NATIVE_UNITS) $(NATIVE_HELPERS))
	@$$(COMPILER_$(1)) $$(NATIVE_CFLAGS) $$(SANITIZER_$(1)) -o $$@ $$^ $$(NATIVE_LDLIBS)

-include $(patsubst %.c,$(BUILD)/native/$(1)/%.d,$(NATIVE_UNITS) $(NATIVE_HELPERS) $(NATIVE_TESTS) $(NATIVE_FUZZERS))
endef
$(foreach flavour,asan tsan arm64,$(eval $(call native-rules,$(flavour))))
.SECONDARY:

# native-programs FLAVOUR,SOURCES
native-programs = $(patsubst tests/native/%.c,$(BUILD)/native/$(1)/%,$(2))

test-native: $(call native-programs,asan,$(NATIVE_TESTS) $(NATIVE_FUZZERS)) $(call native-programs,tsan,$(NATIVE_TESTS)) ## run the C tests under ASan, UBSan and TSan
	@.ci/run-native $^

fuzz: $(call native-programs,asan,$(NATIVE_FUZZERS)) ## feed a million damaged recordings to the reader
	@OTRACE_FUZZ_RUNS=1000000 .ci/run-native $^

# What the emulator cannot show: it neither wipes pages on fork nor populates them when asked, and
# it stops threads in places where the live tests do not look for them.
NOT_EMULATED := %/test_record_fork.c %/test_record_names.c %/test_record_segment.c \
    %/test_record_threads.c
NATIVE_EMULATED := $(filter-out $(NOT_EMULATED),$(NATIVE_TESTS))

check-arm64: $(call native-programs,arm64,$(NATIVE_TESTS) $(NATIVE_FUZZERS)) $(patsubst %.c,$(BUILD)/native/arm64/%.o,$(NATIVE_UNITS)) check-arm64-python ## compile the C for arm64, and run its tests under qemu if it is here
	@if command -v qemu-aarch64 >/dev/null; then RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
	    .ci/run-native $(call native-programs,arm64,$(NATIVE_EMULATED)); fi

# The units that include Python.h are compiled too, with $(PYTHON)'s own headers: those of 64-bit
# Linux differ between the two machines in nothing that the C here depends on.
PYTHON_INCLUDE = $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')

.PHONY: check-arm64-python
check-arm64-python:
	@include="$(PYTHON_INCLUDE)"; for unit in $(wildcard native/python/*.c); do \
	    echo "arm64    $$unit ($$include)"; \
	    $(ARM64_CC) $(NATIVE_CFLAGS) -fPIC -I"$$include" -c -o /dev/null $$unit || exit 1; \
	done
