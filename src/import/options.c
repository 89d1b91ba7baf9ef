/* import/options.c -- the words key=value of a kind of import. */
#include "import/import_impl.h"

#include <stdio.h>
#include <string.h>

enum status
import_options_parse (const char *kind, int n_options,
                      const char *const *options, struct import_option *known,
                      int n_known)
{
  const char *names[16];
  CHECK (n_known <= 16, "%d options", n_known);
  for (int k = 0; k < n_known; k++)
    names[k] = known[k].key;
  for (int i = 0; i < n_options; i++) {
    char key[64];
    const char *equals = strchr (options[i], '=');
    int length = equals ? (int)(equals - options[i]) : (int)strlen (options[i]);
    snprintf (key, sizeof key, "%.*s", length, options[i]);
    struct import_option *o = NULL;
    if (strcmp (key, "force") == 0) /* of all kinds: check_output */
      continue;
    for (int k = 0; k < n_known; k++)
      if (strcmp (known[k].key, key) == 0)
        o = &known[k];
    if (!o) {
      const char *near = text_nearest (key, names, (size_t)n_known);
      return fail (E_CONFIG, "import %s: unknown option \"%s\"%s%s%s", kind,
                   key, near ? "; did you mean \"" : "", near ? near : "",
                   near ? "\"?" : "");
    }
    if (o->text && equals && equals[1]) {
      *o->text = equals + 1;
      continue;
    }
    if (o->text)
      return fail (E_CONFIG, "import %s: \"%s\": expected %s=TEXT", kind,
                   options[i], key);
    int64_t value = 0;
    if (!equals || !text_to_long (equals + 1, &value) || value < o->least ||
        value > o->most)
      return fail (E_CONFIG,
                   "import %s: \"%s\": expected %s=N, N from %lld "
                   "to %lld",
                   kind, options[i], key, (long long)o->least,
                   (long long)o->most);
    o->value = value;
  }
  return OK;
}
