/* main/options.c -- the command line: a table of commands, a table of options,
 * and what stands between them. */
#include "main/main.h"

#include "base/log.h"
#include "base/memory.h"
#include "report/report.h"
#include <getopt.h>
#include <string.h>

/* clang-format off */
const struct command command_table[] = {
  { "train", CMD_TRAIN, true, "train [CONFIG.ini] [section.key=value ...] [options]",
    "train a network",
    "Trains what the configuration says, and leaves a run directory with the "
    "resolved configuration, the record and checkpoints. One rank or many: "
    "ranks = replicas x pipe ranks, and the result does not depend on how the "
    "stages are folded onto the pipe ranks.", command_train },
  { "eval", CMD_EVAL, true, "eval CHECKPOINT [section.key=value ...] [options]",
    "metrics of every head of a checkpoint on a split",
    "The configuration comes from the checkpoint (or the newest checkpoint of "
    "a run directory); later words win.", command_eval },
  { "generate", CMD_GENERATE, true,
    "generate CHECKPOINT [section.key=value ...] [options]",
    "sample text from a language model",
    "Writes the prompt and what the network goes on with. CHECKPOINT may be a "
    "run directory, whose newest checkpoint is meant. The configuration comes "
    "from the checkpoint, the tokenizer from its data set file; later words "
    "win. With --head only the stages up to that head are run.",
    command_generate },
  { "plan", CMD_PLAN, false, "plan [CONFIG.ini] [section.key=value ...] [options]",
    "stages, windows, timetable, predicted time and memory; needs no MPI",
    "Shows what training would do on a number of ranks, without doing it. With "
    "--map: samples/s and memory for many numbers of stages and micro-batches, "
    "every span and order, and from how many stages on which span is ahead of "
    "end to end. With --calibrate, under MPI: measures for that.",
    command_plan },
  { "verify", CMD_VERIFY, true, "verify [CHECK] | verify CONFIG.ini [section.key=value ...]",
    "self-check on this machine",
    "Runs small checks (gradients, equal bits for every folding, ...) and "
    "leaves with 0 or at the first difference. With a configuration: compares "
    "every kernel that its network may use with plain arithmetic.",
    command_verify },
  { "compare", CMD_COMPARE, false, "compare RUN RUN [options]",
    "two runs: where they first differ, and what differs between them",
    "Tells after which step and in which stage two run directories first differ "
    "(by the digests of weights in metrics.csv, see run.digests, by losses, and "
    "by checkpoints), and what is not the same about them: settings, data, "
    "program, libraries, processors, ranks. Leaves with 0 where they are equal "
    "as far as both have recorded, with 1 where they differ.",
    command_compare },
  { "import", CMD_IMPORT, false, "import KIND [INPUT...] [key=value ...] -o FILE",
    "make a data set file",
    "Reads a data set in its official form and writes one file. A word "
    "key=value sets an option of the kind.", command_import },
  { "info", CMD_INFO, false, "info PATH [options]",
    "what is in a data set, a checkpoint or a run directory",
    "Prints the header of a data set or checkpoint; for a run directory its "
    "history (starts, resumes with their receipts, stops, steps lost, time) and "
    "its newest checkpoint.", command_info },
  { "probe", CMD_PROBE, true,
    "probe CHECKPOINT... [section.key=value ...] [options]",
    "linear probes, spectra and similarity of stage outputs",
    "Computes the outputs of every stage on a split, and from them, with "
    "ScaLAPACK over all ranks: how well a linear classifier does on each, the "
    "spectrum of its covariance, and the similarity (linear CKA) of all stages "
    "of all checkpoints. Of language models positions are samples, and the next "
    "token is predicted, in bits. A checkpoint may be a run directory: its newest one. "
    "Results go to probe/ in the run directory of the first.", command_probe },
  { "sweep", CMD_SWEEP, false, "sweep FILE [list|check|run|submit|table|dir] [...]",
    "expand a sweep file and run its parts",
    "A sweep file crosses values of the configuration; interlock(5) has its "
    "grammar. list (default): the runs and how far each is. check: everything "
    "that can be found wrong before a job runs. run I: trains run I, a number "
    "from 1 or an id, under MPI; run --missing: one after the other, those that "
    "are not finished. submit: gives those to sbatch, as job arrays; words "
    "behind -- go to sbatch. table: the last accuracy of every head. dir I: the "
    "run directory of I.", command_sweep },
  { "report", CMD_REPORT, false, "report RUN... [options]",
    "tables and pictures from runs",
    "Compares runs at equal samples, executed operations, wall time and "
    "core-hours: by accuracy, language models by loss. A RUN is a run directory "
    "or a folder of them; runs that differ in their seed alone are a group, with "
    "mean, deviation and confidence. "
    "Writes one HTML page that needs nothing else, or a text, or one table. Runs "
    "that differ in more than network, stages and strategy are refused.",
    command_report },
};
const size_t command_count = sizeof command_table / sizeof *command_table;

