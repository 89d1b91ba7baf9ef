/* ranks: 0 */
/* tests/config/config.c -- texts and words to configurations and back.
 *
 * What a configuration should become is written here by hand, key by key, not
 * taken from the program's table.
 */
#include "base/memory.h"
#include "design/ask.h"
#include "kern/kern.h"
#include "model/network.h"
#include "tests/tap.h"

#define WORDS 6

struct row {
  const char *name, *text;
  const char *words[WORDS]; /* ends at NULL */
  int n;                    /* complaints expected */
  const char *say[4];       /* parts of them */
};

static void
parse (const char *text, const char *const *words, struct config *c,
       struct complaints *said)
{
  struct config_source source = {.name = "made.ini", .text = text};
  source.words = words;
  while (words && source.n_words < WORDS && words[source.n_words])
    source.n_words++;
  *said = (struct complaints){0};
  text_init (&said->lines);
  design_configure_parse (&source, c, said);
}

/* -- what is wrong ----------------------------------------------------------
 */

static const struct row rows[] = {
    {"nothing at all", "", {0}, 0, {0}},
    {"comments, blanks and an indented key",
     "# a\n; b\n\n  [train] ; c\n\t batch = 64 ; d\n   micro=2\n",
     {0},
     0,
     {0}},
    {"carriage returns and a byte order mark",
     "\xef\xbb\xbf[train]\r\nbatch = 64\r\n",
     {0},
     0,
     {0}},
    {"unknown key",
     "[train]\nbacth = 3\n",
     {0},
     1,
     {"made.ini:2: [train] has no key bacth", "did you mean train.batch?"}},
    {"key of another section",
     "[train]\n\npreset = resnet20\n",
     {0},
     1,
     {"made.ini:3:", "did you mean model.preset?"}},
    {"unknown section, its keys not repeated",
     "[modle]\npreset = resnet20\nx = 1\n",
     {0},
     1,
     {"made.ini:1: [modle] is not a section; did you mean [model]?"}},
    {"unknown choice",
     "[train]\noptimizer = sdg\n",
     {0},
     1,
     {"made.ini:2: train.optimizer = sdg: wanted sgd or adamw",
      "did you mean sgd?"}},
    {"unknown preset",
     "[model]\npreset = resnet33\n",
     {0},
     1,
     {"wanted resnet20, ", "did you mean resnet3"}},
    {"not an integer",
     "[train]\nbatch = 12x\n",
     {0},
     1,
     {"made.ini:2: train.batch = 12x: wanted an integer"}},
    {"not an integer: exponent",
     "[train]\nbatch = 1e2\n",
     {0},
     1,
     {"an integer"}},
    {"out of range",
     "[train]\nbatch = 0\nmomentum = 1\nlr = -1\nlr = 1\n",
     {0},
     4,
     {"train.batch = 0", "train.momentum = 1: wanted a number", "train.lr = -1",
      "made.ini:5: train.lr is given twice, first in line 4"}},
    {"open end of a range",
     "[train]\neps = 0\n[stages]\nhead_tokens = 0\n",
     {0},
     2,
     {"train.eps = 0: wanted a number above 0", "head_tokens"}},
    {"not a bool", "[run]\ntrace = maybe\n", {0}, 1, {"wanted yes or no"}},
    {"not a pair", "[train]\nbetas = 0.9\n", {0}, 1, {"two numbers"}},
    {"pair out of range",
     "[train]\nbetas = 0.9,1.5\n",
     {0},
     1,
     {"two numbers"}},
    {"empty number", "[train]\nbatch =\n", {0}, 1, {"an integer"}},
    {"a line that is none",
     "[train]\nbatch\nmicro = 2\n",
     {0},
     1,
     {"made.ini:2: neither a [section] nor key = value"}},
    {"a section that does not end",
     "[train\nbatch = 3\n",
     {0},
     1,
     {"made.ini:1: a section is a name in brackets"}},
    {"a key before any section",
     "batch = 3\n",
     {0},
     1,
     {"made.ini:1: a key before the first [section]"}},
    {"a value without a key",
     "[train]\n = 3\n",
     {0},
     1,
     {"a value without a key"}},
    {"two errors, both reported",
     "[train]\nbatch = x\n[strategy]\nmix = sun\n",
     {0},
     2,
     {"made.ini:2: train.batch", "made.ini:4: strategy.mix = sun",
      "did you mean sum?"}},
    {"file and words together",
     "[train]\nbatch = x\n",
     {"strategy.mix=men", "data.limit=-1"},
     3,
     {"made.ini:2:", "strategy.mix = men", "did you mean mean?",
      "data.limit = -1"}},
    {"word without a section",
     NULL,
     {"batch=3"},
     1,
     {"did you mean train.batch?"}},
    {"word of an unknown section",
     NULL,
     {"trian.batch=3"},
     1,
     {"did you mean [train]?"}},
    {"word of an unknown key",
     NULL,
     {"train.bach=3"},
     1,
     {"did you mean train.batch?"}},
    {"steps and epochs in one place",
     "[train]\nsteps=3\nepochs=2\n",
     {0},
     1,
     {"train.steps = 3 and train.epochs = 2"}},
    {"steps and epochs, words",
     NULL,
     {"train.steps=3", "train.epochs=2"},
     1,
     {"train.steps"}},
    {"preset and groups in one place",
     NULL,
     {"model.preset=resnet20", "model.groups=16x3"},
     1,
     {"model.preset = resnet20 and model.groups = 16x3"}},
    {"block of a preset",
     NULL,
     {"model.preset=resnet20", "model.block=bottleneck"},
     1,
     {"model.block = bottleneck"}},
    {"order: a place",
     NULL,
     {"model.order=before"},
     1,
     {"model.order = before", "post or pre"}},
    {"block without groups",
     NULL,
     {"model.block=basic"},
     1,
     {"needs model.groups"}},
    {"cut and count differ",
     "[stages]\ncut = 2,1,rest\ncount = 4\n",
     {0},
     1,
     {"has 3 parts, stages.count is 4"}},
    {"sizes of a Transformer",
     "[model]\nfamily = transformer\nlayers = 0\nd_modl = 8\ndropout = 1\n"
     "tied = maybe\n[data]\nstride = 0\n",
     {0},
     5,
     {"model.layers = 0: wanted an integer", "d_model", "model.dropout = 1",
      "data.stride = 0"}},
    {"precision of a later version",
     "[train]\nprecision = f32-bf16\n",
     {0},
     1,
     {"made.ini:2: train.precision = f32-bf16 is not in this version"}},
    {"values that a file cannot hold",
     NULL,
     {"data.file=a ;b", "run.dir= x", "data.file=a\nb"},
     3,
     {"data.file", "run.dir"}},
    {"span as a number or a name",
     NULL,
     {"strategy.span=3", "strategy.span=local"},
     0,
     {0}},
    {"a span for each stage",
     "[strategy]\nspan = 1,local,2,all\n",
     {"strategy.span=e2e,pairwise,1,3"},
     0,
     {0}},
    {"a list with a word that is none",
     NULL,
     {"strategy.span=1,,2", "strategy.span=1,2,", "strategy.span=2,far"},
     3,
     {"one of these for each stage"}},
    {"no list of mixes", NULL, {"strategy.mix=sum,sum"}, 1, {"furthest, sum"}},
    {"own is above 0", NULL, {"strategy.own=-1"}, 1, {"strategy.own = -1"}},
    {"own is for the furthest",
     "[strategy]\nmix = sum\nown = 0.5\n",
     {0},
     1,
     {"strategy.own = 0.5 is for strategy.mix = furthest, which is sum"}},
    {"own of 0 is for all", "[strategy]\nmix = sum\nown = 0\n", {0}, 0, {0}},
    {"a table and what makes one",
     "[stages]\ncount = 1\n[strategy]\nroute = 1\nspan = 1\n"
     "mix = furthest\nown = 0\n",
     {0},
     3,
     {"strategy.route and strategy.span are both given", "strategy.mix",
      "strategy.own"}},
    {"a table in words and what makes one",
     NULL,
     {"stages.count=1", "strategy.route=1", "strategy.span=1"},
     1,
     {"strategy.route and strategy.span are both given"}},
    {"a table on top of what makes one",
     "[stages]\ncount = 1\n[strategy]\nspan = 1\nmix = sum\n",
     {"strategy.route=1"},
     0,
     {0}},
    {"a dial and what it stands for",
     NULL,
     {"stages.count=1", "strategy.dial=0:1", "strategy.span=1",
      "strategy.route=1"},
     2,
     {"strategy.dial and strategy.span are both given", "strategy.route"}},
    {"a dial beside mix and own",
     "[strategy]\ndial = 0:local, 30%:2\nmix = furthest\nown = 0.5\n",
     {0},
     0,
     {0}},
    {"a dial on top of a span",
     "[strategy]\nspan = 2\n",
     {"strategy.dial=0:local, 5:all"},
     0,
     {0}},
    {"span 0", NULL, {"strategy.span=0"}, 1, {"or an integer, 1 or more"}},
};

