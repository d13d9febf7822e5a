#pragma once

/// Marks what a shared library of the framework offers; everything else is hidden.
#define XP_API __attribute__((visibility("default")))
