/* ranks: 0 */
/* tests/main/badinput.c -- every wrong input ends with its code and one clear
 * message on stderr, and leaves nothing on stdout.
 *
 * A table of command lines, run through the shell with the program of
 * $INTERLOCK; $M in a row is the launcher for 7 ranks, $I the program, and the
 * working directory holds the files made below.  Many starts of the program:
 * limit: 400
 */
#include "tests/scratch.h"
#include "tests/tap.h"
#include <hdf5.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAY 4

struct row {
  const char *line; /* of the shell */
  int code;
  const char *say[SAY]; /* parts of stderr */
};

/* A network that is quick to make, and its short training. */
#define SMALL "model.groups=8x1,16x1 stages.count=2 stages.head=gap-fc "
#define QUICK \
  SMALL "data.file=good.h5 train.batch=8 train.steps=1 train.tune=no "

/* A language model that is quick to make. */
#define LANGUAGE                                                           \
  "model.family=transformer model.layers=1 model.d_model=8 model.heads=2 " \
  "model.context=8 stages.count=2 train.batch=2 train.steps=1 run.dir=lm "

/* -- files ------------------------------------------------------------------
 */

static void
put_file (const char *name, const char *text)
{
  FILE *f = fopen (name, "w");
  if (!f || fputs (text, f) < 0 || fclose (f) != 0)
    tap_bail ("cannot write a file");
}

static void
slurp (const char *name, char *out, size_t size)
{
  FILE *f = fopen (name, "r");
  size_t n = f ? fread (out, 1, size - 1, f) : 0;
  out[n] = '\0';
  if (f)
    fclose (f);
}

static void
make_configurations (void)
{
  put_file ("two.ini", "[train]\nbacth = 3\n\n[strategy]\nmix = men\n");
  put_file ("section.ini", "[modle]\npreset = resnet20\n");
  put_file ("value.ini", "[train]\noptimizer = sdg\n");
  put_file ("garbage.ini", "[train]\nbatch 64\n");
  put_file ("good.ini", "[model]\ngroups = 8x1,16x1\n[stages]\ncount = 2\n");
  put_file ("garbage.h5", "this is not HDF5, and long enough to look at twice, "
                          "three times or more\n");
  FILE *f = fopen ("binary.ini", "w");
  if (!f || fwrite ("[train]\n\0batch = 3\n", 1, 19, f) != 19 || fclose (f))
    tap_bail ("cannot write a file");
}

/* Files of others have no digests, by which a change would be noticed first. */
static bool
unseal (hid_t object)
{
  htri_t sealed = H5Aexists (object, "digest");
  return sealed == 0 || (sealed > 0 && H5Adelete (object, "digest") >= 0);
}