enum { /* options without a short form */
  OPT_VERSION = 256, OPT_DUMP, OPT_THREADS, OPT_SPLIT, OPT_RANKS, OPT_COLUMNS,
  OPT_UNIT, OPT_MEASURE, OPT_LIST, OPT_CHECK, OPT_RESUME, OPT_CSV,
  OPT_TOKENIZER, OPT_VOCAB, OPT_MODEL, OPT_PROMPT, OPT_TOKENS, OPT_HEAT,
  OPT_TOP_K, OPT_SEED, OPT_HEAD,
  OPT_TEXT, OPT_LATEX, OPT_TABLE,
  OPT_UNLIKE, OPT_ACCURACY, OPT_LOSS,
  OPT_SAMPLES, OPT_FEATURES, OPT_CLASSES, OPT_DOUBLE, OPT_GRID, OPT_BLOCK,
  OPT_MEMORY, OPT_FORCE, OPT_SKIP_BAD
};

const struct flag flag_table[] = {
  { "split", OPT_SPLIT, "NAME", CMD_EVAL | CMD_PROBE | CMD_SWEEP | CMD_REPORT,
    "which split: train, valid or test; default: valid; of a sweep's table: "
    "test, or valid where there is none" },
  { "samples", OPT_SAMPLES, "N", CMD_PROBE,
    "the first N of the split; of tokens N positions, drawn; default: 10000, "
    "or all where there are fewer" },
  { "features", OPT_FEATURES, "KIND", CMD_PROBE,
    "pooled: means over height and width (default); maps: whole maps" },
  { "classes", OPT_CLASSES, "N", CMD_PROBE,
    "of tokens: the N - 1 most frequent next tokens, and all others; default "
    "256" },
  { "double", OPT_DOUBLE, NULL, CMD_PROBE, "double precision; default: single" },
  { "grid", OPT_GRID, "RxC", CMD_PROBE,
    "ranks in rows and columns; default: as square as they allow" },
  { "block", OPT_BLOCK, "N", CMD_PROBE,
    "rows and columns of a block; default: chosen by size" },
  { "memory", OPT_MEMORY, "GB", CMD_PROBE | CMD_PLAN,
    "what matrices may take on a rank; default: what the machine has left; of "
    "a map: leave out what needs more on a rank; default: no limit" },
  { "missing", OPT_MISSING, NULL, CMD_SWEEP,
    "run: all that are neither finished nor under way" },
  { "map", OPT_MAP, NULL, CMD_PLAN,
    "where which span and order is fastest: a table over stages, micro-batches "
    "and spans" },
  { "stages", OPT_STAGES, "LIST", CMD_PLAN,
    "of a map: numbers of stages; default: 2,4,8,16,32,64,128,256,512,1024" },
  { "micro", OPT_MICRO, "LIST", CMD_PLAN,
    "of a map or calibration: numbers of micro-batches; default: those of "
    "1,2,4,8 that divide the batch" },
  { "spans", OPT_SPANS, "LIST", CMD_PLAN,
    "of a map: 1 to 32, or all; default: 1,2,3,all" },
  { "ahead", OPT_AHEAD, "PERCENT", CMD_PLAN,
    "of a map: tell from how many stages on a span is so much faster than end "
    "to end; default: 10" },
  { "latency", OPT_LATENCY, "TIME", CMD_PLAN,
    "of a message, such as 2us; default: as calibrated, else 20us" },
  { "bandwidth", OPT_BANDWIDTH, "RATE", CMD_PLAN,
    "of a link, one way, such as 10GB/s; default: as calibrated, else 5GB/s" },
  { "costs", OPT_COSTS, "FILE", CMD_PLAN,
    "blocks and messages as --calibrate measured them" },
  { "calibrate", OPT_CALIBRATE, "FILE", CMD_PLAN,
    "under mpirun or srun: measure blocks and messages, and write them" },
  { "csv", OPT_CSV_FILE, "FILE", CMD_PLAN,
    "of a map: every cell as comma-separated lines" },
  { "svg", OPT_SVG, "FILE", CMD_PLAN, "of a map: a picture" },
  { "csv", OPT_CSV, NULL, CMD_SWEEP | CMD_REPORT,
    "a table as comma-separated lines" },
  { "latex", OPT_LATEX, NULL, CMD_REPORT, "a table for LaTeX (booktabs)" },
  { "text", OPT_TEXT, NULL, CMD_REPORT, "all tables for the terminal" },
  { "table", OPT_TABLE, "NAME", CMD_REPORT,
    "--csv, --latex: which table: compare (default), cost, heads, time, "
    "probe, cka, agreement or "
    "runs" },
  { "accuracy", OPT_ACCURACY, "PERCENT", CMD_REPORT,
    "ask for the time to this accuracy; default: the highest that all runs "
    "reach" },
  { "loss", OPT_LOSS, "VALUE", CMD_REPORT,
    "of language models: the same for a loss, in bits/byte, or in nats/token "
    "where runs do not tell bits; default: the lowest that all reach" },
  { "unlike", OPT_UNLIKE, NULL, CMD_REPORT,
    "compare runs that differ in data, batch, schedule, ... as well" },
  { "pack", OPT_PACK, "N", CMD_SWEEP,
    "submit: N runs side by side in one job; default: the file's, else 1" },
  { "at-once", OPT_AT_ONCE, "N", CMD_SWEEP,
    "submit: at most N jobs of an array at once; default: the file's, else no "
    "limit" },
  { "dry-run", OPT_DRY_RUN, NULL, CMD_SWEEP,
    "submit: print the commands only" },
  { "script", OPT_SCRIPT, "FILE", CMD_SWEEP,
    "submit: the job script; default: sweep.sbatch, beside the sweep file or in "
    "jobs/" },
  { "fresh", OPT_FRESH, "[=NAME]", CMD_TRAIN | CMD_SWEEP,
    "begin anew: what an earlier run has left in the run directory is moved to "
    "old-1, old-2, ... in it, once the new one is accepted; of a sweep: for run "
    "I. A job that Slurm has started again goes on where it has done so before; "
    "with =NAME (for scripts that try again) whoever comes under that name does" },
  { "dump", OPT_DUMP, "STEP,STAGE,WHAT", CMD_TRAIN,
    "write a tensor of one step and stage to the run directory" },
  { "ranks", OPT_RANKS, "N", CMD_PLAN,
    "plan for N ranks; default: one for each stage and replica" },
  { "columns", OPT_COLUMNS, "N", CMD_PLAN,
    "characters of a line of the timetable; default 100" },
  { "unit", OPT_UNIT, NULL, CMD_PLAN,
    "forward, data gradient and weight gradient cost 1 each" },
  { "measure", OPT_MEASURE, NULL, CMD_PLAN,
    "measure the blocks on this machine" },
  { "list", OPT_LIST, NULL, CMD_PLAN,
    "print every operation of every rank" },
  { "output", 'o', "FILE", CMD_IMPORT | CMD_REPORT | CMD_PROBE,
    "the file to write; of a probe: the directory; of a report: report.html, or the terminal for --text, "
    "--csv and --latex" },
  { "tokenizer", OPT_TOKENIZER, "NAME", CMD_IMPORT,
    "of text: bytes (default) or sentencepiece" },
  { "vocab", OPT_VOCAB, "N", CMD_IMPORT,
    "sentencepiece: pieces to find, default 8192; tokens: how many there are" },
  { "model", OPT_MODEL, "FILE", CMD_IMPORT,
    "sentencepiece: use this model instead of making one" },
  { "force", OPT_FORCE, NULL, CMD_IMPORT,
    "replace a file that is there under the name of -o" },
  { "skip-bad", OPT_SKIP_BAD, NULL, CMD_IMPORT,
    "of folder: go on without images that do not decode, which are named" },
  { "prompt", OPT_PROMPT, "TEXT", CMD_GENERATE,
    "text to begin with; default: an empty line" },
  { "tokens", OPT_TOKENS, "N", CMD_GENERATE,
    "tokens to add; default 200" },
  { "temperature", OPT_HEAT, "X", CMD_GENERATE,
    "1 (default): as the network says; lower: likelier; 0: the likeliest" },
  { "top-k", OPT_TOP_K, "N", CMD_GENERATE,
    "draw from the N likeliest tokens only; default 0: from all" },
  { "seed", OPT_SEED, "N", CMD_GENERATE | CMD_PROBE,
    "the same seed draws the same text, or parts and positions; default 1" },
  { "head", OPT_HEAD, "H", CMD_GENERATE,
    "ask head H, behind stage H; default: the last" },
  { "resume", OPT_RESUME, NULL, CMD_VERIFY,
    "the check of stopping and going on alone; as verify resume" },
  { "check", OPT_CHECK, NULL, CMD_INFO, "read every byte and compare digests" },
  { "threads", OPT_THREADS, "N",
    CMD_TRAIN | CMD_EVAL | CMD_SWEEP | CMD_GENERATE | CMD_PROBE,
    "threads of each rank; default: OMP_NUM_THREADS, else the cores there are" },
  { "quiet", 'q', NULL, CMD_ALL & ~CMD_LATER, "errors and warnings only" },
  { "verbose", 'v', NULL, CMD_ALL & ~CMD_LATER, "more messages" },
  { "help", 'h', NULL, CMD_ALL, "this text" },
  { "version", OPT_VERSION, NULL, CMD_ALL, "versions of program and libraries" },
};
/* clang-format on */
const size_t flag_count = sizeof flag_table / sizeof *flag_table;

