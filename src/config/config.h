/* config/config.h -- what a key of the configuration is, and how texts and
 * words become one configuration.
 *
 * One table of keys (keys.c) drives parsing, checking, nearest names, writing
 * of the resolved configuration and the help.  What a value means for network,
 * plan and data, and whether values fit each other there, is not known here.
 * Everything is Local.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/status.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_WORD 64
#define CONFIG_PATH 1024
#define CONFIG_TEXT 512
#define CONFIG_HEADS 4096
#define CONFIG_ROUTE 16384
#define CONFIG_PHASES 32 /* of a dial, at most */

/* Choices, in the order of their words (keys.c).  NOT_GIVEN: "", where another
 * key decides. */
enum config_family { CONFIG_RESNET, CONFIG_TRANSFORMER };
enum config_block { CONFIG_BLOCK_NOT_GIVEN, CONFIG_BASIC, CONFIG_BOTTLENECK };
enum config_stem {
  CONFIG_STEM_NOT_GIVEN,
  CONFIG_STEM_CIFAR,
  CONFIG_STEM_IMAGENET
};
enum config_model_order {
  CONFIG_MODEL_ORDER_NOT_GIVEN,
  CONFIG_POST,
  CONFIG_PRE
};
enum config_norm { CONFIG_NORM_NOT_GIVEN, CONFIG_LAYERNORM, CONFIG_RMSNORM };
enum config_mlp { CONFIG_MLP_NOT_GIVEN, CONFIG_GELU, CONFIG_SWIGLU };
enum config_positions {
  CONFIG_POSITIONS_NOT_GIVEN,
  CONFIG_LEARNED,
  CONFIG_ROPE
};
enum config_border { CONFIG_BORDER_NONE, CONFIG_BORDER_RMS, CONFIG_BORDER_LN };
enum config_mix { CONFIG_FURTHEST, CONFIG_SUM, CONFIG_MEAN };
enum config_split { CONFIG_SPLIT_TRAIN, CONFIG_SPLIT_VALID, CONFIG_SPLIT_TEST };
enum config_augment {
  CONFIG_AUGMENT_NONE,
  CONFIG_AUGMENT_FLIP,
  CONFIG_AUGMENT_CROP4,
  CONFIG_AUGMENT_FLIP_CROP4,
  CONFIG_AUGMENT_IMAGENET
};
enum config_order { CONFIG_SHUFFLE, CONFIG_SEQUENTIAL };
enum config_optimizer { CONFIG_OPTIMIZER_NOT_GIVEN, CONFIG_SGD, CONFIG_ADAMW };
enum config_decay {
  CONFIG_DECAY_NOT_GIVEN,
  CONFIG_DECAY_ALL,
  CONFIG_DECAY_MATRICES
};
enum config_schedule {
  CONFIG_CONSTANT,
  CONFIG_STEP,
  CONFIG_COSINE,
  CONFIG_ONECYCLE
};
enum config_precision { CONFIG_F32, CONFIG_BF16 };
enum config_io { CONFIG_COLLECTIVE, CONFIG_INDEPENDENT };
enum config_cache { CONFIG_CACHE_NO, CONFIG_CACHE_YES, CONFIG_CACHE_ANEW };
enum config_run_schedule { CONFIG_EAGER, CONFIG_1F1B, CONFIG_FILLDRAIN };

/* The resolved configuration: every key of the manual, defaults filled in.
 * Texts are NUL-terminated. "" = not given. */
