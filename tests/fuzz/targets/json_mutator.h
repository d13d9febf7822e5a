#pragma once
// Changes JSON as JSON: blind changes of bytes hardly ever leave anything that gets past the parser.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(unsigned char* data, std::size_t size, std::size_t most);

namespace xp::fuzz {

class JsonMutator {
 public:
  /// `words` are names that the reader knows: types of steps, keys, values; at least one, and they stay where they
  /// are.
  JsonMutator(const std::vector<std::string>& words, unsigned seed) : words_(words), random_(seed) {}

  /// Changes `size` bytes in place and gives the new size, at most `most`.
  std::size_t change(unsigned char* data, std::size_t size, std::size_t most) {
    if (below(5) == 0) return LLVMFuzzerMutate(data, size, most);
    auto json = Json::parse(data, data + size, nullptr, false);
    if (json.is_discarded() || !gather(json, 0)) return LLVMFuzzerMutate(data, size, most);
    for (std::size_t n = 1 + below(3); n > 0; --n) {
      change_one(*nodes_[below(nodes_.size())]);
      nodes_.clear();
      if (!gather(json, 0)) break;
    }
    const auto text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (text.size() > most) return LLVMFuzzerMutate(data, size, most);
    std::copy(text.begin(), text.end(), data);
    return text.size();
  }

 private:
  using Json = nlohmann::json;

  std::size_t below(std::size_t n) { return random_() / 7 % n; }

  /// Lists all values; false if they lie so deep that writing them would end the stack.
  bool gather(Json& json, int depth) {
    if (depth > 200) return false;
    nodes_.push_back(&json);
    if (json.is_structured())
      for (auto& one : json)
        if (!gather(one, depth + 1)) return false;
    return true;
  }

  Json odd_value() {
    static const std::vector<Json> values{nullptr,
                                          true,
                                          false,
                                          -1,
                                          0,
                                          1,
                                          2,
                                          255,
                                          65536,
                                          2147483647,
                                          2147483648u,
                                          -2147483649ll,
                                          9223372036854775807ll,
                                          18446744073709551615ull,
                                          0.5,
                                          -1e308,
                                          1e-320,
                                          1e18,
                                          "",
                                          "a",
                                          " ",
                                          std::string(1, '\0'),
                                          "\xE2\x96\x81",
                                          "##",
                                          std::string(300, 'a'),
                                          "\\p{L}+",
                                          "(a|a)*b",
                                          "(?i)",
                                          Json::array(),
                                          Json::object(),
                                          Json::array({"a", 1})};
    if (below(3) == 0) return words_[below(words_.size())];
    return values[below(values.size())];
  }

  Json some_value() { return below(2) == 0 ? odd_value() : Json(*nodes_[below(nodes_.size())]); }

  void change_text(Json& json) {
    auto text = json.get<std::string>();
    const auto size = text.size();
    text.resize(size + 16);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<unsigned char*>(text.data()), size, text.size()));
    json = std::move(text);
  }

  void change_one(Json& json) {
    const auto what = below(6);
    if (what == 0) {
      json = some_value();
    } else if (json.is_string() && what < 4) {
      change_text(json);
    } else if (json.is_number_integer() && what < 4) {
      json = static_cast<std::int64_t>(json.get<std::uint64_t>() + (what == 1 ? 1u : what == 2 ? -1u : below(1000)));
    } else if (json.is_object()) {
      change_object(json);
    } else if (json.is_array() && !json.empty()) {
      const auto at = json.begin() + static_cast<std::ptrdiff_t>(below(json.size()));
      if (what < 3)
        json.erase(at);
      else
        json.insert(at, some_value());
    } else {
      json = some_value();
    }
  }

  void change_object(Json& json) {
    const auto key = json.empty() || below(4) == 0
                         ? words_[below(words_.size())]
                         : std::next(json.begin(), static_cast<std::ptrdiff_t>(below(json.size()))).key();
    if (below(3) == 0) {
      json.erase(key);
      return;
    }
    auto value = some_value();  // before the key is there, for it may hold the whole table
    json[key] = std::move(value);
  }

  const std::vector<std::string>& words_;
  std::minstd_rand random_;
  std::vector<Json*> nodes_;
};

}  // namespace xp::fuzz

/// Gives a target a mutator that knows these words.
#define XP_FUZZ_JSON(...)                                                                                 \
  extern "C" std::size_t LLVMFuzzerCustomMutator(unsigned char* data, std::size_t size, std::size_t most, \
                                                 unsigned seed) {                                         \
    static const std::vector<std::string> words{__VA_ARGS__};                                             \
    return xp::fuzz::JsonMutator(words, seed).change(data, size, most);                                   \
  }
