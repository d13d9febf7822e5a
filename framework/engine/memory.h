#pragma once
// Memory that is free goes back to the system: a model that was read or run leaves gigabytes with the process.
#include <malloc.h>

namespace xp {

inline void return_free_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace xp
