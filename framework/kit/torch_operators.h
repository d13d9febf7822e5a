#pragma once
// `a + b` and the other signs for tensors, without the thousands of functions that come with them by default.
#ifndef AT_PER_OPERATOR_HEADERS
#define AT_PER_OPERATOR_HEADERS
#endif
// LibTorch's logging defines CHECK, which tests need as Catch2 defines it.
#pragma push_macro("CHECK")
#include <ATen/TensorOperators.h>
#pragma pop_macro("CHECK")
