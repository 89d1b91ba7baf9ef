/* data/pieces.c -- a SentencePiece model, read and used. */
#include "data/pieces.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/utf8.h"
#include <string.h>

/* The mark for a blank, U+2581. */
#define MARK "\xe2\x96\x81"
enum { MARK_BYTES = 3 };

enum piece_type { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };
enum { UNIGRAM = 1, BPE = 2 };

struct piece {
  const char *text; /* in the model's bytes */
  size_t n;
  float score;
  enum piece_type type;
};

struct data_pieces {
  int64_t n;
  struct piece *piece;
  int32_t *slot; /* hash table of ids; -1: free */
  size_t slots;
  size_t longest;
  float least; /* score of pieces */
  int model;
  const char *changes; /* what it does to a text; NULL: nothing */
  int32_t byte[256], end;
};

/* -- protocol buffers ------------------------------------------------------ */

struct reader {
  const unsigned char *p, *end;
  bool bad;
};

static uint64_t
varint (struct reader *r)
{
  uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (r->p == r->end)
      break;
    unsigned char c = *r->p++;
    v |= (uint64_t)(c & 0x7f) << shift;
    if (!(c & 0x80))
      return v;
  }
  r->bad = true;
  return 0;
}

struct field {
  int number;
  uint64_t value;   /* of a number */
  struct reader in; /* of bytes */
};

/* The next field; false at the end, or when the rest makes no sense. */
static bool
next_field (struct reader *r, struct field *f)
{
  static const size_t width[6] = {0, 8, 0, 0, 0, 4};
  if (r->bad || r->p == r->end)
    return false;
  uint64_t key = varint (r);
  unsigned kind = key & 7;
  *f = (struct field){.number = (int)(key >> 3)};
  if (kind == 0)
    f->value = varint (r);
  else {
    uint64_t n = kind == 2 ? varint (r) : kind < 6 ? width[kind] : 0;
    if ((n == 0 && kind != 2) || n > (uint64_t)(r->end - r->p))
      r->bad = true;
    else {
      if (kind != 2)
        memcpy (&f->value, r->p, n);
      f->in = (struct reader){.p = r->p, .end = r->p + n};
      r->p += n;
    }
  }
  return !r->bad;
}

static void
read_piece (struct reader in, struct piece *out)
{
  struct field f;
  *out = (struct piece){.text = "", .type = NORMAL};
  while (next_field (&in, &f)) {
    if (f.number == 1) {
      out->text = (const char *)f.in.p;
      out->n = (size_t)(f.in.end - f.in.p);
    }
    if (f.number == 2) {
      uint32_t bits = (uint32_t)f.value;
      memcpy (&out->score, &bits, sizeof out->score);
    }
    if (f.number == 3)
      out->type = (enum piece_type)f.value;
  }
}

/* -- open ------------------------------------------------------------------ */

static size_t
slot_of (const struct data_pieces *p, const char *text, size_t n)
{
  size_t at = hash_bytes (text, n, 7) & (p->slots - 1);
  while (p->slot[at] >= 0) {
    const struct piece *q = &p->piece[p->slot[at]];
    if (q->n == n && memcmp (q->text, text, n) == 0)
      break;
    at = (at + 1) & (p->slots - 1);
  }
  return at;
}

