/* plant: data/pieces.c */
/* tests/fuzz/pieces.c -- a SentencePiece model, and a line in its pieces: the
 * model, its size in front, then the line. */
#include "data/pieces.h"
#include "tests/fuzz/fuzz.h"

enum { PIECES = 259 + 6 };

/* A model of bytes and a few pieces, as protocol buffers. */
static size_t
make_model (unsigned char *out, int type)
{
  static const char *const words[] = {"<unk>", "<s>", "</s>", "a", "b", "ab"};
  static const int types[] = {2, 3, 3, 1, 1, 1};
  size_t n = 0;
  for (int i = 0; i < 6 + 256; i++) {
    char byte[8];
    const char *word = i < 6 ? words[i] : byte;
    snprintf (byte, sizeof byte, "<0x%02X>", (unsigned)(i - 6) & 255);
    size_t length = strlen (word);
    float score = i < 6 ? -(float)i : 0;
    const unsigned char head[] = {0x0a, (unsigned char)(length + 9), 0x0a,
                                  (unsigned char)length};
    memcpy (out + n, head, 4);
    memcpy (out + n + 4, word, length);
    n += 4 + length;
    out[n++] = 0x15;
    memcpy (out + n, &score, 4);
    n += 4;
    out[n++] = 0x18;
    out[n++] = (unsigned char)(i < 6 ? types[i] : 6);
  }
  /* trainer_spec.model_type; normalizer_spec: identity. */
  const unsigned char tail[] = {0x12, 2,   0x18, (unsigned char)type,
                                0x1a, 10,  0x0a, 8,
                                'i',  'd', 'e',  'n',
                                't',  'i', 't',  'y'};
  memcpy (out + n, tail, sizeof tail);
  return n + sizeof tail;
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  static unsigned char model[PIECES * 24];
  (void)argc;
  (void)argv;
  if (!fuzz_seeds_wanted ())
    return 0;
  for (int type = 1; type <= 2; type++) {
    const struct fuzz_piece whole[] = {{model, make_model (model, type)},
                                       {"ab abba\303\244", 9}};
    const struct fuzz_piece cut[] = {{model, 40}, {"ab", 2}};
    fuzz_seed (type == 1 ? "unigram" : "bpe", true, 2, whole);
    fuzz_seed ("cut", true, 2, cut);
  }
  exit (0);
}

static void
encode (const struct data_pieces *p, const uint8_t *line, size_t n)
{
  size_t n_ids = 0;
  int32_t *ids = malloc (3 * (n + 1) * sizeof *ids);
  if (data_pieces_encode (p, (const char *)line, n, ids, &n_ids) == OK)
    for (size_t i = 0; i < n_ids; i++)
      if (ids[i] < 0 || ids[i] >= data_pieces_count (p))
        abort ();
  free (ids);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  struct data_pieces *p = NULL;
  const uint8_t *part, *line;
  fuzz_open ();
  size_t size = fuzz_part (&data, &n, &part);
  size_t n_line = fuzz_part (&data, &n, &line);
  uint8_t *model = malloc (size + !size); /* its end is the end of a block */
  if (size > 0)
    memcpy (model, part, size);
  if (data_pieces_open ("fuzz", model, size, &p) == OK) {
    char buf[256];
    for (int64_t i = 0; i < data_pieces_count (p); i++) {
      size_t length;
      (void)data_pieces_text (p, (int32_t)i, buf, &length);
    }
    (void)data_pieces_changes (p);
    (void)data_pieces_end (p);
    if (n_line < 512)
      encode (p, line, n_line);
  }
  data_pieces_close (&p);
  fail_clear ();
  free (model);
  return 0;
}