struct config {
  /* [model] */
  enum config_family family;
  char preset[CONFIG_WORD], groups[CONFIG_TEXT];
  enum config_block block;
  enum config_stem stem;
  int64_t stem_width;
  enum config_model_order model_order;
  int64_t layers, d_model, heads, context; /* of a Transformer; 0: not given */
  double mlp_ratio;                        /* likewise */
  enum config_norm norm;
  enum config_mlp mlp;
  enum config_positions positions;
  int64_t kv_heads; /* 0: the preset's, or as many as heads */
  bool qk_norm;
  double dropout;
  bool tied, residual_scaled;
  /* [stages] */
  int64_t count;
  char cut[CONFIG_TEXT];   /* "auto", "measured" or "2,1,1,rest" */
  char head[CONFIG_HEADS]; /* "auto", a grammar, or one of each inner stage */
  double head_cost;
  double head_tokens;
  enum config_border border;
  /* [strategy] */
  char
      span[CONFIG_TEXT]; /* "1".."K", all, local, pairwise, e2e; or K of them */
  enum config_mix mix;
  double own;               /* weight of the own head besides the furthest */
  char route[CONFIG_ROUTE]; /* a table in place of these: "1 0 / 0 1"; before
                               design_configure_parse also "@FILE" */
  char dial[CONFIG_ROUTE];  /* phases in place of span and route; "": none */
  bool heads_all;
  double grow; /* weight of the mean square of inner stages' outputs */
  /* [data] */
  char file[CONFIG_PATH];
  enum config_split train, valid, test;
  enum config_augment augment;
  enum config_order order;
  int64_t limit, stride; /* stride 0: model.context */
  /* [train] */
  int64_t batch, micro, steps, seed, eval_every, agreement;
  double epochs; /* used where steps is 0 */
  enum config_optimizer optimizer;
  double lr, momentum, weight_decay, beta1, beta2, eps, clip, smoothing;
  bool nesterov;
  enum config_decay decay;
  enum config_schedule schedule;
  int64_t warmup;
  char milestones[CONFIG_TEXT];
  enum config_precision precision;
  char init[CONFIG_PATH];
  char init_fresh[CONFIG_TEXT]; /* names, or their beginnings, with commas */
  char tune[CONFIG_PATH];       /* yes, no or a file */
  /* [checkpoint] */
  int64_t every, keep;
  double every_seconds;
  bool at_end, async;
  enum config_io io;
  /* [run] */
  char dir[CONFIG_PATH];
  int64_t replicas;
  bool share_optimizer; /* each replica keeps a part of its state */
  enum config_run_schedule run_schedule;
  bool trace;
  double time_margin, patience;
  char isa[CONFIG_WORD]; /* auto, native or a level of the kernel library */
  enum config_cache cache;
  int64_t attempts;
  int64_t check_every; /* steps between digests of weights; 0: none */
  bool digests;        /* in metrics.csv */
  /* options, not keys */
  char dump[CONFIG_TEXT];     /* "step,stage,what" or "" */
  char cuts[CONFIG_PATH];     /* folder of measured cuts that runs of a sweep
                                 share; "" */
  bool fresh;                 /* begin anew, what is in dir moved aside */
  char fresh_by[CONFIG_WORD]; /* ... once for who is called so; "" */
  int64_t stop_after; /* stop politely when so many steps are done; 0: no */
  bool force_threads;
  int threads; /* 0: from the affinity mask */
};

/* A configuration for callers that read none, as self-checks do: one stage, end
 * to end, one replica and micro-batch, plain SGD at a constant rate, f32
 * without tuning, splits of the usual names; nothing is saved.  The network,
 * the data file, batch, steps, seed and rate are the caller's. */
void
config_plain (struct config *c);

/* -- keys (key.c; their table: keys.c) ------------------------------------- */

enum key_kind {
  KEY_INTEGER,
  KEY_REAL,
  KEY_CHOICE,
  KEY_TEXT,
  KEY_LIST,
  KEY_BOOL
};

/* What the field of struct config at `offset` is. */
enum key_field {
  FIELD_TEXT,  /* char[size] */
  FIELD_INT64, /* int64_t */
  FIELD_REAL,  /* double */
  FIELD_BOOL,  /* bool; a choice: its second word is true */
  FIELD_ENUM,  /* int-sized enum in the order of the choices */
  FIELD_PAIR   /* two doubles, "0.9,0.999" */
};

/* What another value makes of a run that has begun. */
enum key_resume {
  KEY_RESUME_NOT_SAID,
  KEY_RESUME_SAME_RUN,   /* the same: where, how and how often it is saved */
  KEY_RESUME_BEGUN,      /* none: it keeps what it began with */
  KEY_RESUME_LENGTH,     /* a longer or shorter one */
  KEY_RESUME_LOOK,       /* the same weights, judged by something else */
  KEY_RESUME_STAGES,     /* as its cut says */
  KEY_RESUME_OTHER_BITS, /* another course from here on: said; another
                            experiment */
  KEY_RESUME_CONTENT,    /* a file: another run where something else is in it */
  KEY_RESUME_NETWORK,    /* another run where it means another network */
  KEY_RESUME_OTHER_RUN   /* another run: refused */
};