#define FLAGS 64 /* room for flag_count */

struct parse {
  struct options *o;
  struct text lines; /* complaints */
};

/* -- values of options ------------------------------------------------------
 */

static void
number (struct parse *p, const char *name, const char *value, int64_t low,
        int64_t high, int *out)
{
  int64_t n;
  if (text_to_long (value, &n) && n >= low && n <= high)
    *out = (int)n;
  else
    text_add (&p->lines, "--%s %s: wanted an integer from %lld to %lld\n", name,
              value, (long long)low, (long long)high);
}

static void
features (struct parse *p, const char *value)
{
  int which = words_find ("pooled maps", value, NULL);
  if (which < 0)
    text_add (&p->lines, "--features %s: wanted pooled or maps\n", value);
  p->o->probe.maps = which == 1;
}

static void
grid (struct parse *p, const char *value)
{
  int n = 0;
  if (sscanf (value, "%5dx%5d%n", &p->o->probe.rows, &p->o->probe.cols, &n) !=
          2 ||
      value[n] != '\0' || p->o->probe.rows < 1 || p->o->probe.cols < 1)
    text_add (&p->lines, "--grid %s: wanted rows x columns, such as 2x3\n",
              value);
}

static void
memory (struct parse *p, const char *value)
{
  double gigabytes;
  if (text_to_double (value, &gigabytes) && gigabytes > 0)
    p->o->probe.memory_bytes = gigabytes * 1e9;
  else
    text_add (&p->lines, "--memory %s: wanted gigabytes, more than 0\n", value);
}

