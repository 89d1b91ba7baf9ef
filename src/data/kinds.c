/* data/kinds.c -- which kinds of data there are.
 *
 * Two kinds may share the word that a file has for them: then what lies in it
 * decides.
 */
#include "data/data_impl.h"

#include <stdio.h>
#include <string.h>

static const struct data_kind *const rows[] = {&data_pixels, &data_photographs,
                                               &data_tokens};
#define N_ROWS ((int)(sizeof rows / sizeof rows[0]))

const struct data_kind *
data_kind (int i)
{
  return i < N_ROWS ? rows[i] : NULL;
}

const struct data_kind *
data_kind_of (hid_t file, const char *word, enum data_split which)
{
  const struct data_kind *first = NULL;
  char path[48];
  for (int i = 0; i < N_ROWS; i++) {
    if (strcmp (rows[i]->word, word) != 0)
      continue;
    first = first ? first : rows[i];
    snprintf (path, sizeof path, "/%s/%s", data_split_name (which),
              rows[i]->set);
    if (store_h5_has (file, path))
      return rows[i];
  }
  return first;
}
