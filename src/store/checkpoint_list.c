/* store/checkpoint_list.c -- the list of tensors, as text between ranks and as
 * digests.
 */
#include "store/checkpoint_impl.h"

#include "base/hash.h"
#include "base/memory.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static size_t
bytes_of (enum tensor_type type, int n_dims, const int64_t *dims)
{
  int64_t count = 1;
  for (int i = 0; i < n_dims; i++)
    count *= dims[i];
  return tensor_bytes (type, count);
}

size_t
store_tensor_bytes (const struct store_tensor *t)
{
  return bytes_of (t->type, t->n_dims, t->dims);
}

size_t
store_entry_bytes (const struct store_entry *e)
{
  return bytes_of (e->type, e->n_dims, e->dims);
}

void
store_list_write (const struct store_tensor *tensors, int n, struct text *out)
{
  for (int i = 0; i < n; i++) {
    const struct store_tensor *t = &tensors[i];
    char digest[33] = "-";
    CHECK (t->path[0] == '/' && !strpbrk (t->path, " \n") && t->n_dims >= 0 &&
               t->n_dims <= TENSOR_DIMS,
           "tensor \"%s\" of %d dims", t->path, t->n_dims);
    text_add (out, "%s %d %d", t->path, (int)t->type, t->n_dims);
    for (int k = 0; k < TENSOR_DIMS; k++)
      text_add (out, " %" PRId64, k < t->n_dims ? t->dims[k] : 1);
    if (t->data)
      hash_digest (t->data, store_tensor_bytes (t), digest);
    text_add (out, " %s\n", digest);
  }
}

static int
by_path (const void *a, const void *b)
{
  const struct store_entry *x = a, *y = b;
  return strcmp (x->path, y->path);
}

static int
count_lines (const char *lines)
{
  int n = 0;
  for (const char *p = lines; *p; p++)
    n += *p == '\n';
  return n;
}

enum status
store_list_parse (const char *lines, struct store_list *out)
{
  struct store_list l = {0};
  int owner = 0;
  TRY (MEM_NEW ((size_t)count_lines (lines) + 1, &l.entry, "tensor list"));
  for (const char *p = lines; *p; p = strchr (p, '\n') + 1) {
    if (*p == '.') {
      owner++;
      continue;
    }
    struct store_entry *e = &l.entry[l.n++];
    e->owner = owner;
    int type = TENSOR_F32;
    int found = sscanf (
        p, "%191s %d %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %32s",
        e->path, &type, &e->n_dims, &e->dims[0], &e->dims[1], &e->dims[2],
        &e->dims[3], e->digest);
    CHECK (found == 8, "line \"%.80s\" of the tensor list", p);
    e->type = (enum tensor_type)type;
    l.bytes += (int64_t)store_entry_bytes (e);
  }
  qsort (l.entry, (size_t)l.n, sizeof *l.entry, by_path);
  for (int i = 1; i < l.n; i++)
    if (strcmp (l.entry[i - 1].path, l.entry[i].path) == 0) {
      enum status s =
          fail (E_PROTOCOL, "%s is given by ranks %d and %d", l.entry[i].path,
                l.entry[i - 1].owner, l.entry[i].owner);
      store_list_clear (&l);
      return s;
    }
  *out = l;
  return OK;
}

void
store_list_clear (struct store_list *l)
{
  mem_free (&l->entry);
  l->n = 0;
}

void
store_list_digest (const struct store_list *l, const struct store_attributes *a,
                   char out[33])
{
  struct text t;
  text_init (&t);
  text_add (&t, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n%s\n%s\n%s\n",
            a->step, a->epoch, a->sample, a->seed, a->config, a->tuning,
            a->library);
  if (a->order && a->order[0])
    text_add (&t, "order %s\n", a->order);
  if (a->data && a->data[0])
    text_add (&t, "data %s\n", a->data);
  if (a->metrics && a->metrics[0])
    text_add (&t, "metrics %s\n", a->metrics);
  if (a->progress && a->progress[0])
    text_add (&t, "progress %s\n", a->progress);
  for (int i = 0; i < l->n; i++) {
    const struct store_entry *e = &l->entry[i];
    text_add (&t, "%s %s %s\n", e->path,
              store_h5_shape_text (e->n_dims, e->dims), e->digest);
  }
  hash_digest (t.data, t.size, out);
  text_clear (&t);
}

static const char *
known (const char *word)
{
  return word && word[0] ? word : "-";
}

void
store_checkpoint_digests (const char *lines, const struct store_attributes *a,
                          struct store_digests *out)
{
  struct text part[2], state;
  text_init (&part[0]);
  text_init (&part[1]);
  text_init (&state);
  for (const char *p = lines; *p;) {
    int n = (int)strcspn (p, "\n");
    bool optimizer = strncmp (p, "/optimizer/", 11) == 0;
    text_add (&part[optimizer], "%.*s\n", n, p);
    p += n + (p[n] == '\n');
  }
  text_add (&state,
            "step %" PRId64 " epoch %" PRId64 " sample %" PRId64
            " seed %" PRId64 " order %s data %s\n",
            a->step, a->epoch, a->sample, a->seed, known (a->order),
            known (a->data));
  hash_digest (part[0].data, part[0].size, out->weights);
  hash_digest (part[1].data, part[1].size, out->optimizer);
  hash_digest (state.data, state.size, out->state);
  text_clear (&part[0]);
  text_clear (&part[1]);
  text_clear (&state);
}

void
store_list_digests (const struct store_list *l,
                    const struct store_attributes *a, struct store_digests *out)
{
  struct text lines;
  text_init (&lines);
  for (int i = 0; i < l->n; i++)
    text_add (&lines, "%s %s\n", l->entry[i].path, l->entry[i].digest);
  store_checkpoint_digests (lines.data, a, out);
  text_clear (&lines);
}
