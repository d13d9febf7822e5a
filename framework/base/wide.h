#pragma once

/// Before a function: it is compiled a second time for processors with AVX2 and multiply-add, picked when the library
/// loads. Named is a level, for a model such as haswell would mean that model alone; sanitizers stop at the picking.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define XP_WIDE __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define XP_WIDE
#endif
