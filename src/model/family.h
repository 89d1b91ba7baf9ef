/* model/family.h -- families of networks: a struct of functions in one file
 * each, a row in one list (MODEL_FAMILIES of network.h).
 *
 * Nobody else asks of which family a network is; who has to know something
 * finds it here.  The functions take specs of their own family only.
 */
#ifndef MODEL_FAMILY_H
#define MODEL_FAMILY_H

#include "model/network.h"

struct recipe;
struct head_word;

struct family {
  const char *name;   /* "resnet", of model.family */
  const char *called; /* "a ResNet" */
  const char *parts;  /* its units but for the last: "stem, residual blocks" */
  const char *data;   /* the kind of data set that it learns from: "images" */
  const char *prefix[2]; /* of tensors' names, which other programs may leave
                            out; NULL: none */
  bool rows;     /* tensors between units are rows, [B, T, D]; else images, [B,
                    C, H, W], and T is 1 */
  bool language; /* labels are the next tokens of a text: losses are told as
                    perplexity and bits per byte, too */
  /* Name of preset i, NULL behind the last; out not NULL: write what it says
   * over the family's own members. */
  const char *(*preset) (size_t i, struct model_spec *out);
  /* E_CONFIG says what is wrong. */
  enum status (*check) (const struct model_spec *s);
  /* How many units, and all of them; unit: zeroed. */
  int (*units) (const struct model_spec *s);
  void (*make) (const struct model_spec *s, struct recipe *unit);
  /* Whether weights of one fit into the other. */
  bool (*same) (const struct model_spec *a, const struct model_spec *b);
  /* Head i of those that are known, see network_head_known; out: dims of the
   * tensor that it stands behind. */
  bool (*head) (int i, struct kern_dims out, char grammar[NETWORK_HEAD]);
  /* A block such as `unit`, one of its recipes, but behind a tensor of dims
   * `in`; NULL: the same.  Its tensors' names begin as those of unit. */
  void (*like) (const struct model_spec *s, const struct recipe *unit,
                struct kern_dims in, struct recipe *out);
  /* Words of a head behind such blocks. */
  const char *(*ending) (const struct model_spec *s);
  /* Words of its heads' grammar; NULL behind the last. */
  const struct head_word *const *words;
};
const struct family *
family_at (enum model_family f);
/* The family of a network. */
const struct family *
network_family (const struct network *net);

#endif
