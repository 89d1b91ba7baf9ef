/* data/print.c -- what `interlock info` says of a data set. */
#include "data/data_impl.h"

#include "store/file.h"

static enum status
check_split (struct data_set *d, enum data_split which, struct text *out)
{
  TRY (data_blocks_check (d, which));
  TRY (d->kind->check_split (d, which, out));
  return d->kind->labelled ? data_labels_check (d, which, out) : OK;
}

static enum status
print_parts (struct data_set *d, bool check, struct text *out)
{
  text_add (out, "%s: data set \"%s\", version 1, kind %s\n", d->path,
            d->info.name, d->info.kind);
  if (d->origin[0])
    text_add (out, "  origin: %s\n", d->origin);
  d->kind->print (d, out);
  for (int i = 0; i < DATA_SPLITS; i++)
    if (d->split[i].n > 0)
      TRY (d->kind->print_split (d, (enum data_split)i, out));
  text_add (out, "  digest of header and %s %016llx, %s on disk\n",
            d->kind->labelled ? "labels" : d->kind->set,
            (unsigned long long)d->info.digest,
            text_bytes ((double)store_file_bytes (d->path)));
  for (int i = 0; check && i < DATA_SPLITS; i++)
    if (d->split[i].n > 0)
      TRY (check_split (d, (enum data_split)i, out));
  return check && d->kind->check_rest ? d->kind->check_rest (d, out) : OK;
}

enum status
data_print (const char *path, bool check, struct text *out)
{
  struct data_set *d = NULL;
  TRY (data_open (path, &d));
  enum status s = print_parts (d, check, out);
  data_close (&d);
  return s;
}