static void
test_rows (void)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct row *r = &rows[i];
    struct config c;
    struct complaints said;
    parse (r->text, r->words, &c, &said);
    bool good = said.n == r->n;
    for (int j = 0; j < 4 && r->say[j]; j++)
      good = good && strstr (said.lines.data, r->say[j]);
    if (!tap_ok (good, "%s", r->name))
      tap_note ("%d complaints:\n%s", said.n, said.lines.data);
    text_clear (&said.lines);
  }
}

/* -- what it becomes --------------------------------------------------------
 */

/* Parse without complaints. */
static struct config
good (const char *text, const char *w0, const char *w1)
{
  const char *words[WORDS] = {w0, w1};
  struct config c;
  struct complaints said;
  parse (text, words, &c, &said);
  tap_ok (said.n == 0, "no complaint about %s %s", w0 ? w0 : "-",
          w1 ? w1 : "-");
  text_clear (&said.lines);
  return c;
}

static bool
same (const char *a, const char *b)
{
  return strcmp (a, b) == 0;
}

static void
test_defaults (void)
{
  struct config c = good (NULL, NULL, NULL);
  tap_ok (c.family == CONFIG_RESNET && same (c.preset, "resnet20") &&
              c.block == CONFIG_BLOCK_NOT_GIVEN && same (c.groups, "") &&
              c.stem == CONFIG_STEM_NOT_GIVEN && c.stem_width == 0,
          "default network");
  tap_ok (c.count == 4 && same (c.cut, "auto") && same (c.head, "auto") &&
              c.head_cost == 0.15 && c.head_tokens == 1 &&
              c.border == CONFIG_BORDER_NONE,
          "default stages");
  tap_ok (same (c.span, "all") && c.mix == CONFIG_FURTHEST && !c.heads_all,
          "default strategy");
  tap_ok (same (c.file, "") && c.train == CONFIG_SPLIT_TRAIN &&
              c.valid == CONFIG_SPLIT_VALID && c.test == CONFIG_SPLIT_TEST &&
              c.augment == CONFIG_AUGMENT_NONE && c.order == CONFIG_SHUFFLE &&
              c.limit == 0,
          "default data");
  tap_ok (c.batch == 128 && c.micro == 1 && c.steps == 0 && c.epochs == 1 &&
              c.seed == 1 && c.eval_every == 0 && same (c.init, "") &&
              same (c.tune, "yes") && c.precision == CONFIG_F32,
          "default training");
  tap_ok (c.optimizer == CONFIG_SGD && c.lr == 0.1 && c.momentum == 0.9 &&
              !c.nesterov && c.weight_decay == 1e-4 && c.beta1 == 0.9 &&
              c.beta2 == 0.999 && c.eps == 1e-8 &&
              c.decay == CONFIG_DECAY_ALL && c.clip == 0 && c.smoothing == 0 &&
              c.schedule == CONFIG_CONSTANT && c.warmup == 0 &&
              same (c.milestones, ""),
          "default optimizer");
  tap_ok (c.every == 0 && c.every_seconds == 600 && c.keep == 2 && c.at_end,
          "default checkpoints");
  tap_ok (same (c.dir, "run") && c.replicas == 1 && !c.share_optimizer &&
              c.run_schedule == CONFIG_EAGER && !c.trace &&
              c.time_margin == 60 && c.patience == 600,
          "default run");
  c = good (NULL, "train.optimizer=adamw", NULL);
  tap_ok (c.lr == 1e-3 && c.weight_decay == 0.01 &&
              c.decay == CONFIG_DECAY_MATRICES,
          "adamw has defaults of its own");
  c = good ("[train]\nlr=0.5\nweight_decay=0\n", "train.optimizer=adamw", NULL);
  tap_ok (c.lr == 0.5 && c.weight_decay == 0, "and given values stay");
}

