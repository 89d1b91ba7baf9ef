/* base/tensor.h -- a shape, and a block of memory that goes with it. */
#ifndef BASE_TENSOR_H
#define BASE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#define TENSOR_DIMS 4

/* Borrowed memory with a shape.  bytes may exceed the product of the dims:
 * blocked layouts pad channels.  A tensor that travels has TENSOR_HEADER bytes
 * of room in front of data, which belong to wire. */
#define TENSOR_HEADER 64
struct tensor {
  float *data;
  size_t bytes;
  int n_dims;
  int64_t dims[TENSOR_DIMS];
};
/* Product of dims. */
int64_t
tensor_count (const struct tensor *t);

/* A named tensor as files see it: plain row-major f32, PyTorch's layout. */
#define TENSOR_NAME 128
struct tensor_info {
  char name[TENSOR_NAME]; /* "layer1.0.conv1.weight", "heads/1/0.weight" */
  int n_dims;
  int64_t dims[TENSOR_DIMS];
};
int64_t
tensor_info_count (const struct tensor_info *t);

#endif