static void
split (struct parse *p, const char *value)
{
  char near[CONFIG_WORD] = "";
  if (words_find ("train valid test", value, near) >= 0)
    p->o->split = value;
  else
    text_add (&p->lines, "--split %s: wanted train, valid or test%s%s%s\n",
              value, near[0] ? "; did you mean " : "", near,
              near[0] ? "?" : "");
}

/* An option that says the same as a word key=value. */
static void
make_word (struct parse *p, const char *key, const char *value)
{
  struct options *o = p->o;
  int room = (int)sizeof o->made[0];
  if (o->n_made == 5) {
    text_add (&p->lines, "--%s %s: given before\n", key, value);
    return;
  }
  char *word = o->made[o->n_made++];
  if (snprintf (word, (size_t)room, "%s=%s", key, value) >= room)
    text_add (&p->lines, "--%s: more than %d characters\n", key, CONFIG_PATH);
  else
    o->words[o->n_words++] = word;
}

static void
long_number (struct parse *p, const char *name, const char *value, int64_t most,
             int64_t *out)
{
  int64_t n;
  if (text_to_long (value, &n) && n >= 0 && n <= most)
    *out = n;
  else
    text_add (&p->lines, "--%s %s: wanted an integer from 0 to %lld\n", name,
              value, (long long)most);
}