static void
test_transformer (void)
{
  struct config c = good (NULL, "model.family=transformer", NULL);
  tap_ok (same (c.preset, "gpt-nano") && c.layers == 6 && c.d_model == 256 &&
              c.heads == 8 && c.context == 256 && c.mlp_ratio == 4 &&
              c.dropout == 0 && c.tied && c.residual_scaled && c.stride == 256,
          "default Transformer");
  tap_ok (same (c.head, "auto") && c.optimizer == CONFIG_ADAMW &&
              c.lr == 1e-3 && c.decay == CONFIG_DECAY_MATRICES &&
              c.head_tokens == 1,
          "its head and optimizer");
  c = good ("[model]\nfamily=transformer\npreset=gpt2\ncontext=512\n",
            "model.layers=4", NULL);
  tap_ok (c.layers == 4 && c.d_model == 768 && c.heads == 12 &&
              c.context == 512 && c.stride == 512,
          "a preset and what is said besides");
  c = good ("[model]\nfamily=transformer\nlayers=4\ncontext=64\n"
            "[data]\nstride=32\n",
            "model.preset=gpt2", NULL);
  tap_ok (c.layers == 12 && c.context == 1024 && c.stride == 32,
          "a later preset beats earlier sizes");
  c = good ("[model]\nfamily=transformer\ncontext=64\n[data]\nstride=64\n",
            "model.context=32", NULL);
  tap_ok (c.stride == 32, "a later context brings its own stride");
}

