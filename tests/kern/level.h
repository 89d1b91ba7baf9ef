/* tests/kern/level.h -- own loops compiled for one instruction set under names
 * of their own, so that one program holds several.
 *
 * Read ahead of every file of such a library (see room.am), which sets LEVEL.
 * Every function of these files is here; one that is forgotten is defined
 * twice, and the linker says so.
 */
#ifndef TESTS_KERN_LEVEL_H
#define TESTS_KERN_LEVEL_H

#define LEVEL_JOIN(level, name) level##_##name
#define LEVEL_NAME(level, name) LEVEL_JOIN (level, name)

/* clang-format off */
#define kern_adamw LEVEL_NAME (LEVEL, kern_adamw)
#define kern_add_gate LEVEL_NAME (LEVEL, kern_add_gate)
#define kern_add_relu LEVEL_NAME (LEVEL, kern_add_relu)
#define kern_attention_back LEVEL_NAME (LEVEL, kern_attention_back)
#define kern_attention_decode LEVEL_NAME (LEVEL, kern_attention_decode)
#define kern_attention_forward LEVEL_NAME (LEVEL, kern_attention_forward)
#define kern_attention_want LEVEL_NAME (LEVEL, kern_attention_want)
#define kern_angles_clear LEVEL_NAME (LEVEL, kern_angles_clear)
#define kern_axpy LEVEL_NAME (LEVEL, kern_axpy)
#define kern_bilinear_back LEVEL_NAME (LEVEL, kern_bilinear_back)
#define kern_bilinear_forward LEVEL_NAME (LEVEL, kern_bilinear_forward)
#define kern_combine LEVEL_NAME (LEVEL, kern_combine)
#define kern_dot LEVEL_NAME (LEVEL, kern_dot)
#define kern_drop_least LEVEL_NAME (LEVEL, kern_drop_least)
#define kern_drop_some LEVEL_NAME (LEVEL, kern_drop_some)
#define kern_dropout LEVEL_NAME (LEVEL, kern_dropout)
#define kern_embed LEVEL_NAME (LEVEL, kern_embed)
#define kern_embed_back LEVEL_NAME (LEVEL, kern_embed_back)
#define kern_flatten LEVEL_NAME (LEVEL, kern_flatten)
#define kern_gelu LEVEL_NAME (LEVEL, kern_gelu)
#define kern_gelu_back LEVEL_NAME (LEVEL, kern_gelu_back)
#define kern_linear_back_data LEVEL_NAME (LEVEL, kern_linear_back_data)
#define kern_linear_back_weights LEVEL_NAME (LEVEL, kern_linear_back_weights)
#define kern_linear_create LEVEL_NAME (LEVEL, kern_linear_create)
#define kern_linear_destroy LEVEL_NAME (LEVEL, kern_linear_destroy)
#define kern_linear_forward LEVEL_NAME (LEVEL, kern_linear_forward)
#define kern_linear_prove LEVEL_NAME (LEVEL, kern_linear_prove)
#define kern_linear_refresh LEVEL_NAME (LEVEL, kern_linear_refresh)
#define kern_linear_run_data LEVEL_NAME (LEVEL, kern_linear_run_data)
#define kern_linear_run LEVEL_NAME (LEVEL, kern_linear_run)
#define kern_linear_run_weights LEVEL_NAME (LEVEL, kern_linear_run_weights)
#define kern_loss LEVEL_NAME (LEVEL, kern_loss)
#define kern_mean_back LEVEL_NAME (LEVEL, kern_mean_back)
#define kern_mean_forward LEVEL_NAME (LEVEL, kern_mean_forward)
#define kern_pack LEVEL_NAME (LEVEL, kern_pack)
#define kern_pack_over LEVEL_NAME (LEVEL, kern_pack_over)
#define kern_precision LEVEL_NAME (LEVEL, kern_precision)
#define kern_precision_set LEVEL_NAME (LEVEL, kern_precision_set)
#define kern_round LEVEL_NAME (LEVEL, kern_round)
#define kern_unpack_over LEVEL_NAME (LEVEL, kern_unpack_over)
#define kern_norm_back LEVEL_NAME (LEVEL, kern_norm_back)
#define kern_norm_back_weights LEVEL_NAME (LEVEL, kern_norm_back_weights)
#define kern_norm_bare LEVEL_NAME (LEVEL, kern_norm_bare)
#define kern_norm_bare_back LEVEL_NAME (LEVEL, kern_norm_bare_back)
#define kern_norm_forward LEVEL_NAME (LEVEL, kern_norm_forward)
#define kern_peak_flops LEVEL_NAME (LEVEL, kern_peak_flops)
#define kern_picture_loss LEVEL_NAME (LEVEL, kern_picture_loss)
#define kern_pool_back LEVEL_NAME (LEVEL, kern_pool_back)
#define kern_pool_create LEVEL_NAME (LEVEL, kern_pool_create)
#define kern_pool_destroy LEVEL_NAME (LEVEL, kern_pool_destroy)
#define kern_pool_forward LEVEL_NAME (LEVEL, kern_pool_forward)
#define kern_pool_mask_bytes LEVEL_NAME (LEVEL, kern_pool_mask_bytes)
#define kern_relu LEVEL_NAME (LEVEL, kern_relu)
#define kern_relu_back LEVEL_NAME (LEVEL, kern_relu_back)
#define kern_rms_back LEVEL_NAME (LEVEL, kern_rms_back)
#define kern_rms_back_weights LEVEL_NAME (LEVEL, kern_rms_back_weights)
#define kern_rms_forward LEVEL_NAME (LEVEL, kern_rms_forward)
#define kern_rows_put LEVEL_NAME (LEVEL, kern_rows_put)
#define kern_rows_take LEVEL_NAME (LEVEL, kern_rows_take)
#define kern_rope LEVEL_NAME (LEVEL, kern_rope)
#define kern_rope_angles LEVEL_NAME (LEVEL, kern_rope_angles)
#define kern_sgd LEVEL_NAME (LEVEL, kern_sgd)
#define kern_sum_squares LEVEL_NAME (LEVEL, kern_sum_squares)
#define kern_swiglu LEVEL_NAME (LEVEL, kern_swiglu)
#define kern_swiglu_back LEVEL_NAME (LEVEL, kern_swiglu_back)
#define kern_unflatten LEVEL_NAME (LEVEL, kern_unflatten)
#define kern_zero LEVEL_NAME (LEVEL, kern_zero)
/* clang-format on */

#endif
