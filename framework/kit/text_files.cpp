#include "kit/text_files.h"

#include <unicode/uchar.h>
#include <unicode/uloc.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <vector>

#include "base/digest.h"
#include "base/input.h"
#include "base/text.h"

namespace xp {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kBlockBytes = std::size_t{1} << 18;
constexpr std::size_t kLongestLine = std::size_t{1} << 36;

std::string text_at(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  const auto* text = found == table.end() ? nullptr : found->second.as<std::string>();
  return text ? *text : std::string();
}

/// Why the line cannot be text, or nothing.
std::string fault(std::string_view line) {
  if (!is_utf8(line)) return "invalid UTF-8; convert the file to UTF-8";
  const auto is_control = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || static_cast<unsigned char>(c) == 0x7F;
  };
  bool any = false;  // without a way out, so that it is done for many bytes at once
  for (const char c : line) any |= is_control(c);
  if (!any) return {};
  const auto byte = static_cast<unsigned char>(*std::find_if(line.begin(), line.end(), is_control));
  return "control character " + std::to_string(byte) + "; text has none but tabs";
}

bool is_ascii(const char* eight_bytes) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, eight_bytes, sizeof bytes);
  return (bytes & 0x8080808080808080u) == 0;
}

/// The script that a language is usually written in ("zh-TW" gives "Hant"); empty if unknown.
std::string usual_script(const std::string& language) {
  std::array<char, ULOC_FULLNAME_CAPACITY> locale{}, full{}, script{};
  UErrorCode status = U_ZERO_ERROR;
  uloc_forLanguageTag(language.c_str(), locale.data(), locale.size(), nullptr, &status);
  uloc_addLikelySubtags(locale.data(), full.data(), full.size(), &status);
  uloc_getScript(full.data(), script.data(), script.size(), &status);
  return U_SUCCESS(status) ? std::string(script.data()) : std::string();
}

std::string han_script(std::int64_t kana, std::int64_t all, const std::string& language) {
  if (kana * 20 >= all) return "Jpan";  // a stray kana in Chinese text is far below one in twenty
  const auto usual = usual_script(language);
  for (const std::string_view known : {"Hans", "Hant", "Jpan", "Kore"})
    if (usual == known) return usual;
  return "Hani";
}

}  // namespace

std::string DataFile::stem() const {
  const auto file = std::filesystem::path(name).filename().string();
  auto end = file.size();
  for (const std::string_view ending : {".txt", ".tsv", ".csv", ".jsonl"}) {
    const auto at = file.find(ending);
    if (at != std::string::npos && at > 0) end = std::min(end, at);
  }
  return file.substr(0, end);
}

std::string DataFile::content_hash() const { return sha256.empty() ? sha256_file_cached(path) : sha256; }

std::vector<DataFile> data_files(const std::vector<Value>& field) {
  std::vector<DataFile> files;
  for (const auto& value : field) {
    DataFile file;
    if (const auto* path = value.as<std::string>()) {
      file.path = file.name = *path;
    } else if (const auto* table = value.as<Table>()) {
      file = {text_at(*table, "path"), text_at(*table, "name"), text_at(*table, "sha256")};
      if (file.name.empty()) file.name = file.path;
    }
    if (file.path.empty())
      throw Error("a file is a path or a table with `path`, found " + to_text(value), Exit::usage);
    files.push_back(std::move(file));
  }
  if (files.empty()) throw Error("a dataset without files", Exit::usage);
  return files;
}

void bad_line(const DataFile& file, std::int64_t line, const std::string& what) {
  throw Error(file.name + ":" + std::to_string(line) + ": " + what, Exit::data);
}

void for_each_line(const DataFile& file, const std::function<void(std::string_view, std::int64_t)>& visit) {
  std::int64_t number = 0;
  const auto hand_over = [&](std::string_view line) {
    if (++number == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (const auto why = fault(line); !why.empty()) bad_line(file, number, why);
    visit(line, number);
  };
  detail::with_text_input(file.path, [&](auto& input) {
    std::vector<char> block(kBlockBytes);
    std::string held;  // the beginning of a line that goes on in the next block
    while (const auto n = input.read(block.data(), block.size())) {
      std::string_view rest(block.data(), n);
      for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
        hand_over(held.empty() ? rest.substr(0, end) : held.append(rest.substr(0, end)));
        held.clear(), rest.remove_prefix(end + 1);
      }
      held.append(rest);
      if (held.size() > kLongestLine) bad_line(file, number + 1, "a line of more than 64 GiB");
    }
    if (!held.empty() && (number > 0 || held != kByteOrderMark)) hand_over(held);
  });
}

std::string script_of_text(std::string_view text, const std::string& language) {
  std::map<UScriptCode, std::int64_t> letters;
  const auto size = static_cast<std::int32_t>(std::min<std::size_t>(text.size(), INT32_MAX));
  std::int64_t latin = 0;  // of ASCII, where all letters are
  for (const char c : text.substr(0, static_cast<std::size_t>(size)))
    latin += static_cast<unsigned char>((c | 0x20) - 'a') < 26;
  if (latin > 0) letters[USCRIPT_LATIN] = latin;
  for (std::int32_t at = 0; at < size;) {
    if (size - at >= 8 && is_ascii(text.data() + at)) {
      at += 8;
      continue;
    }
    if (static_cast<unsigned char>(text[static_cast<std::size_t>(at)]) < 0x80) {
      ++at;
      continue;
    }
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(text.data(), at, size, c);
    if (!u_isalpha(c)) continue;
    UErrorCode status = U_ZERO_ERROR;
    const auto script = uscript_getScript(c, &status);
    if (U_SUCCESS(status) && script != USCRIPT_COMMON && script != USCRIPT_INHERITED) ++letters[script];
  }
  const auto kana = letters[USCRIPT_HIRAGANA] + letters[USCRIPT_KATAKANA];
  letters.erase(USCRIPT_HIRAGANA), letters.erase(USCRIPT_KATAKANA);
  letters[USCRIPT_HAN] += kana;
  UScriptCode most = USCRIPT_HAN;
  for (const auto& [script, n] : letters)
    if (n > letters[most]) most = script;
  if (letters[most] == 0) return {};
  if (most == USCRIPT_HAN) return han_script(kana, letters[most], language);
  return most == USCRIPT_HANGUL ? "Kore" : uscript_getShortName(most);
}

}  // namespace xp