static void
heat (struct parse *p, const char *value)
{
  double v;
  if (text_to_double (value, &v) && v >= 0 && v <= 1000)
    p->o->generate.temperature = v;
  else
    text_add (&p->lines, "--temperature %s: wanted a number from 0 to 1000\n",
              value);
}

static void
take_generate (struct parse *p, int letter, const char *value)
{
  struct run_generate *g = &p->o->generate;
  switch (letter) {
  case OPT_PROMPT:
    g->prompt = value;
    break;
  case OPT_TOKENS:
    long_number (p, "tokens", value, 1 << 30, &g->tokens);
    break;
  case OPT_HEAT:
    heat (p, value);
    break;
  case OPT_TOP_K:
    long_number (p, "top-k", value, 1 << 30, &g->top_k);
    break;
  case OPT_SEED:
    long_number (p, "seed", value, INT64_MAX, &g->seed);
    break;
  case OPT_HEAD:
    number (p, "head", value, 0, 63, &g->head);
    break;
  default:
    CHECK (false, "option %d has no meaning", letter);
  }
}

static void
table (struct parse *p, const char *value)
{
  char near[CONFIG_WORD] = "";
  if (words_find (report_tables (), value, near) >= 0)
    p->o->table = value;
  else
    text_add (&p->lines, "--table %s: wanted one of %s%s%s%s\n", value,
              report_tables (), near[0] ? "; did you mean " : "", near,
              near[0] ? "?" : "");
}

static void
accuracy (struct parse *p, const char *value)
{
  double percent;
  if (text_to_double (value, &percent) && percent > 0 && percent <= 100)
    p->o->accuracy = percent / 100;
  else
    text_add (&p->lines,
              "--accuracy %s: wanted a number above 0 and at most 100\n",
              value);
}

static void
loss (struct parse *p, const char *value)
{
  if (!text_to_double (value, &p->o->loss) || !(p->o->loss > 0) ||
      !(p->o->loss <= 1e6))
    text_add (&p->lines,
              "--loss %s: wanted a number above 0 and at most 1000000\n",
              value);
}

