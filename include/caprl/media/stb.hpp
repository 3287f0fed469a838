#pragma once

// stb_image with internal linkage in a namespace of its own, JPEG and PNG only, so that any number of translation units
// may include it and a program may use stb_image itself, before or after this header. What stb_image includes is
// included here first, at global scope.
#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#pragma push_macro("STBI_INCLUDE_STB_IMAGE_H")
#pragma push_macro("STB_IMAGE_IMPLEMENTATION")
#pragma push_macro("STB_IMAGE_STATIC")
#pragma push_macro("STBIDEF")
#pragma push_macro("STBI_NO_STDIO")
#pragma push_macro("STBI_NO_LINEAR")
#pragma push_macro("STBI_ONLY_JPEG")
#pragma push_macro("STBI_ONLY_PNG")
#pragma push_macro("STBI_NO_JPEG")
#pragma push_macro("STBI_NO_PNG")
#pragma push_macro("STBI_NO_BMP")
#pragma push_macro("STBI_NO_PSD")
#pragma push_macro("STBI_NO_TGA")
#pragma push_macro("STBI_NO_GIF")
#pragma push_macro("STBI_NO_HDR")
#pragma push_macro("STBI_NO_PIC")
#pragma push_macro("STBI_NO_PNM")
#pragma push_macro("STBI_ASSERT")
#pragma push_macro("STBI_MALLOC")
#pragma push_macro("STBI_REALLOC")
#pragma push_macro("STBI_REALLOC_SIZED")
#pragma push_macro("STBI_FREE")
#pragma push_macro("STBI_MAX_DIMENSIONS")
#pragma push_macro("FAST_BITS")
#pragma push_macro("stbi__err")
#pragma push_macro("stbi__errpf")
#pragma push_macro("stbi__errpuc")
#pragma push_macro("stbi__vertically_flip_on_load")
#pragma push_macro("stbi__unpremultiply_on_load")
#pragma push_macro("stbi__de_iphone_flag")
#undef STBI_INCLUDE_STB_IMAGE_H
#undef STB_IMAGE_IMPLEMENTATION
#undef STB_IMAGE_STATIC
#undef STBIDEF
#undef STBI_NO_STDIO
#undef STBI_NO_LINEAR
#undef STBI_ONLY_JPEG
#undef STBI_ONLY_PNG
#undef STBI_NO_JPEG
#undef STBI_NO_PNG
#undef STBI_NO_BMP
#undef STBI_NO_PSD
#undef STBI_NO_TGA
#undef STBI_NO_GIF
#undef STBI_NO_HDR
#undef STBI_NO_PIC
#undef STBI_NO_PNM
#undef STBI_ASSERT
#undef STBI_MALLOC
#undef STBI_REALLOC
#undef STBI_REALLOC_SIZED
#undef STBI_FREE
#undef STBI_MAX_DIMENSIONS
#undef FAST_BITS
#undef stbi__err
#undef stbi__errpf
#undef stbi__errpuc
#undef stbi__vertically_flip_on_load
#undef stbi__unpremultiply_on_load
#undef stbi__de_iphone_flag
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG

