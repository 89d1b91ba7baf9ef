/* ranks: 0 */
/* tests/model/tune.c -- measuring and choosing: only what can be promised
 * without a clock.
 */
#include "tests/model/fixture.h"

static struct fixture f;

static void
rule (void)
{
  fixture_open (&f, spec_bottle, 2, KERN_BLOCKED);
  stage_tune_rule (f.k, f.net, f.t);
  tap_ok (kern_tuning_layout (f.t) == KERN_LAST,
          "channels that fit no block: channels last");
  fixture_close (&f);
  fixture_open (&f, spec_basic, 2, KERN_LAST);
  stage_tune_rule (f.k, f.net, f.t);
  tap_ok (kern_tuning_layout (f.t) == KERN_BLOCKED,
          "channels that fit: blocked");
  fixture_close (&f);
}

static int
lines_with (const char *text, const char *word)
{
  int n = 0;
  for (const char *at = text; (at = strstr (at, word)); at++)
    n++;
  return n;
}

static void
tune (void)
{
  /* Behind units 0 and 2; behind unit 0. */
  const char *two[] = {"conv48-gap-fc", NULL, "conv48-gap-fc", NULL, NULL};
  const char *one[] = {"conv7-gap-fc", NULL, NULL, NULL, NULL};
  struct text text;
  struct model_spec spec = spec_basic;
  spec.blocks[1] = 1;
  fixture_open (&f, spec, 2, KERN_PLAIN);
  CHECK (network_units (f.net) <= 5, "heads for %d blocks only", 5);
  must (stage_tune (f.k, f.net, 2, two, NULL, f.t));
  enum kern_layout l = kern_tuning_layout (f.t);
  tap_ok (l == KERN_BLOCKED || l == KERN_LAST, "a layout is chosen");
  text_init (&text);
  kern_tuning_print (f.t, &text);
  /* stem; 16 to 16; 16 to 32; 32 to 32; shortcut: in two layouts; two heads in
   * the chosen one */
  tap_ok (lines_with (text.data, "conv n=2") == 12, "12 shapes: %d",
          lines_with (text.data, "conv n=2"));
  struct kern_tuning *again;
  must (kern_tuning_create (&again));
  must (kern_tuning_parse (text.data, "itself", again));
  tap_ok (kern_tuning_layout (again) == l, "and read back");
  kern_tuning_destroy (&again);
  text_clear (&text);
  struct stage *s = fixture_stage (&f, 0, 1, 0, network_units (f.net), NULL);
  must (stage_forward (s, 0, f.images));
  stage_destroy (&s);
  fixture_close (&f);
  fixture_open (&f, spec, 2, KERN_PLAIN);
  must (stage_tune (f.k, f.net, 2, one, NULL, f.t));
  tap_ok (kern_tuning_layout (f.t) == KERN_LAST,
          "a head whose channels fit no block rules blocked out");
  fixture_close (&f);
}

static void
measure (void)
{
  struct stage_measured m[4] = {
      {.unit = 0}, {.unit = 1, .head = "conv64-bn-gap-fc"}, {.unit = 3}, {0}};
  fixture_open (&f, spec_basic, 16, KERN_BLOCKED);
  m[3].unit = network_units (f.net) - 1;
  must (stage_measure (f.k, f.net, f.t, 16, 4, m));
  struct stage_cost stem = m[0].cost, head = m[1].cost, block = m[2].cost,
                    output = m[3].cost;
  tap_ok (stem.forward > 0 && stem.data > 0 && stem.weights > 0,
          "the stem has a price");
  tap_ok (block.forward > 0 && block.data > 0 && block.weights > 0,
          "a block has a price");
  tap_ok (stem.input == 0 && block.input > 0 && block.input < block.data &&
              block.saved < block.data + block.weights,
          "a part of it for its input's gradient, which the stem has not");
  tap_ok (head.forward > 0 && head.data >= 0 && head.weights > 0,
          "a head has a price");
  tap_ok (output.forward > 0 && output.weights > 0 &&
              output.forward + output.data < head.forward + head.data,
          "the output unit costs less than a head with a convolution");
  fixture_close (&f);
}

int
main (void)
{
  rule ();
  tune ();
  measure ();
  return tap_done ();
}
