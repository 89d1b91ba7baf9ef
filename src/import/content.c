/* import/content.c -- what a file is, by its first bytes.
 *
 * Users give archives, tables and pictures of other formats under any name.  A
 * row says which format begins with these bytes, which importers cannot read
 * it, and what to do about it.
 */
#include "import/import_impl.h"

#include <string.h>

struct row {
  size_t at;
  const char *bytes; /* a "?" stands for any */
  size_t n;
  int where; /* for which readers it is no input */
  const char *name, *cure;
};

#define TEXT IMPORT_CONTENT_TEXT
#define IDS IMPORT_CONTENT_IDS
#define IMAGES IMPORT_CONTENT_IMAGES
#define PACKED IMPORT_CONTENT_PACKED
#define ALL (TEXT | IDS | IMAGES)
#define B(words) words, sizeof words - 1
#define TABLE "write its texts to a file of lines first"
#define CONVERT "convert it to PNG or JPEG first"
#define UNPACK "unpack it first"

/* The first that fits. */
static const struct row rows[] = {
    {0, B ("PK\3\4"), ALL, "a zip archive", UNPACK " (unzip)"},
    {0, B ("BZh?1AY&SY"), ALL | PACKED, "bzip2 data", UNPACK " (bunzip2)"},
    {0, B ("\x28\xb5\x2f\xfd"), ALL | PACKED, "zstd data", UNPACK " (unzstd)"},
    {0, B ("\x04\x22\x4d\x18"), ALL, "lz4 data", UNPACK " (unlz4)"},
    {0, B ("7z\xbc\xaf\x27\x1c"), ALL, "a 7z archive", UNPACK " (7z x)"},
    {0, B ("Rar!\x1a\7"), ALL, "a rar archive", UNPACK " (unrar x)"},
    {0, B ("LZIP\1"), ALL, "lzip data", UNPACK " (lzip -d)"},
    {0, B ("\x1f\x8b\x08"), IMAGES | PACKED, "gzip data", UNPACK " (gunzip)"},
    {0,
     B ("\xfd"
        "7zXZ\0"),
     IMAGES | PACKED, "xz data", UNPACK " (unxz)"},
    {0, B ("\x1f\x9d"), TEXT | IMAGES, "compress data", UNPACK " (gunzip)"},
    {257, B ("ustar"), ALL, "a tar archive", UNPACK " (tar xf)"},
    {0, B ("PAR1"), ALL, "a parquet table", TABLE},
    {0, B ("ARROW1"), ALL, "an Arrow table", TABLE},
    {0, B ("Obj\1"), ALL, "an Avro table", TABLE},
    {0, B ("SQLite format 3"), ALL, "an SQLite database", TABLE},
    {0, B ("\x89HDF\r\n\x1a\n"), ALL, "an HDF5 file",
     "a data set file is used as it is, by data.file="},
    {0, B ("\x93NUMPY"), TEXT | IMAGES, "a NumPy array",
     "import tokens takes one of ids"},
    {0, B ("MMIDIDX\0"), ALL, "the index of Megatron's data",
     "the ids are in the .bin beside it"},
    {0, B ("\x80\2}"), TEXT | IMAGES, "a Python pickle", TABLE},
    {0, B ("\x80\4\x95"), TEXT | IMAGES, "a Python pickle", TABLE},
    {0, B ("version https://git-lfs"), ALL, "a pointer of Git LFS",
     "get the file itself (git lfs pull)"},
    {0, B ("%PDF-"), ALL, "a PDF", "take its text first (pdftotext)"},
    {0,
     B ("\x7f"
        "ELF"),
     ALL, "a program", "name the file of data"},
    {0, B ("\x89PNG\r\n\x1a\n"), TEXT | IDS, "a PNG image",
     "import folder takes images"},
    {0, B ("\xff\xd8\xff"), TEXT, "a JPEG image", "import folder takes images"},
    {0, B ("GIF87a"), ALL, "a GIF image", CONVERT},
    {0, B ("GIF89a"), ALL, "a GIF image", CONVERT},
    {0, B ("RIFF????WEBP"), ALL, "a WebP image", CONVERT},
    {0, B ("RIFF????WAVE"), ALL, "a WAV sound", "name the file of data"},
    {0, B ("BM????\0\0\0\0"), TEXT | IMAGES, "a BMP image", CONVERT},
    {0, B ("II*\0"), TEXT | IMAGES, "a TIFF image", CONVERT},
    {0, B ("MM\0*"), TEXT | IMAGES, "a TIFF image", CONVERT},
    {0, B ("II+\0"), TEXT | IMAGES, "a TIFF image", CONVERT},
    {4, B ("ftypavif"), ALL, "an AVIF image", CONVERT},
    {4, B ("ftyphei"), ALL, "a HEIC image", CONVERT},
    {4, B ("ftypmif1"), ALL, "a HEIF image", CONVERT},
    {4, B ("ftyp"), TEXT | IMAGES, "a film", "take pictures from it first"},
    {4, B ("jP  \r\n"), ALL, "a JPEG 2000 image", CONVERT},
    {4, B ("JXL \r\n"), ALL, "a JPEG XL image", CONVERT},
    {0, B ("\xff\x0a"), IMAGES, "a JPEG XL image", CONVERT},
    {0, B ("8BPS\0"), ALL, "a Photoshop image", CONVERT},
    {0, B ("\0\0\1\0"), IMAGES, "an icon", CONVERT},
    {0, B ("P5\n"), IMAGES, "a PGM image", CONVERT},
    {0, B ("P6\n"), IMAGES, "a PPM image", CONVERT},
    {0, B ("<svg"), IMAGES, "an SVG drawing", CONVERT},
    {0, B ("<?xml"), IMAGES, "XML", "did the download fail?"},
    {0, B ("<!"), IMAGES, "an HTML page", "did the download fail?"},
    {0, B ("<html"), IMAGES, "an HTML page", "did the download fail?"},
    {0, B ("<HTML"), IMAGES, "an HTML page", "did the download fail?"},
    {0, B ("{\""), IMAGES, "JSON", "did the download fail?"},
    {0, B ("\xff\xfe\0\0"), TEXT, "UTF-32 text",
     "write it as UTF-8 first (iconv -f UTF-32 -t UTF-8)"},
    {0, B ("\0\0\xfe\xff"), TEXT, "UTF-32 text",
     "write it as UTF-8 first (iconv -f UTF-32 -t UTF-8)"},
    {0, B ("\xff\xfe"), TEXT, "UTF-16 text",
     "write it as UTF-8 first (iconv -f UTF-16 -t UTF-8)"},
    {0, B ("\xfe\xff"), TEXT, "UTF-16 text",
     "write it as UTF-8 first (iconv -f UTF-16 -t UTF-8)"},
};