static void
test_layers (void)
{
  struct config c;
  c = good ("[train]\nbatch=7\n", "train.batch=8", "train.batch=9");
  tap_ok (c.batch == 9, "the last word wins");
  c = good ("[train]\nsteps=7\n", "train.epochs=2.5", NULL);
  tap_ok (c.steps == 0 && c.epochs == 2.5, "epochs as a word beat steps");
  c = good ("[train]\nepochs=7\n", "train.steps=3", NULL);
  tap_ok (c.steps == 3 && c.epochs == 0, "steps as a word beat epochs");
  c = good ("[model]\npreset=resnet56\n", "model.groups=8x1,16x1", NULL);
  tap_ok (same (c.preset, "") && same (c.groups, "8x1,16x1") &&
              c.block == CONFIG_BASIC,
          "groups as a word beat the preset");
  c = good ("[model]\ngroups=8x1\nblock=bottleneck\n", "model.preset=resnet44",
            NULL);
  tap_ok (same (c.preset, "resnet44") && same (c.groups, "") &&
              c.block == CONFIG_BLOCK_NOT_GIVEN,
          "and the other way round");
  c = good (NULL, "stages.cut=2,1,rest", NULL);
  tap_ok (c.count == 3, "a cut tells the number of stages");
  c = good ("[strategy]\nheads=all\n[data]\norder=sequential\n",
            "train.betas=0.8, 0.95", "run.trace=on");
  tap_ok (c.heads_all && c.order == CONFIG_SEQUENTIAL && c.beta1 == 0.8 &&
              c.beta2 == 0.95 && c.trace,
          "choices, pairs and bools arrive");
}

/* -- there and back ---------------------------------------------------------
 */

/* Phases of a dial: a text, and what it comes to; of a run of 1000 steps the
 * first one of each. */
