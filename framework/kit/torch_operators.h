#pragma once
// `a + b` and the other signs for tensors, without the thousands of functions that come with them by default.
#ifndef AT_PER_OPERATOR_HEADERS
#define AT_PER_OPERATOR_HEADERS
#endif
#include <ATen/TensorOperators.h>