static bool
begins (const struct row *r, const unsigned char *p, size_t n)
{
  if (n < r->at + r->n)
    return false;
  for (size_t i = 0; i < r->n; i++)
    if (r->bytes[i] != '?' && p[r->at + i] != (unsigned char)r->bytes[i])
      return false;
  return true;
}

/* Text in units of two or four bytes without a mark: zeros stand where the
 * letters of most scripts have none. */
static const char *
wide_text (const unsigned char *p, size_t n)
{
  size_t zeros[4] = {0}, units = (n < 4096 ? n : 4096) / 4;
  for (size_t i = 0; i < 4 * units; i++)
    zeros[i % 4] += p[i] == 0;
  if (units < 4)
    return NULL;
  bool many[4];
  for (int k = 0; k < 4; k++) {
    many[k] = zeros[k] * 10 >= units * 4;
    if (!many[k] && zeros[k] * 20 > units)
      return NULL; /* zeros everywhere: something else */
  }
  int mask = many[0] | many[1] << 1 | many[2] << 2 | many[3] << 3;
  return mask == 10   ? "UTF-16LE"
         : mask == 5  ? "UTF-16BE"
         : mask == 14 ? "UTF-32LE"
         : mask == 7  ? "UTF-32BE"
                      : NULL;
}

bool
import_content_known (const unsigned char *p, size_t n, int where,
                      const char **name, const char **cure)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if ((rows[i].where & where) && begins (&rows[i], p, n)) {
      *name = rows[i].name;
      *cure = rows[i].cure;
      return true;
    }
  return false;
}

enum status
import_content_check (const char *path, const unsigned char *p, size_t n,
                      int where)
{
  const char *name, *cure;
  if (import_content_known (p, n, where, &name, &cure))
    return fail (E_DATA, "%s: is %s: %s", path, name, cure);
  const char *wide = where == TEXT ? wide_text (p, n) : NULL;
  if (wide)
    return fail (E_DATA,
                 "%s: is %s text, by its zeros: write it as UTF-8 first (iconv "
                 "-f %s -t UTF-8)",
                 path, wide, wide);
  return OK;
}
