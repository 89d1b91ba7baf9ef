/* ranks: 0 */
/* The table of algorithms: text and back, wrong text in rows, measuring. */
#include "tests/kern/twin.h"

#define SHAPE                                             \
  "conv n=4 c=32 h=8 w=8 out=32 kernel=3 stride=1 pad=1 " \
  "src=blocked dst=blocked"
#define LINEAR \
  "linear n=4 in=8 out=8 forward=gemm back_data=first back_weights=gemm"
#define CHOICE " forward=winograd back_data=none back_weights=auto"

static const struct kern_conv_shape shape = {
    4, 32, 8, 8, 32, 3, 1, 1, false, KERN_BLOCKED, KERN_BLOCKED};

static void
test_text (void)
{
  static const char text[] =
      "layout = last\n"
      "normalisation = fused\n"
      "machine = some other one, 64 threads\n" SHAPE CHOICE "\n";
  struct kern_tuning *t = NULL;
  struct text out;
  struct kern_conv_shape s = shape;
  MUST (kern_tuning_create (&t));
  text_init (&out);
  kern_tuning_print (t, &out);
  tap_ok (strcmp (out.data, "layout = blocked\nproducts = matmul\n") == 0 &&
              kern_tuning_bn (t) == KERN_BN_LIBRARY,
          "an empty table, whose normalisation is the library's");
  text_clear (&out);
  MUST (kern_tuning_parse (text, "here", t));
  text_init (&out);
  kern_tuning_print (t, &out);
  tap_ok (strcmp (out.data, text) == 0 && kern_tuning_by_sgemm (t),
          "text of an earlier version comes back as it was");
  text_clear (&out);
  tap_ok (kern_tuning_layout (t) == KERN_LAST &&
              kern_tuning_bn (t) == KERN_BN_FUSED &&
              strstr (kern_tuning_machine (t), "64") != NULL &&
              kern_tuning_choice (t, &s, KERN_FORWARD) == KERN_WINOGRAD &&
              kern_tuning_choice (t, &s, KERN_BACK_DATA) == KERN_DIRECT &&
              kern_tuning_choice (t, &s, KERN_BACK_WEIGHTS) == KERN_AUTO,
          "choices are found");
  s.bias = true;
  tap_ok (kern_tuning_choice (t, &s, KERN_FORWARD) == KERN_WINOGRAD,
          "with a bias as well");
  s.n = 5;
  tap_ok (kern_tuning_choice (t, &s, KERN_FORWARD) == KERN_DIRECT &&
              kern_tuning_choice (NULL, &s, KERN_FORWARD) == KERN_DIRECT,
          "another batch, or no table: direct");
  kern_tuning_layout_set (t, KERN_BLOCKED);
  tap_ok (kern_tuning_layout (t) == KERN_BLOCKED, "the layout can be set");
  kern_tuning_destroy (&t);
}

/* Whether a table with this line was made elsewhere. */
static bool
elsewhere (const struct kern *k, const char *isa, const char *rest)
{
  char text[160];
  struct kern_tuning *t = NULL;
  snprintf (text, sizeof text, "layout = last\nmachine = %s, %s\n", isa, rest);
  MUST (kern_tuning_create (&t));
  MUST (kern_tuning_parse (text, "here", t));
  bool is = kern_tuning_elsewhere (k, t);
  kern_tuning_destroy (&t);
  return is;
}

static void
test_elsewhere (void)
{
  struct kern *k = NULL;
  char machine[KERN_MACHINE];
  MUST (kern_open (1, &k));
  kern_machine (k, machine);
  /* "ISA, library, 1 thread" */
  char *isa = machine, *rest = strchr (machine, ',') + 2;
  rest[-2] = '\0';
  const bool avx512 = kern_isa_includes (isa, "avx512_core");
  const char *kind = avx512                            ? "AVX-512"
                     : kern_isa_includes (isa, "avx2") ? "AVX2"
                                                       : "generic";
  tap_ok (!elsewhere (k, isa, rest), "a table of this machine");
  tap_ok (!elsewhere (k, kind, rest), "as earlier texts name it: %s", kind);
  tap_ok (elsewhere (k, avx512 ? "AVX2" : "AVX-512", rest) &&
              elsewhere (k, avx512 ? "avx2" : "avx512_core", rest),
          "of another instruction set");
  tap_ok (elsewhere (k, isa, "oneDNN 1.2.3, 1 thread"), "of another library");
  *strrchr (rest, ',') = '\0';
  snprintf (strchr (rest, '\0'), 16, ", 7 threads");
  tap_ok (!elsewhere (k, isa, rest), "with other threads: %s", rest);
  kern_close (&k);
}

