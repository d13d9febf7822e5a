#pragma once
// Text files as data sources read them: checked line by line, with the place in every message.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"
#include "schema/value.h"

namespace xp {

/// One file of a field declared with `.files()`.
struct DataFile {
  std::string path;    ///< where it is read from
  std::string name;    ///< as the recipe's pattern found it; used in messages
  std::string sha256;  ///< of the file; empty until content_hash() is asked

  /// The file's name up to its first `.txt`, `.tsv`, `.csv` or `.jsonl`: "datasets/udhr/pt-BR.txt.zst" gives "pt-BR".
  XP_API std::string stem() const;
  /// SHA-256 of the file: the resolver's, else computed.
  XP_API std::string content_hash() const;
};

/// The files of a resolved field: tables { path, name, sha256 }, or plain paths. Throws Error (Exit::usage) if there
/// is none or an entry is neither.
XP_API std::vector<DataFile> data_files(const std::vector<Value>& field);

/// Throws Error (Exit::data): "FILE:LINE: what".
[[noreturn]] XP_API void bad_line(const DataFile& file, std::int64_t line, const std::string& what);

/// Decompresses by ending (.zst, .gz) and hands over each line without its end ("\n" or "\r\n"), counted from 1. A
/// byte order mark is left out. Throws Error (Exit::data) with the line for invalid UTF-8 and for control characters
/// but tab.
XP_API void for_each_line(const DataFile& file,
                          const std::function<void(std::string_view line, std::int64_t number)>& visit);

/// ISO 15924 code of the writing system that most letters of valid UTF-8 belong to; empty without letters. Han with
/// kana is "Jpan", Hangul "Kore"; Han alone is what the language (BCP 47) is usually written in, else "Hani".
XP_API std::string script_of_text(std::string_view text, const std::string& language);

}  // namespace xp