/* Whether runs that differ in it may be compared. */
enum key_report {
  KEY_REPORT_NOT_SAID,
  KEY_REPORT_SUBJECT,  /* it is what is compared */
  KEY_REPORT_ALIKE,    /* no: they have to be alike in it */
  KEY_REPORT_NO_MATTER /* yes */
};

struct key {
  const char *section, *name, *full; /* full: "section.name" */
  enum key_resume resume;
  enum key_report report;
  enum key_kind kind;
  enum key_field field;
  size_t offset, size;
  double low, high;         /* numbers: allowed range, ends included ... */
  bool open;                /* ... but `low` itself is not */
  const char *const *words; /* choices, n_words; "" means not given */
  int n_words;
  bool or_number;    /* a choice that also takes an integer, 1 or more ... */
  bool or_list;      /* ... or several of all these, with commas between */
  bool in_route;     /* without effect where a route is given by hand, ... */
  bool in_dial;      /* ... where the strategy changes in phases */
  const char *later; /* the choice that this version does not have; NULL: all */
  unsigned of;       /* bits of the families it is for; 0: all */
  bool strict;       /* given to another family it is refused, not ignored */
  const char *value; /* default, as text; NULL: none, or made later */
  const char *shown; /* default as the manual says it; NULL: value */
  const char *before; /* what versions did that did not know it; NULL: value
                       */
  const char *meaning;
};

extern const struct key key_table[];
extern const size_t key_count;

/* NULL when there is none. */
const struct key *
key_find (const char *section, const char *name);
/* The same by "section.name". */
const struct key *
key_named (const char *full);
/* The key that sets this field of struct config, and its full name; a field
 * that no key sets is a CHECK. */
#define KEY_OF(f) key_at (offsetof (struct config, f))
#define KEY_NAME(f) (KEY_OF (f)->full)
const struct key *
key_at (size_t offset);
/* The same of a key that another version may have, and this one not. */
enum key_resume
key_resume (const char *full);
/* Whether it has any effect with the family of c, and with its route and dial.
 */
bool
key_of_family (const struct key *k, const struct config *c);
bool
key_applies (const struct key *k, const struct config *c);
/* "integer", "choice", ... */
const char *
key_kind_name (enum key_kind kind);
/* "an integer, 1 or more"; "sgd or adamw". */
void
key_wanted (const struct key *k, struct text *out);
/* Puts value into c; false when it is not one of the key's values, and then c
 * is as before. */
bool
key_set (const struct key *k, const char *value, struct config *c);
/* The value in c, as it is written in a file. */
void
key_get (const struct key *k, const struct config *c, struct text *out);
/* The likely key or section behind a slip in "section.name", or in a name
 * alone;
 * "" or "; did you mean X?". */
void
key_suggest_for (const char *full, struct text *out);
/* The word of a choice, or the text, in c. */
const char *
key_word (const struct key *k, const struct config *c);
/* The choice that a word is, or -1. */
int
key_choice (const struct key *k, const char *word);
/* Is it one that this version does not have? */
bool
key_is_later (const struct key *k, const char *word);
/* The choice that resembles word; NULL: none. */
const char *
key_nearest (const struct key *k, const char *word);

/* -- configuration (config.c) ---------------------------------------------- */

struct complaints {
  struct text lines; /* one per line */
  int n;
};

/* What a configuration is for: training needs a data file, a plan does not. */
enum config_use { CONFIG_TRAIN, CONFIG_EVAL, CONFIG_PLAN };

struct config_source {
  const char *name;             /* of the file, for messages */
  const char *text;             /* its contents; NULL: no file */
  const char *base, *base_text; /* another one below it; NULL: none */
  const char *also; /* a section of the file that is not ours; NULL: none */
  int n_words;
  const char *const *words; /* section.key=value */
  /* Reads a file that a value names; NULL: as it lies here. */
  enum status (*read) (void *reader, const char *path, char **text);
  void *reader;
};

/* Defaults, then the base, then the file, then the words; then what keys decide
 * for each other.  Complaints are added to *said, one a line; *out is what came
 * of it, with 0 for the sizes that a Transformer's preset decides. */
void
config_parse (const struct config_source *source, struct config *out,
              struct complaints *said);
/* All complaints about `name` as the kept message; OK when there are none. */
enum status
config_refuse (const char *name, struct complaints *said);
/* The resolved configuration as INI text. */
void
config_write (const struct config *c, struct text *out);
/* A value of c as a file has it; of a strategy's reach the number of stages.
 * value NULL: c's own, else what this text comes to in c. */