static void
take_probe (struct parse *p, int letter, const char *value)
{
  struct options *o = p->o;
  switch (letter) {
  case OPT_SAMPLES:
    number (p, "samples", value, 10, 1 << 30, &o->probe.samples);
    break;
  case OPT_FEATURES:
    features (p, value);
    break;
  case OPT_CLASSES:
    number (p, "classes", value, 2, 1 << 16, &o->probe.classes);
    break;
  case OPT_DOUBLE:
    o->probe.wide = true;
    break;
  case OPT_GRID:
    grid (p, value);
    break;
  case OPT_BLOCK:
    number (p, "block", value, 1, 4096, &o->probe.block);
    break;
  case OPT_MEMORY:
    memory (p, value);
    break;
  default:
    take_generate (p, letter, value);
  }
}

static void
take_option (struct parse *p, int letter, const char *value)
{
  struct options *o = p->o;
  switch (letter) {
  case 'h':
    o->help = true;
    break;
  case 'q':
    log_level_set (LOG_WARN);
    break;
  case 'v':
    log_level_set (LOG_DEBUG);
    break;
  case 'o':
    o->output = value;
    break;
  case OPT_VERSION:
    o->version = true;
    break;
  case OPT_DUMP:
    o->dump = value;
    break;
  case OPT_SPLIT:
    split (p, value);
    break;
  case OPT_THREADS:
    number (p, "threads", value, 1, 4096, &o->threads);
    break;
  case OPT_RANKS:
    number (p, "ranks", value, 1, 1 << 20, &o->ranks);
    break;
  case OPT_COLUMNS:
    number (p, "columns", value, 20, 10000, &o->columns);
    break;
  case OPT_UNIT:
    o->unit = true;
    break;
  case OPT_MEASURE:
    o->measure = true;
    break;
  case OPT_LIST:
    o->list = true;
    break;
  case OPT_RESUME:
    o->kind = "resume";
    break;
  case OPT_CHECK:
    o->check = true;
    break;
  case OPT_TOKENIZER:
    make_word (p, "tokenizer", value);
    break;
  case OPT_VOCAB:
    make_word (p, "vocab", value);
    break;
  case OPT_MODEL:
    make_word (p, "model", value);
    break;
  case OPT_SKIP_BAD:
    make_word (p, "skip-bad", "yes");
    break;
  case OPT_FORCE:
    make_word (p, "force", "yes");
    break;
  case OPT_CSV:
    o->csv = true;
    break;
  case OPT_TEXT:
    o->text = true;
    break;
  case OPT_LATEX:
    o->latex = true;
    break;
  case OPT_UNLIKE:
    o->unlike = true;
    break;
  case OPT_TABLE:
    table (p, value);
    break;
  case OPT_ACCURACY:
    accuracy (p, value);
    break;
  case OPT_LOSS:
    loss (p, value);
    break;
  default:
    if (letter >= OPT_FRESH)
      sweep_option (o, letter, value, &p->lines);
    else if (letter >= OPT_MAP)
      map_option (o, letter, value, &p->lines);
    else
      take_probe (p, letter, value);
  }
}

/* -- options that are none --------------------------------------------------
 */

static void
unknown (struct parse *p, unsigned bit, const char *word)
{
  const char *names[FLAGS];
  size_t n = 0;
  for (size_t i = 0; i < flag_count; i++)
    if (flag_table[i].commands & bit)
      names[n++] = flag_table[i].name;
  char name[CONFIG_WORD] = "";
  size_t length = strcspn (word, "=");
  while (length > 0 && *word == '-') {
    word++;
    length--;
  }
  if (length < sizeof name)
    memcpy (name, word, length);
  const char *near = text_nearest (name, names, n);
  text_add (&p->lines, "--%.*s is not an option of %s%s%s%s\n", (int)length,
            word, p->o->command->name, near ? "; did you mean --" : "",
            near ? near : "", near ? "?" : "");
}

