/* model/network.c -- the row of units of a network, and written cuts.
 *
 * A network is its spec and one recipe per unit; it holds no weights.  Cutting
 * by cost is plan's affair, only a written cut is read here.
 */
#include "model/family.h"
#include "model/recipe_impl.h"
#include "base/memory.h"
#include "base/text.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct network {
  struct model_spec spec;
  char shared[TENSOR_NAME]; /* the matrix of the output */
  int n;                    /* units */
  struct recipe *unit;      /* n, owned */
};

/* -- networks -------------------------------------------------------------- */

enum status
network_create (const struct model_spec *spec, struct network **out)
{
  const struct family *f = family_at (spec->family);
  struct network *net = NULL;
  enum status s;
  TRY (f->check (spec));
  TRY (MEM_NEW (1, &net, "network"));
  net->spec = *spec;
  if (!f->rows) { /* one position, and nothing that rows have */
    net->spec.context = 1;
    net->spec.tied = false;
    net->spec.head_tokens = 0;
  }
  snprintf (net->shared, sizeof net->shared, "%s.weight",
            recipe_shared_name (&net->spec));
  net->n = f->units (spec);
  TRY_GOTO (MEM_NEW ((size_t)net->n, &net->unit, "units"), bad);
  f->make (spec, net->unit);
  *out = net;
  return OK;
bad:
  network_destroy (&net);
  return s;
}

void
network_destroy (struct network **net)
{
  if (!*net)
    return;
  mem_free (&(*net)->unit);
  mem_free (net);
}

const struct model_spec *
network_spec (const struct network *net)
{
  return &net->spec;
}

const struct family *
network_family (const struct network *net)
{
  return family_at (net->spec.family);
}

int
network_units (const struct network *net)
{
  return net->n;
}

const struct recipe *
network_recipe (const struct network *net, int i)
{
  CHECK (i >= 0 && i < net->n, "unit %d of %d", i, net->n);
  return &net->unit[i];
}

void
network_unit (const struct network *net, int i, struct network_unit *out)
{
  const struct recipe *r = network_recipe (net, i);
  recipe_cost (r, out);
  out->name = r->name;
  if (i == 0)
    out->work.data = 0;
}

int64_t
network_params (const struct network *net)
{
  int64_t sum = 0;
  for (int i = 0; i < net->n; i++) {
    struct network_unit u;
    network_unit (net, i, &u);
    sum += u.params;
  }
  return sum;
}

enum status
network_head (const struct network *net, int after, const char *grammar,
              struct network_unit *out)
{
  struct recipe_row r;
  CHECK (after < net->n - 1, "a head behind the output unit");
  TRY (recipe_head (grammar, net, after, &r));
  recipe_row_cost (&r, out);
  out->name = "head";
  return OK;
}

bool
network_head_known (const struct network *net, int after, int i,
                    char grammar[NETWORK_HEAD])
{
  return network_family (net)->head (i, network_recipe (net, after)->out,
                                     grammar);
}

void
network_border (const struct network *net, int first, enum model_border border,
                struct network_unit *out)
{
  struct recipe r;
  *out = (struct network_unit){.name = "border"};
  if (first == 0 || border == MODEL_BORDER_NONE)
    return;
  recipe_border (&r, border, network_recipe (net, first)->in,
                 network_family (net)->rows);
  recipe_cost (&r, out);
}

int64_t
network_positions (const struct network *net, bool inner)
{
  const struct model_spec *s = &net->spec;
  if (!inner || s->head_tokens <= 0)
    return s->context;
  int64_t taken = llround (s->head_tokens * (double)s->context);
  return taken < 1 ? 1 : taken;
}

bool
network_head_shares (const char *head)
{
  const size_t n = strlen (head), word = strlen ("shared");
  return n >= word && strcmp (head + n - word, "shared") == 0;
}

double
network_head_rebuilds (const char *head)
{
  static const char suffix[] = "+rec";
  const size_t n = sizeof suffix - 1;
  const char *at = strchr (head, '+');
  double weight = 1;
  if (!at || strncmp (at, suffix, n) != 0)
    return 0;
  if (at[n] && !text_to_double (at + n, &weight))
    return 0;
  return weight > 0 && weight <= 1000 ? weight : 0;
}

bool
network_shares (const struct network *net, const char *head)
{
  return net->spec.tied || (head && network_head_shares (head));
}

const char *
network_shared_name (const struct network *net)
{
  return net->shared;
}

/* -- written cuts ---------------------------------------------------------- */

/* Units of each stage into size[0..n_stages-1]; the place of `rest` into *rest
 * (-1: none). */
static enum status
cut_words (const char *text, int n_stages, int *size, int *rest)
{
  const char *at = text;
  int n = 0;
  *rest = -1;
  for (;; at++) {
    char word[32];
    int64_t units = 0;
    if (!text_piece (&at, word, sizeof word))
      return fail (E_CONFIG, "cut \"%s\": stage %d has no number", text, n);
    if (n == n_stages)
      return fail (E_CONFIG,
                   "cut \"%s\" names more than the %d stages asked "
                   "for",
                   text, n_stages);
    if (strcmp (word, "rest") == 0 && *rest < 0)
      *rest = n;
    else if (!text_to_long (word, &units) || units < 1 || units > 1 << 20)
      return fail (E_CONFIG,
                   "cut \"%s\": \"%s\" for stage %d is not a number "
                   "of units (1 or more; \"rest\" once), nor is all of it "
                   "auto or measured",
                   text, word, n);
    size[n++] = (int)units;
    if (*at == '\0')
      break;
  }
  if (n != n_stages)
    return fail (E_CONFIG, "cut \"%s\" names %d stages, %d are asked for", text,
                 n, n_stages);
  return OK;
}

enum status
network_cut_parse (const struct network *net, const char *text, int n_stages,
                   int *first)
{
  int rest, sum = 0;
  CHECK (n_stages >= 1, "%d stages", n_stages);
  TRY (cut_words (text, n_stages, first + 1, &rest));
  for (int k = 1; k <= n_stages; k++)
    sum += first[k];
  if (rest >= 0 && sum < net->n) {
    first[rest + 1] = net->n - sum;
    sum = net->n;
  } else if (rest >= 0)
    return fail (E_CONFIG,
                 "cut \"%s\" leaves nothing for stage %d: the "
                 "network has %d units",
                 text, rest, net->n);
  if (sum != net->n)
    return fail (E_CONFIG, "cut \"%s\" adds up to %d units, the network has %d",
                 text, sum, net->n);
  first[0] = 0;
  for (int k = 1; k <= n_stages; k++)
    first[k] += first[k - 1];
  return OK;
}