struct dial_row {
  const char *text, *words; /* words NULL: refused ... */
  const char *said;         /* ... with this in the message */
  int64_t first[4];
};
static const struct dial_row dial_rows[] = {
    {"0:local, 30%:2, 70%:all", "0:local, 30%:2, 70%:all", NULL, {0, 300, 700}},
    {" 0% : local,0.25%:1, 1 ,2,all  own=0.20 , 900 :2",
     "0%:local, 0.25%:1,1,2,all own=0.2, 900:2",
     NULL,
     {0, 3, 900}},
    {"0:2", "0:2", NULL, {0}},
    {"0:all,5:1 0 0/ 0,1 0/0 0 1,33.3%:2",
     "0:all, 5:1 0 0/ 0,1 0/0 0 1, 33.3%:2",
     NULL,
     {0, 5, 333}},
    {"0:@a.txt, 50%:@b.txt", "0:@a.txt, 50%:@b.txt", NULL, {0, 500}},
    {"0:2 own=0", "0:2 own=0", NULL, {0}},
    {"", NULL, "has no phase", {0}},
    {"local", NULL, "does not say when it begins", {0}},
    {"local, 5:2", NULL, "does not say when it begins", {0}},
    {"5:local", NULL, "the first phase begins at 0", {0}},
    {"0:local, 30%:2, 30%:all",
     NULL,
     "phase 2 begins at 30%, no later than",
     {0}},
    {"0:local, 300:2, 200:all", NULL, "phase 2 begins at 200, no later", {0}},
    {"0:local, 300:2, 30%:all",
     NULL,
     "phases 1 and 2 begin at steps 300 and 300",
     {0}},
    {"0:local, 40%:2, 300:all",
     NULL,
     "phases 1 and 2 begin at steps 400 and 300",
     {0}},
    {"0:local, 0.01%:2", NULL, "phases 0 and 1 begin at steps 0 and 0", {0}},
    {"0:local, 1000:2",
     NULL,
     "phase 1 begins at step 1000 of a run of 1000",
     {0}},
    {"0:local, 99.99%:2", NULL, "phase 1 begins at step 1000 of a run", {0}},
    {"0:local, 100%:2", NULL, "phase 1: \"100%\" is neither a step", {0}},
    {"0:local, 130%:2", NULL, "from 0% to below 100%", {0}},
    {"0:local, -3:2", NULL, "phase 1: \"-3\" is neither", {0}},
    {"0:local, 2.5:2", NULL, "phase 1: \"2.5\" is neither", {0}},
    {"0:local, x%:2", NULL, "phase 1: \"x%\" is neither", {0}},
    {"0:local, :2", NULL, "phase 1: \"\" is neither", {0}},
    {"0:local, 5:", NULL, "phase 1: no reach is given", {0}},
    {"0:local, 5: own=1", NULL, "phase 1: no reach is given", {0}},
    {"0:2 own=-1", NULL, "phase 0: own=-1 is no number", {0}},
    {"0:2 own=", NULL, "phase 0: own= is no number", {0}},
    {"0:@a own=1", NULL, "phase 0: own=1 is for a reach", {0}},
    {"0:1 0/0 1 own=1", NULL, "phase 0: own=1 is for a reach", {0}},
};

static void
test_dial (const struct dial_row *row)
{
  struct config_dial d;
  struct text out, words;
  int64_t first[CONFIG_PHASES] = {0};
  text_init (&out);
  enum status e = config_dial_parse (row->text, &d);
  for (int i = 0; e == OK && i < d.n; i++) {
    text_init (&words);
    config_phase_words (&d.phase[i], &words);
    config_phase_add (&d.phase[i], words.data, &out);
    text_clear (&words);
  }
  if (e == OK)
    e = config_dial_steps (&d, 1000, first);
  bool good = row->words ? e == OK && same (out.data, row->words)
                         : e == E_CONFIG && strstr (fail_message (), row->said);
  for (int i = 0; good && row->words && i < d.n; i++)
    good = first[i] == row->first[i];
  tap_ok (good, "dial \"%s\": %s", row->text,
          e == OK ? out.data : fail_message ());
  fail_clear ();
  text_clear (&out);
}

static void
test_dials (void)
{
  struct text long_one;
  struct config_dial d;
  for (size_t i = 0; i < sizeof dial_rows / sizeof *dial_rows; i++)
    test_dial (&dial_rows[i]);
  text_init (&long_one);
  for (int i = 0; i <= CONFIG_PHASES; i++)
    text_add (&long_one, "%s%d:1", i ? "," : "", i);
  tap_ok (config_dial_parse (long_one.data, &d) == E_CONFIG,
          "more than %d phases are refused", CONFIG_PHASES);
  fail_clear ();
  text_clear (&long_one);
}