static void
read_options (struct parse *p, int argc, char **argv, unsigned bit)
{
  struct option list[FLAGS] = {0};
  char letters[2 * FLAGS + 2] = ":";
  size_t n = 0, end = 1;
  CHECK (flag_count < FLAGS, "room for %d options only", FLAGS);
  for (size_t i = 0; i < flag_count; i++) {
    const struct flag *f = &flag_table[i];
    if (!(f->commands & bit))
      continue;
    int wants = !f->argument            ? no_argument
                : f->argument[0] == '[' ? optional_argument
                                        : required_argument;
    list[n++] = (struct option){f->name, wants, NULL, f->letter};
    if (f->letter < 256) {
      letters[end++] = (char)f->letter;
      if (f->argument)
        letters[end++] = ':';
    }
  }
  letters[end] = '\0';
  opterr = 0;
  optind = 0; /* start anew: tests parse more than once */
  for (int c; (c = getopt_long (argc, argv, letters, list, NULL)) != -1;) {
    const char *word = argv[optind - 1];
    if (c == ':')
      text_add (&p->lines, "%s wants an argument\n", word);
    else if (c == '?' && optopt > 0 && optopt < 256)
      text_add (&p->lines, "-%c is not an option of %s\n", optopt,
                p->o->command->name);
    else if (c == '?')
      unknown (p, bit, word);
    else
      take_option (p, c, optarg);
  }
}

/* -- what is not an option --------------------------------------------------
 */

static void
take_path (struct parse *p, const char *word)
{
  if (p->o->path)
    text_add (&p->lines, "%s: there is already %s\n", word, p->o->path);
  else
    p->o->path = word;
}

static void
take_word (struct parse *p, unsigned bit, const char *word)
{
  struct options *o = p->o;
  bool assigns = config_is_word (word);
  if (bit & CMD_IMPORT) {
    if (!o->kind)
      o->kind = word;
    else if (assigns)
      o->words[o->n_words++] = word;
    else
      o->inputs[o->n_inputs++] = word;
  } else if (bit & CMD_VERIFY) {
    if (assigns)
      o->words[o->n_words++] = word;
    else if (o->kind || o->path)
      text_add (&p->lines, "%s: verify takes one check or configuration\n",
                word);
    else if (strpbrk (word, "./")) /* no check has one in its name */
      o->path = word;
    else
      o->kind = word;
  } else if (bit & CMD_SWEEP) {
    if (!o->path)
      o->path = word;
    else if (!o->kind)
      o->kind = word;
    else if (assigns)
      o->words[o->n_words++] = word;
    else
      o->inputs[o->n_inputs++] = word;
  } else if (bit & (CMD_REPORT | CMD_COMPARE))
    o->inputs[o->n_inputs++] = word;
  else if (bit & CMD_INFO)
    take_path (p, word);
  else if (assigns)
    o->words[o->n_words++] = word;
  else if (bit & CMD_PROBE && o->path)
    o->inputs[o->n_inputs++] = word;
  else
    take_path (p, word);
}

static void
check_present (struct parse *p, unsigned bit)
{
  if (bit & CMD_SWEEP)
    sweep_options_check (p->o, &p->lines);
  const struct options *o = p->o;
  if (bit & CMD_IMPORT && !o->kind)
    text_add (&p->lines, "import wants a kind: `interlock import --help` lists "
                         "them\n");
  if (bit & CMD_IMPORT && !o->output)
    text_add (&p->lines, "import wants -o FILE\n");
  if (bit & CMD_EVAL && !o->path)
    text_add (&p->lines, "eval wants a checkpoint or a run directory\n");
  if (bit & CMD_GENERATE && !o->path)
    text_add (&p->lines, "generate wants a checkpoint or a run directory\n");
  if (bit & CMD_PROBE && !o->path)
    text_add (&p->lines, "probe wants a checkpoint or a run directory\n");
  if (bit & CMD_INFO && !o->path)
    text_add (&p->lines, "info wants a file or a run directory\n");
  if (bit & CMD_REPORT && o->n_inputs == 0)
    text_add (&p->lines, "report wants run directories\n");
  if (bit & CMD_COMPARE && o->n_inputs != 2)
    text_add (&p->lines, "compare wants two run directories\n");
  if (o->text + o->latex + (o->csv && bit & CMD_REPORT) > 1)
    text_add (&p->lines, "--text, --csv and --latex exclude each other\n");
  if (o->accuracy > 0 && o->loss > 0)
    text_add (&p->lines, "--accuracy and --loss exclude each other\n");
  if (o->table && !o->csv && !o->latex)
    text_add (&p->lines, "--table wants --csv or --latex\n");
  if (bit & CMD_PLAN)
    map_options_check (p->o, &p->lines);
  if (o->unit && o->measure)
    text_add (&p->lines, "--unit and --measure exclude each other\n");
}

