#include "kit/pipeline/json_text.h"

#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace xp::pipeline {
namespace {

using Value = nlohmann::json;

constexpr std::size_t kMostReason = 200;  // characters of what the parser says

// serde_json, with which the library reads, rounds the digits and then their product with a power of ten: sums of
// scores that are equal there must be equal here. `exact` is what a number beyond its rule becomes.
double twice_rounded(double exact, std::string_view text) {
  constexpr int kMostPower = 308;
  const bool negative = text.starts_with('-');
  std::size_t at = negative ? 1 : 0;
  std::uint64_t digits = 0;
  int power = 0;
  bool fraction = false, full = false;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (text[at] == '.') {
      fraction = true;
      continue;
    }
    const auto digit = static_cast<std::uint64_t>(text[at] - '0');
    full = full || digits > (UINT64_MAX - digit) / 10;  // further digits are dropped
    if (!full) digits = digits * 10 + digit;
    power += full ? (fraction ? 0 : 1) : (fraction ? -1 : 0);
  }
  if (at < text.size()) power += std::atoi(std::string(text.substr(at + 1)).c_str());
  if (std::abs(power) > kMostPower) return exact;
  const double scale = std::strtod(("1e" + std::to_string(std::abs(power))).c_str(), nullptr);
  const double size = power < 0 ? static_cast<double>(digits) / scale : static_cast<double>(digits) * scale;
  return negative ? -size : size;
}

/// Builds the value and stops at the first thing that a reader should not have to expect.
class CheckedBuilder final : public nlohmann::json_sax<Value> {
 public:
  CheckedBuilder(Value& root, const std::string& file, std::size_t most_levels)
      : root_(root), file_(file), most_levels_(most_levels) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& text) override { return put(twice_rounded(value, text)); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(Value::object()); }
  bool start_array(std::size_t) override { return open(Value::array()); }
  bool end_object() override { return levels_.pop_back(), true; }
  bool end_array() override { return levels_.pop_back(), true; }

  bool key(string_t& name) override {
    auto& table = levels_.back()->get_ref<Value::object_t&>();
    const auto [place, fresh] = table.try_emplace(std::move(name));
    if (!fresh)
      throw Error(file_ + ": the key " + backquoted(printable(place->first)) + " is there twice", Exit::data);
    slot_ = &place->second;
    return true;
  }

  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception& error) override {
    const std::string text = error.what();
    const auto colon = text.find(": ");
    // It goes on with the whole text that was read last.
    const auto reason = colon == std::string::npos ? text : text.substr(colon + 2);
    throw Error(
        file_ + " is no JSON, at byte " + std::to_string(at) + ": " + printable(utf8_slice(reason, 0, kMostReason)),
        Exit::data);
  }

 private:
  template <class Any>
  bool put(Any&& value) {
    place() = std::forward<Any>(value);
    return true;
  }

  bool open(Value container) {
    if (levels_.size() >= most_levels_)
      throw Error(file_ + ": tables and lists are nested more than " + std::to_string(most_levels_) + " deep",
                  Exit::data);
    Value& there = place();
    there = std::move(container);
    levels_.push_back(&there);
    return true;
  }

  Value& place() {
    if (levels_.empty()) return root_;
    if (levels_.back()->is_object()) return *slot_;
    auto& list = levels_.back()->get_ref<Value::array_t&>();
    return list.emplace_back();
  }

  Value& root_;
  const std::string& file_;
  std::size_t most_levels_;
  std::vector<Value*> levels_;  // an open container does not move: only the innermost one grows
  Value* slot_ = nullptr;
};

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& file_name, std::size_t most_levels) {
  Value root;
  CheckedBuilder builder(root, file_name, most_levels);
  Value::sax_parse(text.begin(), text.end(), &builder);
  return root;
}

}  // namespace xp::pipeline