static bool
equal (const struct config *a, const struct config *b)
{
#define S(f) same (a->f, b->f)
#define N(f) (a->f == b->f)
  return N (family) && S (preset) && N (block) && S (groups) && N (stem) &&
         N (stem_width) && N (count) && S (cut) && S (head) &&
         N (head_tokens) && N (border) && S (span) && N (mix) && N (own) &&
         S (route) && S (dial) && N (heads_all) && N (grow) && S (file) &&
         N (train) && N (valid) && N (test) && N (augment) && N (order) &&
         N (limit) && N (batch) && N (micro) && N (steps) && N (seed) &&
         N (eval_every) && N (epochs) && N (optimizer) && N (lr) &&
         N (momentum) && N (weight_decay) && N (beta1) && N (beta2) &&
         N (eps) && N (clip) && N (smoothing) && N (nesterov) && N (decay) &&
         N (schedule) && N (warmup) && S (milestones) && N (precision) &&
         S (init) && S (tune) && N (every) && N (keep) && N (every_seconds) &&
         N (at_end) && S (dir) && N (replicas) && N (share_optimizer) &&
         N (run_schedule) && N (trace) && N (time_margin) && N (patience) &&
         N (layers) && N (d_model) && N (heads) && N (context) &&
         N (mlp_ratio) && N (dropout) && N (tied) && N (residual_scaled) &&
         N (stride);
#undef S
#undef N
}

static void
round_trip (struct config c, const char *name)
{
  struct text out;
  struct config back;
  struct complaints said;
  text_init (&out);
  config_write (&c, &out);
  parse (out.data, NULL, &back, &said);
  if (!tap_ok (said.n == 0 && equal (&c, &back), "there and back: %s", name))
    tap_note ("%s\n%s", said.lines.data, out.data);
  text_clear (&said.lines);
  text_clear (&out);
}

static void
test_round_trips (void)
{
  static const char all[] =
      "[model]\ngroups=16x1,32x2,8x4\nblock=bottleneck\nstem=imagenet\n"
      "stem_width=24\norder=pre\n[stages]\ncount=3\ncut=3,2,rest\nhead=gap-fc\n"
      "[strategy]\nspan=2\nmix=mean\nheads=all\ngrow=0.25\n[data]\nfile=some "
      "file.h5\n"
      "train=test\nvalid=train\ntest=valid\naugment=flip+crop4\n"
      "order=sequential\nlimit=77\n[train]\nbatch=36\nmicro=3\nepochs=0.125\n"
      "seed=9007199254740993\noptimizer=adamw\nlr=0.30000000000000004\n"
      "momentum=0.1\nnesterov=yes\nweight_decay=1e-3\nbetas=0.7,0.77\n"
      "eps=1e-12\ndecay=all\nschedule=step\nwarmup=5\nmilestones=3, 9\n"
      "clip=2.5\nsmoothing=0.1\ninit=a=b#c\ntune=no\neval_every=11\n["
      "checkpoint]\nevery=4\n"
      "every_seconds=9.5\nkeep=7\nat_end=no\n[run]\ndir=a/b: c\nreplicas=2\n"
      "share_optimizer=yes\n"
      "schedule=1f1b\ntrace=yes\ntime_margin=1\npatience=2.5\n";
  static const char tokens[] =
      "[model]\nfamily=transformer\npreset=gpt2\nlayers=3\nd_model=48\n"
      "heads=6\ncontext=24\nmlp_ratio=2.5\ndropout=0.25\ntied=no\n"
      "residual=plain\n"
      "[stages]\nhead=ln-shared\nhead_tokens=0.3\nborder=rms\n[data]\nstride="
      "7\n";
  round_trip (good (tokens, NULL, NULL), "every key of a Transformer");
  round_trip (good (NULL, NULL, NULL), "defaults");
  round_trip (good (all, NULL, NULL), "every key changed");
  round_trip (good (all, "train.steps=12", "model.preset=resnet110"),
              "words on top");
  round_trip (good ("[strategy]\nspan=1,2,2,all\nown=0.1\n", NULL, NULL),
              "a reach for each stage");
  round_trip (good (all, "strategy.route=1 0 0 / 0 1 0 / 0 0 1", NULL),
              "a table by hand");
  round_trip (good (all, "strategy.dial=0:local, 30%:1,1,2 own=0.5", NULL),
              "a dial");
  struct config a = good (NULL, NULL, NULL), b = good (all, NULL, NULL);
  tap_ok (!equal (&a, &b), "the comparison can tell two apart");
  tap_ok (same (b.init, "a=b#c") && same (b.dir, "a/b: c") &&
              b.seed == 9007199254740993,
          "values arrive as written");
}