/* -- the whole --------------------------------------------------------------
 */

static const struct command *
find_command (struct parse *p, const char *word)
{
  const char *names[16];
  size_t n = 0;
  for (size_t i = 0; i < command_count; i++) {
    if (strcmp (command_table[i].name, word) == 0)
      return &command_table[i];
    names[n++] = command_table[i].name;
  }
  const char *near = text_nearest (word, names, n);
  text_add (&p->lines,
            "%s is not a command%s%s%s; `interlock --help` lists "
            "them\n",
            word, near ? "; did you mean " : "", near ? near : "",
            near ? "?" : "");
  return NULL;
}

/* Without a command there are two options only. */
static void
read_alone (struct parse *p, int argc, char **argv)
{
  if (argc < 2)
    text_add (&p->lines, "a command is missing; `interlock --help` lists "
                         "them\n");
  else if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0)
    p->o->help = true;
  else if (strcmp (argv[1], "--version") == 0)
    p->o->version = true;
  else
    text_add (&p->lines,
              "%s before the command; `interlock --help` shows how "
              "to call\n",
              argv[1]);
}

static void
read_command (struct parse *p, int argc, char **argv)
{
  struct options *o = p->o;
  unsigned bit = o->command->bit;
  /* getopt would drop the -- and mix what is behind it with the rest. */
  for (int i = 1; bit & CMD_SWEEP && i < argc; i++)
    if (strcmp (argv[i], "--") == 0) {
      o->rest = (const char *const *)argv + i + 1;
      o->n_rest = argc - i - 1;
      argc = i;
    }
  read_options (p, argc - 1, argv + 1, bit);
  for (int i = 1 + optind; i < argc; i++)
    take_word (p, bit, argv[i]);
  if (o->help || o->version)
    text_clear (&p->lines); /* who asks for help gets it */
  else if (!o->command->work) {
    text_clear (&p->lines);
    text_add (&p->lines, "%s is not in this version\n", o->command->name);
  } else
    check_present (p, bit);
}

enum status
options_parse (int argc, char **argv, struct options *o)
{
  struct parse p = {.o = o};
  enum status s = OK;
  *o = (struct options){.columns = 100,
                        .map = {.latency_s = -1, .ahead = -1},
                        .generate = {.prompt = "\n",
                                     .tokens = 200,
                                     .temperature = 1,
                                     .seed = 1,
                                     .head = -1}};
  text_init (&p.lines);
  TRY (MEM_NEW ((size_t)argc + 1, &o->words, "words"));
  TRY (MEM_NEW ((size_t)argc + 1, &o->inputs, "inputs"));
  if (argc < 2 || argv[1][0] == '-')
    read_alone (&p, argc, argv);
  else {
    o->command = find_command (&p, argv[1]);
    if (o->command)
      read_command (&p, argc, argv);
  }
  if (p.lines.size > 0) {
    p.lines.data[p.lines.size - 1] = '\0';
    bool several = strchr (p.lines.data, '\n') != NULL;
    s = fail (E_USAGE, "%s%s", several ? "several things are wrong:\n" : "",
              p.lines.data);
  }
  text_clear (&p.lines);
  return s;
}

void
options_clear (struct options *o)
{
  mem_free (&o->words);
  mem_free (&o->inputs);
}

void
options_config (const struct options *o, struct config *c)
{
  c->threads = o->threads;
  c->force_threads = o->threads > 0;
  c->fresh = o->fresh;
  snprintf (c->fresh_by, sizeof c->fresh_by, "%s",
            o->fresh_by ? o->fresh_by : "");
}
