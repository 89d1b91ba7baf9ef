/* plant: data/png.c */
/* tests/fuzz/images.c -- one JPEG or PNG image, decoded as the importer and the
 * loader do it, and once through the importer of folders. */
#include "data/image.h"
#include "import/import.h"
#include "tests/fuzz/fuzz.h"
#include "tests/data/photos.h"

/* A larger picture is a matter of time alone. */
#define PIXELS_MOST (1 << 20)

static void
seed_file (const char *name, const char *path)
{
  static char bytes[65536];
  FILE *f = fopen (path, "rb");
  size_t n = f ? fread (bytes, 1, sizeof bytes, f) : 0;
  const struct fuzz_piece piece = {bytes, n};
  if (!f || fclose (f) != 0)
    abort ();
  fuzz_seed (name, false, 1, &piece);
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  (void)argc;
  (void)argv;
  if (!fuzz_seeds_wanted ())
    return 0;
  fuzz_open ();
  photo_write (scratch ("a.jpg"), 1, 9, 7);
  seed_file ("jpeg", scratch ("a.jpg"));
  if (photo_png (scratch ("a.png"), 2, 9, 7, 3))
    seed_file ("png", scratch ("a.png"));
  if (photo_png (scratch ("b.png"), 2, 5, 4, 4))
    seed_file ("alpha", scratch ("b.png"));
  const struct fuzz_piece cut = {"\211PNG\r\n\032\n\0\0\0\015IHDR", 16};
  fuzz_seed ("cut", false, 1, &cut);
  exit (0);
}

static void
decode_jpeg (struct data_codec *c, const uint8_t *data, size_t n)
{
  int width = 0, height = 0;
  bool warned = false;
  if (!data_codec_size (c, data, n, &width, &height) ||
      (int64_t)width * height > PIXELS_MOST)
    return;
  unsigned char *rgb = malloc ((size_t)width * (size_t)height * CODEC_PIXEL);
  (void)data_codec_decode (c, data, n, width, height, rgb, &warned);
  free (rgb);
}

static void
decode_png (const uint8_t *data, size_t n)
{
  int width = 0, height = 0;
  if (data_png_size ("fuzz", data, n, &width, &height) != OK ||
      (int64_t)width * height > PIXELS_MOST)
    return;
  unsigned char *rgb = malloc ((size_t)width * (size_t)height * CODEC_PIXEL);
  (void)data_png_decode ("fuzz", data, n, width, height, rgb);
  free (rgb);
}

static void
import_folder (const char *name, const uint8_t *data, size_t n)
{
  const char *const inputs[] = {scratch_folder};
  const char *const options[] = {"size=8", "valid=0", "test=0"};
  const char *path = scratch ("train/a/%s", name), *out = scratch ("out.h5");
  scratch_write (path, data, n);
  (void)import_run ("folder", 1, inputs, 3, options, out);
  remove (path);
  remove (out);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  static struct data_codec *codec;
  fuzz_open ();
  if (!codec) {
    if (data_codec_open ("fuzz", &codec) != OK)
      abort ();
    mkdir (scratch ("train"), 0777);
    mkdir (scratch ("train/a"), 0777);
    mkdir (scratch ("train/b"), 0777);
    photo_write (scratch ("train/b/good.jpg"), 1, 9, 7);
  }
  bool png = data_png_is (data, n);
  if (png)
    decode_png (data, n);
  else
    decode_jpeg (codec, data, n);
  fail_clear ();
  int width = 0, height = 0;
  if (png ? data_png_size ("fuzz", data, n, &width, &height) == OK
          : data_codec_size (codec, data, n, &width, &height))
    if ((int64_t)width * height <= 4096)
      import_folder (png ? "x.png" : "x.jpg", data, n);
  fail_clear ();
  return 0;
}
