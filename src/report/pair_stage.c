/* report/pair_stage.c -- which stage a tensor of a checkpoint belongs to.
 *
 * By names alone: those of a ResNet's blocks are layerG.I, those of a
 * Transformer's layers h.N or layers.N; what is in front of them is the first
 * block, what is behind the last.  The resolved cut counts blocks.
 */
#include "report/pair_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Group and number in it of a block; false: none. */
static bool
block_of (const char *name, int *group, int *number)
{
  *group = 0;
  return sscanf (name, "layer%d.%d.", group, number) == 2 ||
         sscanf (name, "transformer.h.%d.", number) == 1 ||
         sscanf (name, "model.layers.%d.", number) == 1;
}

static const char *
next_line (const char *line)
{
  line += strcspn (line, "\n");
  return *line ? line + 1 : line;
}

/* Blocks in front of this one: each has a first tensor of its own. */
static int
blocks_before (const char *paths, int group, int number)
{
  int n = 0, last_g = -1, last_i = -1, g, i;
  for (const char *line = paths; *line; line = next_line (line)) {
    if (strncmp (line, "/model/", 7) != 0 || !block_of (line + 7, &g, &i) ||
        (g == last_g && i == last_i))
      continue;
    last_g = g;
    last_i = i;
    n += g < group || (g == group && i < number);
  }
  return n;
}

static bool
begins (const char *text, const char *word)
{
  return strncmp (text, word, strlen (word)) == 0;
}

/* Number of the block of a tensor of the model; -1: the last. */
static int
unit_of (const char *paths, const char *name)
{
  int g, i;
  if (block_of (name, &g, &i))
    return 1 + blocks_before (paths, g, i);
  /* A matrix that the output shares is kept by the last stage. */
  if ((begins (name, "transformer.wte.") ||
       begins (name, "model.embed_tokens.")) &&
      !strstr (paths, "/model/lm_head.weight"))
    return -1;
  return begins (name, "conv1.") || begins (name, "bn1.") ||
                 begins (name, "transformer.w") || begins (name, "model.embed_")
             ? 0
             : -1;
}

int
pair_stage (const struct words *config, const char *paths, const char *path)
{
  int K = (int)words_number (config, KEY_NAME (count)), head;
  const char *cut = words_get (config, KEY_NAME (cut));
  const char *name = strstr (path, "/model/");
  if (sscanf (path, "/heads/%d/", &head) == 1 ||
      sscanf (path, "/optimizer/%*[^/]/heads/%d/", &head) == 1)
    return head;
  if (!name || K < 1 || !cut[0] || strspn (cut, "0123456789,") < strlen (cut))
    return -1;
  int unit = unit_of (paths, name + strlen ("/model/"));
  for (int k = 0; unit >= 0 && k < K - 1; k++) {
    char *end;
    unit -= (int)strtol (cut, &end, 10);
    if (unit < 0)
      return k;
    cut = end + (*end == ',');
  }
  return K - 1;
}

bool
pair_same_stages (const struct side *a, const struct side *b)
{
  return strcmp (words_get (&a->run.config, KEY_NAME (count)),
                 words_get (&b->run.config, KEY_NAME (count))) == 0 &&
         strcmp (words_get (&a->run.config, KEY_NAME (cut)),
                 words_get (&b->run.config, KEY_NAME (cut))) == 0;
}
