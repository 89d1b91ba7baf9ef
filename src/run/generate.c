/* run/generate.c -- the command `generate`: text, token by token.
 *
 * The whole prompt goes through the stages at once, then one token at a time;
 * every stage keeps the keys and values of what it has seen.  A rank gets rows
 * from the rank before, and passes rows on.  The rank with the head draws the
 * token and tells the first rank, which writes it.  Ranks behind the head have
 * nothing to do.  When the context is full, its second half goes through the
 * stages again as a new beginning.
 */
#include "base/place.h"
#include "run/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tags. */
enum { ROWS, TOKEN };

struct candidate {
  double logit;
  int32_t id;
};

struct generator {
  struct session *s;
  const struct run_generate *spec;
  int head;                        /* the stage whose head is asked */
  int first_rank, last_rank, mine; /* pipe ranks that take part; this one */
  struct data_tokenizer *tokens;
  int32_t *ids; /* prompt and what was drawn; owned */
  int64_t n, n_prompt, end;
  struct tensor rows;  /* room for messages, behind a header */
  struct tensor token; /* likewise, one number */
  char *room[2];       /* owned: of both */
  float *logits;       /* classes */
  struct candidate *order;
};

/* -- one token from logits ------------------------------------------------- */

static int
by_logit (const void *a, const void *b)
{
  const struct candidate *x = a, *y = b;
  if (x->logit != y->logit)
    return x->logit > y->logit ? -1 : 1;
  return x->id < y->id ? -1 : 1;
}

/* The likeliest first where a number of them is asked for, and how many may be
 * drawn. */
static int64_t
candidates (struct generator *g, int64_t n)
{
  int64_t k = g->spec->top_k;
  for (int64_t i = 0; i < n; i++)
    g->order[i] = (struct candidate){g->logits[i], (int32_t)i};
  if (k < 1 || k >= n)
    return n;
  qsort (g->order, (size_t)n, sizeof *g->order, by_logit);
  return k;
}

static int32_t
draw (struct generator *g)
{
  int64_t n = candidates (g, g->s->design->info.classes), best = 0;
  struct candidate *c = g->order;
  for (int64_t i = 1; i < n; i++)
    if (c[i].logit > c[best].logit)
      best = i;
  if (!(g->spec->temperature > 0))
    return c[best].id;
  double most = c[best].logit, sum = 0;
  for (int64_t i = 0; i < n; i++) {
    c[i].logit = exp ((c[i].logit - most) / g->spec->temperature);
    sum += c[i].logit;
  }
  struct random_key key = {.seed = (uint64_t)g->spec->seed,
                           .purpose = RANDOM_SAMPLE};
  double at = random_uniform (&key, (uint64_t)(g->n - g->n_prompt)) * sum;
  for (int64_t i = 0; i < n; i++) {
    at -= c[i].logit;
    if (at < 0)
      return c[i].id;
  }
  return c[best].id;
}

/* -- rows along the pipe --------------------------------------------------- */

static struct wire_id
id_of (const struct generator *g, int border)
{
  return (struct wire_id){
      .step = g->n, .micro = -1, .border = border, .stream = -9};
}

static enum status
receive (struct generator *g, struct tensor *t, int peer, int tag, int border)
{
  struct wire_id id = id_of (g, border);
  int request = WIRE_NONE;
  TRY (wire_post (g->s->wire, WIRE_TEXT, t, peer, tag, &request));
  return wire_wait (g->s->wire, &request, &id, NULL);
}

static enum status
send (struct generator *g, struct tensor *t, int peer, int tag, int border)
{
  int request = WIRE_NONE;
  TRY (wire_send (g->s->wire, WIRE_TEXT, t, peer, tag, id_of (g, border),
                  &request));
  return wire_wait (g->s->wire, &request, NULL, NULL);
}