static void
test_wrong_text (void)
{
  static const struct {
    const char *text, *says;
  } rows[] = {
      {"nonsense", "here:1"},
      {"\n# note\nlayout = nchw", "here:3: \"nchw\""},
      {"normalisation = fast", "here:1: \"fast\" is not library or fused"},
      {SHAPE, "\"forward\" is missing"},
      {SHAPE " forwart=direct", "did you mean \"forward\""},
      {SHAPE " forward=quick", "\"quick\" is no value of \"forward\""},
      {SHAPE " forward", "key=value"},
      {SHAPE " n=4", "given twice"},
      {"conv n=0 c=32", "\"0\" is no value of \"n\""},
      {"conv n=4x c=32", "\"4x\""},
      {"conv n=99999999999999999999", "no value"},
      {"conv src=odd", "\"odd\" is no value of \"src\""},
      {SHAPE CHOICE "\n" SHAPE CHOICE, "here:2: this shape is in the table"},
      {"products = sgemm", "products = matmul"},
      {"linear n=4 in=8", "\"n=N in=N"},
      {LINEAR " more=1", "\"n=N in=N"},
      {"linear n=0 in=8 out=8 forward=gemm back_data=gemm back_weights=gemm",
       "\"n=N in=N"},
      {"linear n=4 in=8 out=8 forward=gemm back_data=quick back_weights=gemm",
       "\"quick\" is no value of \"back_data\""},
      {LINEAR "\n" LINEAR, "here:2: this shape is in the table"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct kern_tuning *t = NULL;
    MUST (kern_tuning_create (&t));
    enum status s = kern_tuning_parse (rows[i].text, "here", t);
    tap_ok (s == E_CONFIG && strstr (fail_message (), rows[i].says) != NULL,
            "refused: %s", fail_message ());
    fail_clear ();
    kern_tuning_destroy (&t);
  }
}

/* Lines of linear layers, and what is measured for one. */
static void
test_linear (void)
{
  static const char text[] = "layout = last\nmachine = here\n"
                             "products = matmul\n" LINEAR "\n";
  const struct kern_linear_shape s = {
      .n = 4, .in = 8, .out = 8, .learns = true};
  struct kern_linear_shape more = s;
  struct kern_tuning *t = NULL;
  struct kern *k = NULL;
  struct text out;
  enum kern_way way[3] = {KERN_WAYS, KERN_WAYS, KERN_WAYS};
  MUST (kern_tuning_create (&t));
  MUST (kern_tuning_parse (text, "here", t));
  text_init (&out);
  kern_tuning_print (t, &out);
  tap_ok (strcmp (out.data, text) == 0 && !kern_tuning_by_sgemm (t),
          "linear layers come back as they were");
  text_clear (&out);
  more.out = 40;
  tap_ok (kern_tuning_has_linear (t, &s) && !kern_tuning_has_linear (t, &more),
          "one that is in the table, one that is not");
  MUST (kern_open (1, &k));
  MUST (kern_linear_measure (k, &more, way));
  tap_ok (way[0] < KERN_WAYS && way[1] < KERN_WAYS && way[2] < KERN_WAYS &&
              kern_scratch_bytes (k) == 0,
          "a way is found for each direction, and no memory stays");
  MUST (kern_tuning_put_linear (k, t, &more, way));
  text_init (&out);
  kern_tuning_print (t, &out);
  tap_ok (kern_tuning_has_linear (t, &more) &&
              strstr (out.data, "linear n=4 in=8 out=40 forward=") != NULL,
          "and kept");
  text_clear (&out);
  kern_tuning_destroy (&t);
  kern_close (&k);
}

/* What is measured must be offered, kept, and not measured again. */
static void
test_measure (void)
{
  struct kern *k = NULL;
  struct kern_tuning *t = NULL, *copy = NULL;
  struct kern_conv *c = NULL;
  struct text out, out2;
  char machine[KERN_MACHINE];
  double best = 0, again = 0;
  MUST (kern_open (1, &k));
  MUST (kern_tuning_create (&t));
  MUST (kern_tuning_measure (k, &shape, false, t, &best));
  tap_ok (best > 0 && best < 1, "forward and weights take %.3g ms", best * 1e3);
  text_init (&out);
  kern_tuning_print (t, &out);
  tap_ok (strstr (out.data, "back_data=none") != NULL,
          "a direction that is not used is not measured");
  text_clear (&out);
  MUST (kern_tuning_measure (k, &shape, true, t, &again));
  tap_ok (again > best, "the third direction adds its time");
  MUST (kern_tuning_measure (k, &shape, true, t, &best));
  tap_ok (again == best, "what is in the table stays");
  tap_ok (kern_scratch_bytes (k) == 0, "measuring leaves no scratchpad");
  kern_machine (k, machine);
  tap_ok (!kern_tuning_elsewhere (k, t), "measured here");
  tap_ok (strcmp (machine, kern_tuning_machine (t)) == 0, "machine: %s",
          machine);
  text_init (&out);
  text_init (&out2);
  kern_tuning_print (t, &out);
  MUST (kern_tuning_create (&copy));
  MUST (kern_tuning_parse (out.data, "print", copy));
  MUST (kern_tuning_measure (k, &shape, true, copy, NULL));
  MUST (kern_tuning_measure (k, &shape, true, copy, &again));
  kern_tuning_print (copy, &out2);
  tap_ok (strcmp (out.data, out2.data) == 0 && again > 0,
          "a table that was read keeps its choices, times are found");
  text_clear (&out);
  text_clear (&out2);
  MUST (kern_conv_create (k, &shape, copy, &c));
  tap_ok (kern_scratch_bytes (k) > 0, "and can be made: %s",
          kern_conv_impl (c, KERN_FORWARD));
  kern_conv_destroy (&c);
  kern_tuning_destroy (&t);
  kern_tuning_destroy (&copy);
  kern_close (&k);
}

int
main (void)
{
  test_text ();
  test_elsewhere ();
  test_wrong_text ();
  test_linear ();
  test_measure ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left behind");
  return tap_done ();
}
