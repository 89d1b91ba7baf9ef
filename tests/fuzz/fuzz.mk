# tests/fuzz/fuzz.mk -- the harnesses, for GNU make in the directory of a build:
#
#     make -f ../tests/fuzz/fuzz.mk
#
# What is fuzzed is compiled a second time, by clang with sanitizers; the other
# rooms come from the build as they are.  Everything goes to fuzz/.

all:
include Makefile

CLANG = clang
FUZZ = config sweep costs tuning report idx cifar images packed text tokens pieces \
  dataset checkpoint weights
FUZZ_SOURCES = $(filter %.c,$(src_base_libbase_a_SOURCES) \
  $(src_config_libconfig_a_SOURCES) $(src_store_libstore_a_SOURCES) \
  $(src_data_libdata_a_SOURCES) \
  $(src_weights_libweights_a_SOURCES) $(src_import_libimport_a_SOURCES) $(src_sweep_libsweep_a_SOURCES) \
  $(src_report_libreport_a_SOURCES) $(src_main_libmain_a_SOURCES)) \
  src/kern/tune.c src/design/costs.c tests/fuzz/plant.c
FUZZ_FLAGS = -std=gnu11 -O1 -g1 -fno-omit-frame-pointer -w \
  -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_OBJECTS = $(FUZZ_SOURCES:%.c=fuzz/%.o)
FUZZ_WRAP = -Wl,--wrap=status_fail,--wrap=mem_new

fuzz-programs: $(FUZZ:%=fuzz/%)

fuzz/%.o: $(srcdir)/%.c
	@mkdir -p $(@D)
	@echo "  CLANG   $@"
	@$(CLANG) $(FUZZ_FLAGS) $(DEFS) $(IL_TEST_CPPFLAGS) $(src_main_libmain_a_CPPFLAGS) -MMD -MP -c -o $@ $<

fuzz/rooms.a: $(FUZZ_OBJECTS)
	@rm -f $@
	@ar cr $@ $^

# rooms.a first: then nothing of the same name is taken from the build.
$(FUZZ:%=fuzz/%): fuzz/%: fuzz/tests/fuzz/%.o fuzz/rooms.a
	@echo "  LINK    $@"
	@$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer $(FUZZ_WRAP) -o $@ $< \
	  -Wl,--start-group fuzz/rooms.a $(IL_ROOMS) -Wl,--end-group $(IL_LIBS) \
	  -lgomp

-include $(FUZZ_OBJECTS:.o=.d) $(FUZZ:%=fuzz/tests/fuzz/%.d)
.SECONDARY:
.PHONY: fuzz-programs