/* n rows through this rank's stages, up to the head; from token `from` on. */
static enum status
forward (struct generator *g, int64_t from, int64_t n)
{
  struct session *s = g->s;
  const void *x = g->ids + from;
  const float *y = NULL;
  g->rows.dims[0] = n;
  g->rows.bytes = tensor_bytes (g->rows.form.type, n * g->rows.dims[1]);
  if (g->mine > g->first_rank) {
    TRY (receive (g, &g->rows, g->mine - 1, ROWS, s->local[0].k));
    x = g->rows.data;
  }
  for (int i = 0; i < s->n_local && s->local[i].k <= g->head; i++) {
    TRY (stage_decode (s->local[i].stage, x, n, &y));
    x = y;
  }
  if (g->mine == g->last_rank)
    return stage_decode_logits (session_local (s, g->head)->stage, g->logits);
  memcpy (g->rows.data, x, g->rows.bytes);
  return send (g, &g->rows, g->mine + 1, ROWS, s->local[s->n_local - 1].k + 1);
}

/* The next token, on the first and the last of the ranks. */
static enum status
exchange (struct generator *g)
{
  int32_t *id = (int32_t *)g->token.data;
  if (g->mine == g->last_rank)
    *id = draw (g);
  if (g->first_rank == g->last_rank) {
    g->ids[g->n] = *id;
    return OK;
  }
  if (g->mine == g->last_rank)
    TRY (send (g, &g->token, g->first_rank, TOKEN, 0));
  if (g->mine == g->first_rank)
    TRY (receive (g, &g->token, g->last_rank, TOKEN, 0));
  g->ids[g->n] = *id;
  return OK;
}

/* -- the text -------------------------------------------------------------- */

static void
write_token (struct generator *g, int32_t id)
{
  size_t n;
  const char *text = data_tokenizer_decode (g->tokens, id, &n);
  if (g->mine == g->first_rank)
    put_piece (text, n);
}

static void
forget (struct generator *g)
{
  struct session *s = g->s;
  for (int i = 0; i < s->n_local && s->local[i].k <= g->head; i++)
    stage_decode_rewind (s->local[i].stage, 0);
}

static enum status
walk (struct generator *g)
{
  int64_t have = 0,
          T = g->s->design->length; /* have: positions in the caches */
  for (int64_t i = 0; i < g->n_prompt; i++)
    write_token (g, g->ids[i]);
  while (g->n < g->end) {
    place_move ();
    if (have == T) {
      forget (g);
      have = 0;
    }
    int64_t n = have > 0 ? 1 : g->n < T ? g->n : (T + 1) / 2;
    TRY (forward (g, g->n - n, n));
    have += n;
    TRY (exchange (g));
    write_token (g, g->ids[g->n]);
    g->n++;
  }
  return OK;
}

/* -- before and after ------------------------------------------------------ */

static enum status
take_prompt (struct generator *g)
{
  struct session *s = g->s;
  const struct design *d = s->design;
  int32_t *ids = NULL;
  TRY (data_tokenizer_open (d->data, &g->tokens));
  TRY (data_tokenizer_encode (g->tokens, g->spec->prompt,
                              strlen (g->spec->prompt), &ids, &g->n_prompt));
  g->n = g->n_prompt;
  g->end = g->n + g->spec->tokens;
  enum status e = MEM_NEW ((size_t)g->end + 1, &g->ids, "tokens");
  if (e == OK)
    memcpy (g->ids, ids, (size_t)g->n * sizeof *ids);
  mem_free (&ids);
  TRY (e);
  if (g->n == 0)
    return fail (E_USAGE, "--prompt is empty: give at least one token");
  if (g->n > d->length)
    return fail (E_USAGE,
                 "--prompt has %lld tokens, the context of this network %lld",
                 (long long)g->n, (long long)d->length);
  return OK;
}

static enum status
find_ranks (struct generator *g)
{
  const struct session *s = g->s;
  const struct design *d = s->design;
  g->head = g->spec->head < 0 ? d->K - 1 : g->spec->head;
  if (g->head >= d->K)
    return fail (E_USAGE, "--head %d: the network has heads 0 to %d", g->head,
                 d->K - 1);
  if (g->head < d->K - 1 && !d->has_head[g->head])
    return fail (E_USAGE,
                 "--head %d: no stage learnt from this head, and it was not "
                 "trained (strategy.heads = all trains every head)",
                 g->head);
  g->first_rank = 0;
  struct network_unit u = {0};
  if (g->head < d->K - 1)
    TRY (network_head (d->net, d->first[g->head + 1] - 1,
                       design_head (d, g->head), &u));
  if (u.mixes)
    return fail (E_USAGE,
                 "--head %d: a head whose blocks look back (%s) does not "
                 "generate; ask the output, head %d",
                 g->head, design_head (d, g->head), d->K - 1);
  g->last_rank = d->plan->rank_of[g->head];
  g->mine = wire_pipe_rank (s->wire);
  return OK;
}