static int
hex (char c)
{
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/* Of a piece such as <0x0A>; -1: it is written otherwise. */
static int
byte_of (const struct piece *q)
{
  if (q->type != BYTE || q->n != 6 || hex (q->text[3]) < 0 ||
      hex (q->text[4]) < 0)
    return -1;
  return hex (q->text[3]) * 16 + hex (q->text[4]);
}

/* Pieces of text only; -1: none. */
static int32_t
find (const struct data_pieces *p, const char *text, size_t n)
{
  return p->slot[slot_of (p, text, n)];
}

static void
note_piece (struct data_pieces *p, int32_t id)
{
  const struct piece *q = &p->piece[id];
  if (q->type == CONTROL && q->n == 4 && memcmp (q->text, "</s>", 4) == 0)
    p->end = id;
  if (byte_of (q) >= 0)
    p->byte[byte_of (q)] = id;
  if ((q->type != NORMAL && q->type != USER) || q->n == 0)
    return;
  p->slot[slot_of (p, q->text, q->n)] = id;
  if (q->n > p->longest)
    p->longest = q->n;
  if (q->score < p->least)
    p->least = q->score;
}

static enum status
fill (struct data_pieces *p, struct reader in)
{
  struct field f;
  while (next_field (&in, &f))
    p->n += f.number == 1;
  return in.bad || p->n < 2 ? E_DATA : OK;
}

/* A specification of how text is normalised.  Blanks are taken out where it
 * does not say otherwise. */
static void
read_normalizer (struct data_pieces *p, struct reader in)
{
  struct field f;
  bool squeezes = true, marks = true, maps = false;
  while (next_field (&in, &f)) {
    if (f.number == 2) /* a table of characters */
      maps = f.in.p != f.in.end;
    if (f.number == 3)
      marks = f.value != 0;
    if (f.number == 4)
      squeezes = f.value != 0;
  }
  p->changes = maps       ? "replaces characters"
               : squeezes ? "removes blanks"
               : !marks   ? "puts no mark before a line"
                          : NULL;
}

static enum status
open_parts (struct data_pieces *p, struct reader in)
{
  struct field f, g;
  if (fill (p, in) != OK)
    return fail (E_DATA, "not a SentencePiece model");
  TRY (MEM_NEW ((size_t)p->n, &p->piece, "pieces"));
  for (p->slots = 16; p->slots < 2 * (size_t)p->n;)
    p->slots *= 2;
  TRY (MEM_NEW (p->slots, &p->slot, "pieces"));
  for (size_t i = 0; i < p->slots; i++)
    p->slot[i] = -1;
  int32_t id = 0;
  while (next_field (&in, &f)) {
    if (f.number == 1) {
      read_piece (f.in, &p->piece[id]);
      note_piece (p, id++);
    }
    if (f.number == 2)
      while (next_field (&f.in, &g))
        if (g.number == 3)
          p->model = (int)g.value;
    if (f.number == 3)
      read_normalizer (p, f.in);
  }
  return OK;
}

enum status
data_pieces_open (const char *name, const void *data, size_t n,
                  struct data_pieces **out)
{
  struct data_pieces *p = NULL;
  const unsigned char *bytes = data;
  TRY (MEM_NEW (1, &p, "a tokenizer's model"));
  p->model = UNIGRAM;
  p->end = -1;
  for (int i = 0; i < 256; i++)
    p->byte[i] = -1;
  enum status s = open_parts (p, (struct reader){.p = bytes, .end = bytes + n});
  if (s == E_DATA) {
    fail_clear ();
    s = fail (E_DATA, "%s: not a SentencePiece model", name);
  }
  if (s == OK && p->model != UNIGRAM && p->model != BPE)
    s = fail (E_DATA, "%s: a model of another type than unigram and bpe", name);
  for (int i = 0; s == OK && i < 256; i++)
    if (p->byte[i] < 0)
      s = fail (E_DATA,
                "%s: has no piece for byte %02x: a model is made with "
                "spm_train --byte_fallback=true "
                "--normalization_rule_name=identity "
                "--remove_extra_whitespaces=false",
                name, i);
  if (s != OK)
    data_pieces_close (&p);
  else
    *out = p;
  return s;
}

void
data_pieces_close (struct data_pieces **out)
{
  if (!*out)
    return;
  mem_free (&(*out)->piece);
  mem_free (&(*out)->slot);
  mem_free (out);
}

int64_t
data_pieces_count (const struct data_pieces *p)
{
  return p->n;
}

int32_t
data_pieces_byte (const struct data_pieces *p, unsigned char byte)
{
  return p->byte[byte];
}

const char *
data_pieces_changes (const struct data_pieces *p)
{
  return p->changes;
}

int32_t
data_pieces_end (const struct data_pieces *p)
{
  return p->end;
}

/* -- text to ids ----------------------------------------------------------- */

/* Bytes of the character at text, by its first one. */
static size_t
character (const char *text, size_t left)
{
  size_t n = utf8_bytes ((unsigned char)text[0]);
  return n < left ? n : left;
}

struct place { /* before byte i of the text */
  float score; /* of the best way here */
  size_t from; /* where its last piece begins */
  int32_t id;  /* that piece; -1: bytes */
  bool reached;
};

static void
offer (struct place *at, float score, size_t from, int32_t id)
{
  if (at->reached && at->score >= score)
    return;
  *at = (struct place){score, from, id, true};
}

/* Unigram: the way through the text with the highest sum of scores (Viterbi).
 * at[i] is the best way to byte i.  A character that is no piece by itself may
 * always be written as bytes, at a score below that of any piece. */
static void
best_way (const struct data_pieces *p, const char *text, size_t n,
          struct place *at)
{
  at[0] = (struct place){.reached = true, .id = -1};
  for (size_t i = 0; i < n; i++) {
    if (!at[i].reached)
      continue;
    size_t one = character (text + i, n - i);
    bool single = false;
    for (size_t k = one; k <= p->longest && i + k <= n;
         k += i + k < n ? character (text + i + k, n - i - k) : 1) {
      int32_t id = find (p, text + i, k);
      if (id < 0)
        continue;
      /* As the trainer's own: what a user has defined always wins. */
      float score =
          p->piece[id].type == USER ? (float)k * 0.1f : p->piece[id].score;
      offer (&at[i + k], at[i].score + score, i, id);
      single = single || k == one;
    }
    if (!single)
      offer (&at[i + one], at[i].score + p->least - 10, i, -1);
  }
}

/* BPE: merge the neighbours whose piece has the highest score, the first of
 * equals, until none is a piece.  at[i].from: where the symbol that begins at i
 * ends. */
static void
merge_all (const struct data_pieces *p, const char *text, size_t n,
           struct place *at)
{
  for (size_t i = 0; i < n; i = at[i].from)
    at[i].from = i + character (text + i, n - i);
  for (;;) {
    size_t best = n;
    float score = 0;
    for (size_t i = 0; i < n && at[i].from < n; i = at[i].from) {
      size_t end = at[at[i].from].from;
      int32_t id = find (p, text + i, end - i);
      if (id >= 0 && (best == n || p->piece[id].score > score)) {
        best = i;
        score = p->piece[id].score;
      }
    }
    if (best == n)
      return;
    at[best].from = at[at[best].from].from;
  }
}

/* A run of the text as one id, or as bytes. */
static size_t
emit (const struct data_pieces *p, int32_t id, const char *text, size_t n,
      int32_t *ids)
{
  if (id >= 0) {
    ids[0] = id;
    return 1;
  }
  for (size_t i = 0; i < n; i++)
    ids[i] = p->byte[(unsigned char)text[i]];
  return n;
}

static size_t
collect (const struct data_pieces *p, const char *text, size_t n,
         struct place *at, int32_t *ids)
{
  size_t have = 0;
  if (p->model == BPE) {
    for (size_t i = 0; i < n; i = at[i].from)
      have += emit (p, find (p, text + i, at[i].from - i), text + i,
                    at[i].from - i, ids + have);
    return have;
  }
  /* From the end back, then to the front. */
  size_t at_id = n;
  for (size_t i = n; i > 0; i = at[i].from) {
    size_t from = at[i].from;
    at_id -= at[i].id >= 0 ? 1 : i - from;
    emit (p, at[i].id, text + from, i - from, ids + at_id);
  }
  have = n - at_id;
  memmove (ids, ids + at_id, have * sizeof *ids);
  return have;
}

enum status
data_pieces_encode (const struct data_pieces *p, const char *line, size_t n,
                    int32_t *ids, size_t *n_ids)
{
  size_t room = MARK_BYTES * (n + 1), m = 0;
  *n_ids = 0;
  if (n == 0)
    return OK;
  char *text = NULL;
  struct place *at = NULL;
  enum status s = mem_new (room, 1, "a line", (void **)&text);
  if (s == OK)
    s = MEM_NEW (room + 1, &at, "a line");
  if (s == OK) {
    memcpy (text, MARK, MARK_BYTES);
    m = MARK_BYTES;
    for (size_t i = 0; i < n; i++)
      if (line[i] == ' ') {
        memcpy (text + m, MARK, MARK_BYTES);
        m += MARK_BYTES;
      } else
        text[m++] = line[i];
    if (p->model == BPE)
      merge_all (p, text, m, at);
    else
      best_way (p, text, m, at);
    *n_ids = collect (p, text, m, at, ids);
  }
  mem_free (&text);
  mem_free (&at);
  return s;
}

const char *
data_pieces_text (const struct data_pieces *p, int32_t id, char buf[256],
                  size_t *n)
{
  const struct piece *q = &p->piece[id];
  *n = 0;
  if (q->type == BYTE) {
    if (byte_of (q) >= 0)
      buf[(*n)++] = (char)byte_of (q);
    return buf;
  }
  if (q->type != NORMAL && q->type != USER)
    return buf;
  for (size_t i = 0; i < q->n && *n < 250; i++)
    if (q->n - i >= MARK_BYTES && memcmp (q->text + i, MARK, MARK_BYTES) == 0) {
      buf[(*n)++] = ' ';
      i += MARK_BYTES - 1;
    } else
      buf[(*n)++] = q->text[i];
  return buf;
}
