#include "api/selector.h"
#include "base/text.h"
#include "kit/plain_words.h"
#include "plugin/plugin.h"

namespace {

/// 0 for documents whose length is in the range, else minus the distance from it, so that a threshold of 0 keeps the
/// range. The defaults are those of Rae et al. 2021 ("Scaling Language Models", appendix A.1.1).
class Length final : public xp::Scorer {
 public:
  enum class Unit : std::uint8_t { words, bytes };
  struct Params {
    Unit unit = Unit::words;
    std::int64_t least = 50, most = 100'000;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::unit, "unit", "What is counted: words (stretches with a letter or a number) or bytes of UTF-8.",
            {{"words", Unit::words}, {"bytes", Unit::bytes}});
      f.add(&Params::least, "least", "Where the range begins.").min(0);
      f.add(&Params::most, "most", "Where it ends, itself included; 0: nowhere.").min(0);
    }
  };
  explicit Length(Params params) : p_(params) {
    if (p_.most > 0 && p_.least > p_.most)
      throw xp::Error("a range from `least` = " + std::to_string(p_.least) +
                          " to `most` = " + std::to_string(p_.most) + " holds nothing; `least` is at most `most`",
                      xp::Exit::usage);
  }

  double score(const xp::Document& document) const override {
    const auto length = static_cast<std::int64_t>(p_.unit == Unit::bytes ? document.text.size()
                                                                         : xp::plain_words(document.text).size());
    const auto below = std::max<std::int64_t>(p_.least - length, 0);
    const auto above = p_.most > 0 ? std::max<std::int64_t>(length - p_.most, 0) : 0;
    return -static_cast<double>(below + above);
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(length) { registry.add<Length>("length", "Minus the distance of a document's length from a range."); }
