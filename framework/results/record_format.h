#pragma once
// Payloads of a record's journal. Names, signatures and column lists are written once per session and then called by
// their number; a session begins when a recorder opens the file.
#include <cstdint>

namespace xp::detail {

enum class Entry : std::uint8_t {
  session = 1,    ///< u32 format; numbers start again
  name = 2,       ///< text
  signature = 3,  ///< u32 names of unit, tokenizer, split, version
  columns = 4,    ///< u32 table, u32 n, n x u32 names
  point = 5,      ///< u32 curve, u32 signature, real value, counters
  metric = 6,     ///< u32 name, u32 signature, real value
  item = 7,       ///< u32 table, u32 column, real value, text id
  row = 8,        ///< u32 columns, n x text
  counters = 9,   ///< counters
  note = 10,      ///< text
  mark = 11,      ///< i64 step
  rewind = 12,    ///< i64 step
  batch = 13,     ///< i64 step, i64 hash
  weight = 14,    ///< u32 tensor, i64 step, i64 hash
};

constexpr std::uint32_t kRecordFormat = 1;

}  // namespace xp::detail