void
config_get (const struct config *c, const struct key *k, const char *value,
            struct text *out);
/* All keys that are not at their defaults, but run.dir: what tells one run from
 * another, however it was written. */
void
config_canonical (const struct config *c, struct text *out);
/* Whether the program chooses which blocks stages have. */
bool
config_cut_is_chosen (const struct config *c);
/* The value of section.key in an INI text; false: not in it, and out is as
 * before. */
bool
config_word (const char *text, const char *name, char *out, size_t size);
/* Is this a word of the kind section.key=value (or key=value)? */
bool
config_is_word (const char *argument);

/* -- how far each stage sees (span.c) ----------------------------------------
 */

/* The reach of stage k where there are K, of a text of strategy.span: one word,
 * or K with commas between, each a number 1..K, local, pairwise, all or e2e, or
 * (0) frozen, which not all of them may be.  E_CONFIG. */
enum status
config_span_parse (const char *words, int K, int k, int *span);
/* Adds it in numbers: one where that means the same for all stages.  E_CONFIG,
 * and nothing is added. */
enum status
config_span_show (const char *words, int K, struct text *out);

/* -- the heads of stages (head.c) --------------------------------------------
 */

/* The head of stage k of K, not the last, of a text of stages.head: one
 * grammar, or K - 1 with commas between.  E_CONFIG. */
enum status
config_head_parse (const char *words, int K, int k, char grammar[CONFIG_TEXT]);
/* "auto", or that with a suffix, "auto+rec". */
bool
config_head_is_auto (const char *words);
/* What is behind the words, "+rec0.5"; "": nothing. */
const char *
config_head_suffix (const char *words);
bool
config_head_is_list (const char *words);
/* Whether two texts give all of K stages the same; no, where one of them cannot
 * be understood. */
bool
config_head_same (const char *a, const char *b, int K);

/* -- a strategy that changes (dial.c) ----------------------------------------
 */

/* One phase of strategy.dial, "30%:1,1,2,all own=0.2". */
struct config_phase {
  bool share;        /* at is in percent of the run's steps, below 100 */
  double at;         /* else the step it begins with */
  const char *words; /* n_words characters of the text it was read from: a reach
                        as strategy.span has it; or a table, as strategy.route
                        has it, with at least one / or @ in front of a file */
  size_t n_words;
  double own; /* in place of strategy.own; NAN: not given */
};
struct config_dial {
  int n;
  struct config_phase phase[CONFIG_PHASES];
};
/* The phases of a text of strategy.dial, which is borrowed.  Each begins with
 * WHEN and a colon; what has no colon goes on with the list before it.
 * E_CONFIG, naming the phase, counted from 0. */
enum status
config_dial_parse (const char *text, struct config_dial *out);
bool
config_phase_is_table (const struct config_phase *p);
/* Adds its words: of a reach without blanks. */
void
config_phase_words (const struct config_phase *p, struct text *out);
/* Adds a phase with these words, as a text of strategy.dial has it. */
void
config_phase_add (const struct config_phase *p, const char *words,
                  struct text *out);
/* The first step of each phase [n] in a run of so many steps.  E_CONFIG where
 * one is empty, or behind the end. */
enum status
config_dial_steps (const struct config_dial *d, int64_t steps, int64_t *first);

/* -- INI text (ini.c), the one reader of it ---------------------------------
 */

struct ini_line { /* a key, or what is wrong with a line */
  int number;
  const char *section, *name, *value; /* name NULL: a wrong line */
  char *bad;                          /* NULL: a key; owned */
};
struct ini {
  int n;
  struct ini_line *line; /* in their order; owned */
  char *text;            /* a copy that names and values lie in; owned */
};
/* Takes keys `name = value` or `name: value` under [section]; comments are
 * behind ; or, at the start of a line, #.  A section that is neither of the
 * configuration nor `also` is wrong once, and its keys are left out; also NULL:
 * any section will do. */
#define INI_OURS "\n" /* also: no section is called so */
void
ini_open (const char *text, const char *also, struct ini *out);
void
ini_close (struct ini *i);
/* The first value of section.key; NULL when it is not there. */
const char *
ini_get (const struct ini *i, const char *name);

#endif