/* A data set with one thing changed: value number i of a dataset. */
static void
make_changed (const char *from, const char *name, const char *path, hsize_t i,
              int value)
{
  char command[256];
  snprintf (command, sizeof command, "cp %s %s && chmod u+w %s", from, name,
            name);
  bool good = system (command) == 0;
  hid_t file = H5Fopen (name, H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t set = H5Dopen2 (file, path, H5P_DEFAULT);
  hid_t space = H5Dget_space (set);
  hsize_t one = 1;
  hid_t memory = H5Screate_simple (1, &one, NULL);
  good =
      good && file >= 0 && set >= 0 && unseal (file) && unseal (set) &&
      H5Sselect_hyperslab (space, H5S_SELECT_SET, &i, NULL, &one, NULL) >= 0 &&
      H5Dwrite (set, H5T_NATIVE_INT, memory, space, H5P_DEFAULT, &value) >= 0;
  H5Sclose (memory);
  H5Sclose (space);
  H5Dclose (set);
  if (H5Fclose (file) < 0 || !good)
    tap_bail ("cannot change a data set");
}

/* A data set of 4x4 images by hand, independent of the importers. */
static void
attribute (hid_t file, const char *name, hid_t type, hsize_t n,
           const void *value)
{
  hid_t space = n ? H5Screate_simple (1, &n, NULL) : H5Screate (H5S_SCALAR);
  hid_t a = H5Acreate2 (file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  if (a < 0 || H5Awrite (a, type, value) < 0)
    tap_bail ("cannot write an attribute");
  H5Aclose (a);
  H5Sclose (space);
}

static void
dataset (hid_t group, const char *name, int rank, const hsize_t *dims)
{
  unsigned char zeros[8 * 3 * 4 * 4] = {0};
  hid_t space = H5Screate_simple (rank, dims, NULL);
  hid_t d = H5Dcreate2 (group, name, H5T_STD_U8LE, space, H5P_DEFAULT,
                        H5P_DEFAULT, H5P_DEFAULT);
  if (H5Dwrite (d, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) < 0)
    tap_bail ("cannot write a dataset");
  H5Dclose (d);
  H5Sclose (space);
}

static void
make_tiny (const char *name)
{
  static const char *const groups[] = {"train", "valid", "test"};
  const char *classes[] = {"a", "b"};
  const float mean[3] = {0}, std[3] = {1, 1, 1};
  const hsize_t dims[4] = {8, 3, 4, 4};
  int version = 1;
  hid_t file = H5Fcreate (name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t text = H5Tcopy (H5T_C_S1);
  H5Tset_size (text, H5T_VARIABLE);
  attribute (file, "interlock_format", text, 0, &(const char *){"dataset"});
  attribute (file, "version", H5T_NATIVE_INT, 0, &version);
  attribute (file, "kind", text, 0, &(const char *){"images"});
  attribute (file, "name", text, 0, &(const char *){"tiny"});
  attribute (file, "origin", text, 0, &(const char *){"a test"});
  attribute (file, "classes", text, 2, classes);
  attribute (file, "mean", H5T_NATIVE_FLOAT, 3, mean);
  attribute (file, "std", H5T_NATIVE_FLOAT, 3, std);
  for (int i = 0; i < 3; i++) {
    hid_t g =
        H5Gcreate2 (file, groups[i], H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    dataset (g, "images", 4, dims);
    dataset (g, "labels", 1, dims);
    H5Gclose (g);
  }
  H5Tclose (text);
  H5Fclose (file);
}

/* A tokenizer's model by hand: 256 pieces of a byte and the separator, as
 * protocol buffers have them. */
static void
make_model (const char *name)
{
  char text[260 * 12] = "", *at = text;
  for (int i = 0; i < 256; i++)
    at += sprintf (at, "\n\n\n\006<0x%02X>\030\006", (unsigned)i);
  sprintf (at, "\n\010\n\004</s>\030\003");
  put_file (name, text);
}

/* A data set of bytes that says it is of pieces, with that model or without. */
static void
make_pieces (const char *from, const char *name, const char *model)
{
  static char text[4096];
  char command[256];
  snprintf (command, sizeof command, "cp %s %s && chmod u+w %s", from, name,
            name);
  bool good = system (command) == 0;
  hid_t file = H5Fopen (name, H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t word = H5Tcopy (H5T_C_S1);
  H5Tset_size (word, H5T_VARIABLE);
  good = good && unseal (file) && H5Adelete (file, "tokenizer") >= 0;
  attribute (file, "tokenizer", word, 0, &(const char *){"sentencepiece"});
  H5Tclose (word);
  if (model) {
    slurp (model, text, sizeof text);
    hsize_t n = strlen (text);
    hid_t space = H5Screate_simple (1, &n, NULL);
    hid_t d = H5Dcreate2 (file, "tokenizer_model", H5T_STD_U8LE, space,
                          H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    good = good && H5Dwrite (d, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                             text) >= 0;
    H5Dclose (d);
    H5Sclose (space);
  }
  if (H5Fclose (file) < 0 || !good)
    tap_bail ("cannot change a data set");
}

/* -- running ----------------------------------------------------------------
 */

/* Runs a line; its exit code, and what it wrote. */
static int
run (const char *line, char *out, char *err, size_t size)
{
  char command[2048];
  snprintf (command, sizeof command, "{ %s\n} >out 2>err </dev/null", line);
  int status = system (command);
  slurp ("out", out, size);
  slurp ("err", err, size);
  return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

/* How often word is in text. */
static int
count (const char *text, const char *word)
{
  int n = 0;
  for (const char *p = text; (p = strstr (p, word)); p++)
    n++;
  return n;
}

/* Code, words and silence as the row wants; the first of its words comes once:
 * one message, from one rank. */
static bool
holds (const struct row *r, bool complain)
{
  static char out[16384], err[16384];
  int code = run (r->line, out, err, sizeof out);
  bool good = code == r->code && out[0] == '\0' && count (err, r->say[0]) == 1;
  for (int i = 1; i < SAY && r->say[i]; i++)
    good = good && strstr (err, r->say[i]);
  if (!good && complain) {
    tap_note ("code %d, wanted %d", code, r->code);
    fprintf (stderr, "stdout: %s\nstderr: %s\n", out, err);
  }
  return good;
}

/* -- rows -------------------------------------------------------------------
 */

/* clang-format off */
static const struct row rows[] = {
  /* the command line */
  { "$I", 64, { "a command is missing" } },
  { "$I trian", 64, { "trian is not a command", "did you mean train?" } },
  { "$I --hepl", 64, { "--hepl before the command" } },
  { "$I train --treads 2", 64,
    { "--treads is not an option of train", "did you mean --threads?" } },
  { "$I train --threads", 64, { "--threads wants an argument" } },
  { "$I train --threads 0", 64, { "--threads 0: wanted an integer" } },
  { "$I info --threads 2 x", 64, { "--threads is not an option of info" } },
  { "$I plan --ranks many", 64, { "--ranks many: wanted an integer" } },
  { "$I plan --unit --measure", 64, { "exclude each other" } },
  { "$I eval x.h5 --split vaild", 64, { "did you mean valid?" } },
  { "$I eval", 64, { "eval wants a checkpoint" } },
  { "$I info", 64, { "info wants a file" } },
  { "$I info good.h5 tiny.h5", 64, { "tiny.h5: there is already good.h5" } },
  { "$I train good.ini two.ini", 64, { "two.ini: there is already good.ini" } },
  { "$I import synthetic", 64, { "import wants -o FILE" } },
  { "$I import -o x.h5", 64, { "import wants a kind" } },
  { "$I import sythetic -o x.h5", 64, { "sythetic", "synthetic" } },
  { "$I import cifar10 no-such-folder -o x.h5", 69, { "no-such-folder" } },
  { "$I import synthetic tarin=3 -o x.h5", 64, { "tarin", "train" } },
  { "$I plan --columns 5 --rnaks 3", 64,
    { "--columns 5: wanted", "--rnaks is not an option",
      "did you mean --ranks?" } },
  { "$I sweep", 64, { "sweep wants a sweep file" } },
  { "$I sweep no-such.sweep", 69, { "no-such.sweep: No such file" } },
  { "$I sweep x.sweep lsit", 64, { "sweep lsit: wanted one of", "list?" } },
  { "$I sweep x.sweep run", 64, { "wants a run", "--missing" } },
  { "$I sweep x.sweep list 3", 64, { "3: too many words for sweep list" } },
  { "$I sweep x.sweep list train.lr=1", 64, { "is for sweep run" } },
  { "$I sweep x.sweep list -- -N 3", 64, { "for sweep submit" } },
  { "$I verify everything", 64, { "everything", "gradients, foldings" } },
  /* what later versions bring */
  { "$I generate x.h5", 69, { "x.h5", "No such file" } },
  { "$I generate", 64, { "generate wants a checkpoint" } },
  { "$I generate x.h5 --temprature 1", 64, { "did you mean --temperature?" } },
  { "$I generate x.h5 --temperature -1 --top-k x --head 64", 64,
    { "--temperature -1: wanted a number", "--top-k x: wanted an integer",
      "--head 64: wanted an integer from 0 to 63" } },
  { "$I generate good.h5", 65, { "good.h5", "checkpoint" } },
  { "$I probe", 64, { "probe wants a checkpoint" } },
  { "$I probe other --classes 5; c=$?; $I --version | grep -q ^ScaLAPACK || "
    "{ echo good.h5: --classes is for tokens, labels >&2; c=64; }; exit $c", 64,
    { "good.h5: --classes is for tokens", "labels" } },
  { "$I report", 64, { "report wants run directories" } },
  { "$I import folder x -o y.h5", 69, { "x: no such folder" } },
  { "$I import folder two.ini -o y.h5", 69, { "two.ini: not a folder" } },
  { "$I import folder -o y.h5", 64, { "import folder: no input" } },
  { "$I import folder x sise=32 -o y.h5", 64, { "did you mean \"size\"?" } },
  { "$I import folder x raw=jpeg -o y.h5", 64, { "raw=jpeg", "yes or no" } },
  { "$I import folder x valid=2 -o y.h5", 64, { "valid=2", "a share" } },
  { "mkdir -p no/a no/b; $I import folder no -o y.h5", 65,
    { "no/", "no JPEG or PNG files in it" } },
  { "mkdir -p odd/train/a odd/train/b odd/val/c; touch odd/train/a/1.jpg "
    "odd/train/b/1.jpg; $I import folder odd -o y.h5", 65,
    { "odd/val/c: train has no class \"c\"" } },
  { "mkdir -p bad/a bad/b; echo text >bad/a/1.jpg; cp bad/a/1.jpg bad/b; "
    "$I import folder bad valid=0 test=0 -o y.h5 2>e; c=$?; tail -n 1 e >&2; "
    "grep -q 'bad/b/1.jpg: not a JPEG' e || c=1; $I --version | grep -q 'turbo [0-9]' || { echo bad/a/1.jpg: not a JPEG image, 2 of 2 "
    "images >&2; c=65; }; exit $c", 65, { "bad/a/1.jpg: not a JPEG image", "2 of 2 images" } },
  { "$I report talk --accuracy 9 --loss 3", 64,
    { "--accuracy and --loss exclude each other" } },
  { "$I report talk --loss 0", 64, { "--loss 0: wanted a number above 0" } },
  { "$I report talk --loss nan", 64, { "--loss nan: wanted a number" } },
  { "$I report talk --accuracy 50", 64,
    { "--accuracy: runs of language models", "--loss", "bits/byte" } },
  { "$I report other --loss 2", 64,
    { "--loss is for runs of language models", "--accuracy" } },
  { "$I import text x -o y.h5", 69, { "x: No such file" } },
  { "$I import text two.ini -o y.h5 --tokenizer byte", 64,
    { "tokenizer \"byte\"", "did you mean bytes?" } },
  { "$I import text two.ini -o y.h5 --vocab 300", 64, { "bytes", "256" } },
  { "$I import text two.ini -o y.h5 --model m", 64, { "bytes", "no model" } },
  { "$I import text two.ini -o y.h5 documents=page", 64,
    { "documents=page", "file", "line", "blank" } },
  { "$I import text two.ini -o y.h5 split=by", 64,
    { "split=by", "order", "document" } },
  { "$I import text two.ini -o y.h5 valid=0.6 test=0.6", 64,
    { "leave nothing to train on" } },
  { "$I import text two.ini -o y.h5 valid=9999", 64, { "9999", "only" } },
  { "$I import text two.ini -o y.h5 valid=-1", 64, { "valid=-1", "a share" } },
  { "$I import text two.ini -o y.h5 valid=none.txt", 69, { "none.txt" } },
  { "$I import text two.ini -o y.h5 tokeniser=bytes", 64,
    { "did you mean \"tokenizer\"?" } },
  { "$I import text -o y.h5", 64, { "no files" } },
  { ": >empty.txt; $I import text empty.txt -o y.h5", 65,
    { "empty.txt: no text to train on" } },
  { "$I import text . -o y.h5", 69, { ".: Is a directory" } },
  { "$I import text text.txt -o .", 64, { "-o .: is a directory" } },
  { "cp text.txt own.txt; $I import text own.txt -o ./own.txt; c=$?; "
    "cmp text.txt own.txt && exit $c", 64, { "-o ./own.txt is a file to read" } },
  { "$I import text text.txt valid=own.txt -o own.txt", 64,
    { "-o own.txt is a file to read" } },
  { "$I import text text.txt -o t.h5 split=document -q", 0,
    { "valid=0.1: there is no valid", "too few documents" } },
  { "$I import text text.txt -o t.h5", 64, { "-o t.h5: is there", "--force" } },
  { "$I import text text.txt -o t.h5 --force split=document -q", 0,
    { "valid=0.1: there is no valid" } },
  { "(ulimit -f 20; $I import synthetic train=2000 -o b.h5); c=$?; "
    "[ -z \"$(ls b.h5* 2>&-)\" ] && exit $c", 74, { "b.h5", "too large" } },
  { "printf 'a\\377' >b.txt; $I import text b.txt -o y.h5 --tokenizer "
    "sentencepiece --vocab 300; c=$?; command -v spm_train >/dev/null || "
    "{ echo b.txt: byte 1 UTF-8 >&2; c=65; }; exit $c", 65,
    { "b.txt: byte 1", "UTF-8" } },
  { "PATH=/ $I import text two.ini -o y.h5 --tokenizer sentencepiece", 69,
    { "spm_train is not on PATH", "apt install sentencepiece" } },
  { "printf 'no model' >m; $I import text two.ini -o y.h5 --tokenizer "
    "sentencepiece --model m; c=$?; command -v spm_encode >/dev/null || "
    "{ echo m: not a SentencePiece model >&2; c=65; }; exit $c", 65,
    { "m: not a SentencePiece model" } },
  { "$I import text text.txt -o y.h5 --tokenizer sentencepiece --vocab 99999 -q; "
    "c=$?; command -v spm_train >/dev/null || "
    "{ echo vocab=99999: pieces for only >&2; c=64; }; exit $c", 64,
    { "vocab=99999:", "pieces for", "only" } },
  { "$I import text text.txt -o y.h5 --tokenizer sentencepiece --vocab 9 -q; "
    "c=$?; command -v spm_train >/dev/null || "
    "{ echo vocab=9: single characters >&2; c=64; }; exit $c", 64,
    { "vocab=9:", "single characters" } },
  { "head -c 70000 /dev/zero | tr '\\0' x >long.txt; "
    "$I import text long.txt -o y.h5 valid=0 --tokenizer sentencepiece -q; "
    "c=$?; command -v spm_train >/dev/null || "
    "{ echo y.h5: spm_train learns from lines >&2; c=65; }; exit $c", 65,
    { "y.h5: spm_train learns from lines" } },
  { "mkdir -p bin; printf '#!/bin/sh\nexit 1\n' >bin/spm_train; "
    "chmod +x bin/spm_train; (trap '' XFSZ; ulimit -f 8; PATH=bin:$PATH "
    "$I import text text.txt -o y.h5 --tokenizer sentencepiece -q)", 74,
    { "spm_train failed, and y.h5", "cannot be written: File too large" } },
  { "cp bin/spm_train bin/spm_encode; PATH=bin:$PATH $I import text text.txt "
    "-o y.h5 --tokenizer sentencepiece --model m.model --vocab 300", 64,
    { "m.model has 257 pieces", "vocab=300 asks for others" } },
  { "echo some text | $I import text /dev/stdin -o y.h5", 64,
    { "/dev/stdin: no regular file", "valid=0" } },
  { "$I import tokens two.ini -o y.h5", 64, { "vocab=N is needed" } },
  { "$I import tokens two.ini -o y.h5 vocab=9 format=utf", 64,
    { "format=utf", "uint16", "text" } },
  { "$I import tokens two.ini -o y.h5 vocab=9 format=text", 65,
    { "two.ini: behind token 0", "is no id" } },
  { "printf '1 2 9' >ids; $I import tokens ids -o y.h5 vocab=9 format=text", 65,
    { "ids: token 2 is 9", "0 to 8" } },
  { "$I import tokens two.ini -o y.h5 vocab=70000", 64,
    { "two.ini: ids below vocab=70000", "format=uint32" } },
  { "$I train " LANGUAGE "data.file=good.h5", 64,
    { "good.h5", "images", "transformer" } },
  { "$I train " SMALL "data.file=text.h5", 64,
    { "text.h5", "tokens", "resnet" } },
  { "$I train " LANGUAGE "data.file=text.h5 model.heads=3", 64,
    { "heads", "3", "d_model" } },
  { "$I train " LANGUAGE "data.file=text.h5 model.heads=4 model.kv_heads=3", 64,
    { "model.kv_heads = 3", "model.heads = 4" } },
  { "$I train " LANGUAGE "data.file=text.h5 model.positions=rope "
    "model.heads=8", 64,
    { "model.positions = rope", "model.d_model = 8", "is 1, which is odd" } },
  { "$I train " LANGUAGE "data.file=text.h5 model.norm=rms", 64,
    { "model.norm = rms", "layernorm or rmsnorm" } },
  { "$I train " LANGUAGE "data.file=text.h5 model.kv_heads=-1", 64,
    { "model.kv_heads = -1" } },
  { "$I train " SMALL "data.file=good.h5 model.norm=rmsnorm", 64,
    { "model.norm: a ResNet has none" } },
  { "$I train " SMALL "data.file=good.h5 model.qk_norm=no", 64,
    { "model.qk_norm: a ResNet has none" } },
  { "printf '[model]\\ngroups=8x1\\nkv_heads=2\\n' >kv.ini; $I plan kv.ini",
    64, { "kv.ini:3: model.kv_heads: a ResNet has none" } },
  { "$I train " LANGUAGE "data.file=text.h5 model.context=4000", 65,
    { "/train/tokens", "context = 4000", "4001" } },
  { "$I train " LANGUAGE "data.file=text.h5 model.preset=gpt3", 64,
    { "model.preset = gpt3", "did you mean gpt2?" } },
  { "$I train " LANGUAGE "data.file=text.h5 model.preset=resnet20", 64,
    { "resnet20", "ResNet", "transformer" } },
  { "$I train " SMALL "data.file=good.h5 model.groups= model.preset=gpt2", 64,
    { "gpt2", "Transformer" } },
  { "$I train " LANGUAGE "data.file=text.h5 model.dropout=1.5", 64,
    { "model.dropout = 1.5", "0.99" } },
  { "$I train " LANGUAGE "data.file=text.h5 stages.head_tokens=0", 64,
    { "stages.head_tokens = 0" } },
  { "$I train " LANGUAGE "data.file=text.h5 stages.head=gap-fc", 64,
    { "word 1", "ln-fc" } },
  { "$I train " LANGUAGE "data.file=text.h5 stages.count=9", 64,
    { "stages.count = 9", "embedding, layers, output" } },
  { "$I train " LANGUAGE "data.file=high.h5", 65,
    { "high.h5", "/valid/tokens[3]", "token 300", "vocab_size is 256" } },
  { "$I generate talk --prompt 'nine bytes'", 64,
    { "--prompt has 10 tokens", "context of this network 8" } },
  { "$I generate talk >/dev/full", 74, { "standard output: writing failed" } },
  { "$I --version >/dev/full", 74, { "standard output: writing failed" } },
  { "$I generate talk --head 0", 64, { "--head 0", "strategy.heads" } },
  { "$I generate talk --head 2", 64, { "--head 2", "heads 0 to 1" } },
  { "$I generate talk data.file=pieces.h5", 65,
    { "pieces.h5: /tokenizer_model has 257 pieces", "vocab_size is 256" } },
  { "$I generate talk data.file=bare.h5", 65,
    { "bare.h5: /tokenizer_model is missing" } },
  { "$I generate talk --prompt '1 x' data.file=ids.h5", 64,
    { "ids.h5 holds ready ids", "0 to 8", "number 2 is none" } },
  { "mkdir -p away; cd away && $I generate ../talk", 69,
    { "text.h5: no such file", "data set of ../talk", "data.file=PATH" } },
  { "$M $I eval talk data.file=nosuch.h5", 69, { "nosuch.h5: no such file" } },
  { "$I generate talk --prompt '1 2' data.file=ids.h5", 65,
    { "transformer.wte.weight", "[9, 8]", "[256, 8]" } },
  { "$I generate other", 64, { "ResNet generates no text" } },
  { "$I eval talk data.file=good.h5", 64,
    { "good.h5", "images", "transformer" } },
  { "$M $I generate talk", 64, { "7 ranks for 2 stages" } },
  { "$I plan train.precision=f32-bf16", 64,
    { "train.precision = f32-bf16 is not in" } },
  { "$I train " QUICK "data.augment=imagenet", 64,
    { "data.augment = imagenet", "good.h5 has no JPEG images" } },
  /* configurations */
  { "$I plan two.ini", 64,
    { "two.ini:2: [train] has no key bacth; did you mean train.batch?",
      "two.ini:5: strategy.mix = men", "did you mean mean?" } },
  { "$I plan two.ini train.batch=10 train.micro=3", 64,
    { "two.ini:2:", "two.ini:5:", "does not divide" } },
  { "$I plan section.ini", 64,
    { "section.ini:1: [modle] is not a section", "did you mean [model]?" } },
  { "$I plan value.ini", 64, { "value.ini:2: train.optimizer = sdg", "did you mean sgd?" } },
  { "$I plan garbage.ini", 64, { "garbage.ini:2: neither" } },
  { "$I plan binary.ini", 64, { "binary.ini: not a text file" } },
  { "$I plan missing.ini", 69, { "missing.ini" } },
  { "$I plan .", 64, { ". is a directory" } },
  { "$I plan model.preset=resnet33", 64, { "did you mean resnet3" } },
  { "$I plan model.groups=16x3,oops", 64, { "oops" } },
  { "$I plan strategy.span=5", 64, { "strategy.span = 5", "4" } },
  { "$I plan strategy.span=locl", 64, { "did you mean local?" } },
  { "$I plan stages.head=conv64-gap", 64, { "conv64-gap" } },
  { "$I plan stages.head=conv64-gup-fc", 64, { "unknown word \"gup\"", "gap" } },
  { "$I plan train.schedule=step", 64, { "train.milestones" } },
  { "$I plan train.schedule=step train.milestones=9,3", 64, { "train.milestones" } },
  { "$I plan train.nesterov=yes train.momentum=0", 64, { "train.nesterov" } },
  { "$I plan train.steps=0 train.epochs=0", 64, { "train.steps or train.epochs" } },
  { "$I plan train.batch=10 train.micro=3", 64, { "train.batch = 10 does not divide" } },
  { "$I plan train.batch=10 train.micro=2 run.replicas=2", 64,
    { "train.batch = 10 does not divide" } },
  { "$I plan $(seq -f train.kez%g=1 60)", 64,
    { "60 things are wrong in the command line", "no key kez1\n", "no key kez60\n" } },
  /* stages that do not fit */
  { "$I plan model.preset=resnet20 stages.count=12", 64,
    { "stages.count = 12", "11 blocks" } },
  { "$I plan stages.cut=2,1,1,99", 64, { "99" } },
  { "$I plan stages.cut=2,0,1,rest", 64, { "2,0,1,rest" } },
  { "$I plan stages.cut=2,x,1,rest", 64, { "2,x,1,rest" } },
  { "$I plan stages.cut=2,1,rest stages.count=4", 64, { "has 3 parts, stages.count is 4" } },
  { "$I plan stages.count=4 --ranks 7", 64, { "7", "4" } },
  { "$I plan run.replicas=2 --ranks 3", 64, { "3", "2" } },
  /* the same under a launcher: one message, one code */
  { "$M $I train " QUICK "stages.count=4", 64, { "4 stages", "7" } },
  { "$M $I train " QUICK "run.replicas=2 train.batch=16", 64, { "replicas", "7" } },
  { "$M $I train two.ini " QUICK, 64, { "two.ini:2:", "two.ini:5:" } },
  { "$M $I train missing.ini", 69, { "missing.ini" } },
  { "$M $I eval missing.h5", 69, { "missing.h5" } },
  /* data */
  { "$I train " SMALL, 64, { "data.file is needed" } },
  { "$I train " SMALL "data.file=missing.h5", 69, { "missing.h5" } },
  { "$I train " SMALL "data.file=garbage.h5", 65, { "garbage.h5" } },
  { "$I train " QUICK "data.file=short.h5", 65, { "short.h5" } },
  { "$I train " QUICK "data.file=label.h5", 65,
    { "label.h5", "/train/labels", "5", "200" } },
  { "$I train " QUICK "data.file=tiny.h5 model.stem=imagenet", 64, { "4x4" } },
  { "$I info missing.h5", 69, { "missing.h5" } },
  { "$I info garbage.h5", 65, { "garbage.h5" } },
  { "$I info .", 69, { "not a run directory" } },
  { "$I eval .", 69, { "no checkpoint" } },
  { "$I eval good.h5", 65, { "good.h5" } },
  /* parameters */
  { "$I train " QUICK "train.init=missing.h5", 69, { "missing.h5" } },
  { "$I train " QUICK "train.init=garbage.h5", 65, { "garbage.h5" } },
  { "$I train " QUICK "train.init=good.h5", 65, { "good.h5" } },
  { "$I train " QUICK "train.init=other.h5", 65,
    { "conv1.weight", "12", "8", "other.h5" } },
  { "$I train " QUICK "train.tune=missing.txt", 69, { "missing.txt" } },
};
/* clang-format on */

static void
make_files (void)
{
  static char out[16384], err[16384];
  make_configurations ();
  if (run ("$I import synthetic seed=1 train=64 valid=16 test=16 -o good.h5",
           out, err, sizeof out) != 0) {
    fprintf (stderr, "%s%s", out, err);
    tap_bail ("cannot make a data set");
    return;
  }
  if (run ("i=0; while [ $i -lt 40 ]; do echo some lines of a text $i; "
           "i=$((i + 1)); done >text.txt; $I import text text.txt -o text.h5",
           out, err, sizeof out) != 0) {
    fprintf (stderr, "%s%s", out, err);
    tap_bail ("cannot make a data set of text");
    return;
  }
  make_changed ("text.h5", "high.h5", "/valid/tokens", 3, 300);
  make_changed ("good.h5", "label.h5", "/train/labels", 5, 200);
  make_model ("m.model");
  make_pieces ("text.h5", "pieces.h5", "m.model");
  make_pieces ("text.h5", "bare.h5", NULL);
  make_tiny ("tiny.h5");
  if (system ("head -c 30000 good.h5 >short.h5") != 0)
    tap_bail ("cannot cut a data set");
  const char *line =
      "$I train " QUICK "model.groups=12x1,16x1 run.dir=other --quiet && "
      "cp other/checkpoints/*.h5 other.h5";
  if (run (line, out, err, sizeof out) != 0) {
    fprintf (stderr, "%s%s", out, err);
    tap_bail ("cannot train a network of another shape");
  }
  if (run ("$I train " LANGUAGE "data.file=text.h5 strategy.span=all "
           "run.dir=talk --quiet && printf '%s ' $(seq 0 8) $(seq 0 8) >few && "
           "$I import tokens few -o ids.h5 vocab=9 format=text valid=0",
           out, err, sizeof out) != 0) {
    fprintf (stderr, "%s%s", out, err);
    tap_bail ("cannot train a language model");
  }
}

/* mpirun -n NP -> mpirun -n 7. */
static void
set_launcher (void)
{
  const char *launcher = getenv ("TESTMPIRUN");
  char line[1024];
  if (!launcher)
    launcher = "mpirun --oversubscribe --bind-to none -n NP";
  const char *np = strstr (launcher, "NP");
  if (!np || strlen (launcher) + 8 > sizeof line)
    tap_bail ("TESTMPIRUN has no NP");
  else {
    snprintf (line, sizeof line, "%.*s7%s", (int)(np - launcher), launcher,
              np + 2);
    setenv ("M", line, 1);
  }
  setenv ("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  setenv ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  setenv ("OMP_NUM_THREADS", "1", 1);
}

int
main (void)
{
  char *program = NULL;
  const char *name = getenv ("INTERLOCK");
  if (!name || !(program = realpath (name, NULL))) {
    tap_skip ("$INTERLOCK does not name the program");
    return tap_done ();
  }
  setenv ("I", program, 1);
  free (program);
  set_launcher ();
  if (!scratch_open () || chdir (scratch_folder) != 0) {
    tap_bail ("cannot make a folder");
    return tap_done ();
  }
  make_files ();
  for (size_t i = 0; !tap_state.dead && i < sizeof rows / sizeof *rows; i++)
    tap_ok (holds (&rows[i], true), "%s", rows[i].line);
  /* The checker sees what is wrong: a code, a word, words on stdout. */
  struct row wrong[] = {{"$I trian", 65, {"trian"}},
                        {"$I trian", 64, {"tarin"}},
                        {"echo x; $I trian", 64, {"trian is"}},
                        {"$I trian; $I trian", 64, {"trian is"}}};
  for (size_t i = 0; i < 4; i++)
    tap_ok (!holds (&wrong[i], false), "planted: %s", wrong[i].line);
  if (chdir ("/") == 0)
    scratch_close ();
  return tap_done ();
}