/* Longer than the line buffer of the INI library, cut at no special place. */
static void
test_long_lines (void)
{
  for (size_t n = 150; n < 1020; n += 29) {
    char word[1200] = "data.file=";
    size_t at = strlen (word);
    for (size_t i = 0; i < n; i++)
      word[at + i] = "abc d/;#=:[]x"[(i * 7 + i / 13) % 13];
    word[at + n] = '\0';
    for (char *p = word; (p = strstr (p, " ;")); p++)
      p[1] = 'y'; /* would be a comment, and is refused elsewhere */
    word[at] = word[at + n - 1] = '/';
    struct config c = good (NULL, word, NULL);
    tap_ok (same (c.file, word + at), "a value of %zu bytes", n);
    round_trip (c, "a long value");
  }
  char word[1200] = "data.file=";
  memset (word + 10, 'x', 1024);
  const char *words[] = {word, NULL};
  struct config c;
  struct complaints said;
  parse (NULL, words, &c, &said);
  tap_ok (said.n == 1 && strstr (said.lines.data, "1023"),
          "one that does not fit is refused with the limit");
  text_clear (&said.lines);
}

/* -- words of the command line ----------------------------------------------
 */

static void
test_words (void)
{
  static const struct {
    const char *word;
    bool is;
  } words[] = {{"train.batch=3", true},
               {"batch=3", true},
               {"train.init=a=b", true},
               {"conf.ini", false},
               {"runs/a=b/c.ini", false},
               {"./a=b", false},
               {"=3", false},
               {"--x=3", true},
               {"train.weight-decay=", true}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    tap_ok (config_is_word (words[i].word) == words[i].is, "%s is %s",
            words[i].word, words[i].is ? "a word" : "a path");
}

/* Nobody may forget what another value means for a run that has begun and for a
 * comparison of runs. */
static void
test_rows_say (void)
{
  size_t said = 0;
  for (size_t i = 0; i < key_count; i++)
    said += key_table[i].resume != KEY_RESUME_NOT_SAID &&
            key_table[i].report != KEY_REPORT_NOT_SAID &&
            key_named (key_table[i].full) == &key_table[i] &&
            key_at (key_table[i].offset) == &key_table[i];
  tap_ok (said == key_count, "%zu of %zu keys say what changing them means",
          said, key_count);
  tap_ok (key_resume ("model.new") == KEY_RESUME_OTHER_RUN &&
              key_resume ("run.new") == KEY_RESUME_SAME_RUN &&
              key_resume ("train.new") == KEY_RESUME_OTHER_BITS,
          "and the section of a key that is not known says it");
}

/* Words that another room has a table for are the words of that table. */
static void
test_words_of_others (void)
{
  const struct key *preset = KEY_OF (preset), *isa = KEY_OF (isa);
  int known = 0;
  for (int i = 1; i < preset->n_words; i++) {
    struct model_spec spec = {.family = MODEL_RESNET};
    known += model_spec_preset (preset->words[i], &spec) == OK;
  }
  tap_ok (known == preset->n_words - 1, "%d presets of %d are networks", known,
          preset->n_words - 1);
  /* Those of the other generations of oneDNN are there besides. */
  struct text levels;
  char *save = NULL;
  bool all = true;
  text_init (&levels);
  kern_isa_names (&levels);
  tap_ok (levels.size > 0, "levels of the kernel library: %s", levels.data);
  for (char *word = strtok_r (levels.data, " ", &save); word;
       word = strtok_r (NULL, " ", &save))
    all = all && key_choice (isa, word) >= 0;
  tap_ok (all, "each of them may be given as run.isa");
  text_clear (&levels);
  fail_clear ();
}

/* changes.c takes the default for what a version before a key did: it compares
 * it, as the table has it, with what a configuration says. */
static void
test_defaults_as_text (void)
{
  for (size_t i = 0; i < key_count; i++) {
    const struct key *k = &key_table[i];
    struct config c = {.count = 1};
    struct text is;
    if (!k->value || k->resume == KEY_RESUME_SAME_RUN) /* never told */
      continue;
    text_init (&is);
    bool set = key_set (k, k->value, &c);
    key_get (k, &c, &is);
    tap_ok (set && strcmp (is.data, k->value) == 0, "%s: %s is written so (%s)",
            k->full, k->value, is.data);
    text_clear (&is);
  }
}

int
main (void)
{
  test_rows ();
  test_defaults_as_text ();
  test_defaults ();
  test_transformer ();
  test_dials ();
  test_layers ();
  test_round_trips ();
  test_long_lines ();
  test_words ();
  test_rows_say ();
  test_words_of_others ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left on the heap");
  return tap_done ();
}