static enum status
message (struct tensor *t, enum tensor_type type, int64_t rows, int64_t columns,
         char **room)
{
  size_t bytes = tensor_bytes (type, rows * columns);
  TRY (mem_new (TENSOR_HEADER + bytes, 1, "rows of tokens", (void **)room));
  *t = (struct tensor){.data = *room + TENSOR_HEADER,
                       .bytes = bytes,
                       .n_dims = 2,
                       .dims = {rows, columns},
                       .form = {.type = (uint8_t)type}};
  return OK;
}

static enum status
generator_open (struct generator *g)
{
  const struct model_spec *m = network_spec (g->s->design->net);
  size_t classes = (size_t)g->s->design->info.classes;
  TRY (find_ranks (g));
  TRY (take_prompt (g));
  TRY (message (&g->rows, NETWORK_BORDER, m->context, m->d_model, &g->room[0]));
  TRY (message (&g->token, TENSOR_I32, 1, 1, &g->room[1]));
  TRY (MEM_NEW (classes, &g->logits, "logits"));
  return MEM_NEW (classes, &g->order, "logits");
}

static void
generator_close (struct generator *g)
{
  data_tokenizer_close (&g->tokens);
  mem_free (&g->ids);
  mem_free (&g->room[0]);
  mem_free (&g->room[1]);
  mem_free (&g->logits);
  mem_free (&g->order);
}

/* Another data set may have as many tokens and mean other pieces of text by
 * them. Bytes are the same everywhere. */
static enum status
compare_data (const struct session *s, const char *checkpoint)
{
  const struct design *d = s->design;
  enum { BYTES = 256 };
  struct store_checkpoint *file = NULL;
  struct store_attributes a;
  char data[17];
  TRY (store_checkpoint_open (checkpoint, &file));
  store_checkpoint_attributes (file, &a);
  snprintf (data, sizeof data, "%016llx", (unsigned long long)d->info.digest);
  if (d->info.classes != BYTES && a.data[0] && strcmp (a.data, data) != 0)
    say (LOG_WARN,
         "%s is not the data set that %s learnt from: where its tokenizer is "
         "another, the text will be nonsense",
         d->config.file, checkpoint);
  store_checkpoint_close (&file);
  return OK;
}

static enum status
generate (struct session *s, const char *checkpoint,
          const struct run_generate *spec)
{
  struct generator g = {.s = s, .spec = spec};
  int64_t step;
  enum status e = wire_agree (s->wire, generator_open (&g));
  if (e == OK)
    e = session_load (s, checkpoint, false, true, &step);
  if (e == OK)
    e = wire_agree (
        s->wire, wire_rank (s->wire) == 0 ? compare_data (s, checkpoint) : OK);
  if (e == OK) {
    place_set (-1, -1, "generating");
    e = g.mine <= g.last_rank ? walk (&g) : OK;
    if (e != OK)
      wire_abort (e); /* the others wait for rows */
    put ("\n");
  }
  generator_close (&g);
  return e;
}

enum status
run_generate (struct wire *w, const struct config *c, const char *checkpoint,
              const struct run_generate *g)
{
  struct session s;
  struct session_spec spec = {.design = {.forward_only = true},
                              .decodes = true};
  struct config config = *c;
  enum status e = OK;
  const struct family *f = derive_family (c);
  if (!f->language)
    e = fail (E_USAGE, "%s: %s generates no text", checkpoint, f->called);
  else if (c->replicas != 1)
    e = fail (E_USAGE, "generate: one text has no use for run.replicas = %lld",
              (long long)c->replicas);
  TRY (wire_agree (w, e));
  config.init[0] = '\0';
  config.batch = config.micro = 1;
  config.limit = 0;
  snprintf (config.tune, sizeof config.tune, "no"); /* nothing to choose */
  TRY (session_open (w, &config, &spec, &s));
  e = generate (&s, checkpoint, g);
  session_close (&s);
  return e;
}
