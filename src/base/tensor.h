/* base/tensor.h -- a shape, and a block of memory that goes with it. */
#ifndef BASE_TENSOR_H
#define BASE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TENSOR_DIMS 4

enum tensor_type { TENSOR_F32, TENSOR_BF16, TENSOR_I32, TENSOR_U8 };
/* Bytes of so many numbers.  Nothing else says how large one is. */
size_t
tensor_bytes (enum tensor_type type, int64_t count);

/* What the numbers are, and how they lie: as dims name them; channels in blocks
 * of `block`, padded up; or channels last.  Two tensors of equal bytes may
 * differ in it, so it travels with every message. */
enum tensor_layout { TENSOR_PLAIN, TENSOR_BLOCKED, TENSOR_LAST };
struct tensor_form {
  uint8_t type, layout, block; /* block: 0 unless TENSOR_BLOCKED */
};
bool
tensor_form_same (struct tensor_form a, struct tensor_form b);
/* "f32, channels in blocks of 16". */
#define TENSOR_FORM 64
void
tensor_form_text (struct tensor_form f, char out[TENSOR_FORM]);

/* Borrowed memory with a shape.  bytes may exceed the product of the dims:
 * blocked layouts pad channels.  A tensor that travels has TENSOR_HEADER bytes
 * of room in front of data, which belong to wire. */
#define TENSOR_HEADER 64
struct tensor {
  void *data; /* of form.type */
  size_t bytes;
  int n_dims;
  int64_t dims[TENSOR_DIMS];
  struct tensor_form form;
};
/* Product of dims. */
int64_t
tensor_count (const struct tensor *t);

/* A named tensor as files see it: plain row-major, PyTorch's layout. */
#define TENSOR_NAME 128
struct tensor_info {
  char name[TENSOR_NAME]; /* "layer1.0.conv1.weight", "heads/1/0.weight" */
  int n_dims;
  int64_t dims[TENSOR_DIMS];
  enum tensor_type type;
};
int64_t
tensor_info_count (const struct tensor_info *t);

#endif