// C functions, which have no namespace: under names of their own.
#define stbi_failure_reason caprl_stbi_failure_reason
#define stbi_image_free caprl_stbi_image_free
#define stbi_set_flip_vertically_on_load caprl_stbi_set_flip_vertically_on_load
#define stbi_set_flip_vertically_on_load_thread caprl_stbi_set_flip_vertically_on_load_thread
#define stbi_load_16_from_memory caprl_stbi_load_16_from_memory
#define stbi_load_16_from_callbacks caprl_stbi_load_16_from_callbacks
#define stbi_load_from_memory caprl_stbi_load_from_memory
#define stbi_load_from_callbacks caprl_stbi_load_from_callbacks
#define stbi_is_hdr_from_memory caprl_stbi_is_hdr_from_memory
#define stbi_is_hdr_from_callbacks caprl_stbi_is_hdr_from_callbacks
#define stbi_is_16_bit_from_memory caprl_stbi_is_16_bit_from_memory
#define stbi_is_16_bit_from_callbacks caprl_stbi_is_16_bit_from_callbacks
#define stbi_info_from_memory caprl_stbi_info_from_memory
#define stbi_info_from_callbacks caprl_stbi_info_from_callbacks
#define stbi_set_unpremultiply_on_load caprl_stbi_set_unpremultiply_on_load
#define stbi_set_unpremultiply_on_load_thread caprl_stbi_set_unpremultiply_on_load_thread
#define stbi_convert_iphone_png_to_rgb caprl_stbi_convert_iphone_png_to_rgb
#define stbi_convert_iphone_png_to_rgb_thread caprl_stbi_convert_iphone_png_to_rgb_thread
#define stbi_zlib_decode_buffer caprl_stbi_zlib_decode_buffer
#define stbi_zlib_decode_malloc caprl_stbi_zlib_decode_malloc
#define stbi_zlib_decode_malloc_guesssize caprl_stbi_zlib_decode_malloc_guesssize
#define stbi_zlib_decode_malloc_guesssize_headerflag caprl_stbi_zlib_decode_malloc_guesssize_headerflag
#define stbi_zlib_decode_noheader_buffer caprl_stbi_zlib_decode_noheader_buffer
#define stbi_zlib_decode_noheader_malloc caprl_stbi_zlib_decode_noheader_malloc
#define stbi_ldr_to_hdr_gamma caprl_stbi_ldr_to_hdr_gamma
#define stbi_ldr_to_hdr_scale caprl_stbi_ldr_to_hdr_scale
#define stbi_hdr_to_ldr_gamma caprl_stbi_hdr_to_ldr_gamma
#define stbi_hdr_to_ldr_scale caprl_stbi_hdr_to_ldr_scale

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
namespace caprl::detail::stb {
#include <stb_image.h>
}  // namespace caprl::detail::stb
#pragma GCC diagnostic pop

#undef stbi_failure_reason
#undef stbi_image_free
#undef stbi_set_flip_vertically_on_load
#undef stbi_set_flip_vertically_on_load_thread
#undef stbi_load_16_from_memory
#undef stbi_load_16_from_callbacks
#undef stbi_load_from_memory
#undef stbi_load_from_callbacks
#undef stbi_is_hdr_from_memory
#undef stbi_is_hdr_from_callbacks
#undef stbi_is_16_bit_from_memory
#undef stbi_is_16_bit_from_callbacks
#undef stbi_info_from_memory
#undef stbi_info_from_callbacks
#undef stbi_set_unpremultiply_on_load
#undef stbi_set_unpremultiply_on_load_thread
#undef stbi_convert_iphone_png_to_rgb
#undef stbi_convert_iphone_png_to_rgb_thread
#undef stbi_zlib_decode_buffer
#undef stbi_zlib_decode_malloc
#undef stbi_zlib_decode_malloc_guesssize
#undef stbi_zlib_decode_malloc_guesssize_headerflag
#undef stbi_zlib_decode_noheader_buffer
#undef stbi_zlib_decode_noheader_malloc
#undef stbi_ldr_to_hdr_gamma
#undef stbi_ldr_to_hdr_scale
#undef stbi_hdr_to_ldr_gamma
#undef stbi_hdr_to_ldr_scale
#pragma pop_macro("stbi__de_iphone_flag")
#pragma pop_macro("stbi__unpremultiply_on_load")
#pragma pop_macro("stbi__vertically_flip_on_load")
#pragma pop_macro("stbi__errpuc")
#pragma pop_macro("stbi__errpf")
#pragma pop_macro("stbi__err")
#pragma pop_macro("FAST_BITS")
#pragma pop_macro("STBI_MAX_DIMENSIONS")
#pragma pop_macro("STBI_FREE")
#pragma pop_macro("STBI_REALLOC_SIZED")
#pragma pop_macro("STBI_REALLOC")
#pragma pop_macro("STBI_MALLOC")
#pragma pop_macro("STBI_ASSERT")
#pragma pop_macro("STBI_NO_PNM")
#pragma pop_macro("STBI_NO_PIC")
#pragma pop_macro("STBI_NO_HDR")
#pragma pop_macro("STBI_NO_GIF")
#pragma pop_macro("STBI_NO_TGA")
#pragma pop_macro("STBI_NO_PSD")
#pragma pop_macro("STBI_NO_BMP")
#pragma pop_macro("STBI_NO_PNG")
#pragma pop_macro("STBI_NO_JPEG")
#pragma pop_macro("STBI_ONLY_PNG")
#pragma pop_macro("STBI_ONLY_JPEG")
#pragma pop_macro("STBI_NO_LINEAR")
#pragma pop_macro("STBI_NO_STDIO")
#pragma pop_macro("STBIDEF")
#pragma pop_macro("STB_IMAGE_STATIC")
#pragma pop_macro("STB_IMAGE_IMPLEMENTATION")
#pragma pop_macro("STBI_INCLUDE_STB_IMAGE_H")
