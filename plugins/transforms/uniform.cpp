// Replacements that know nothing of the text.
#include "api/transform.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

/// Random token substitution: each chosen token becomes a uniform draw from the vocabulary (RTS; Di Liello et al.
/// 2022, "Effective Pre-Training Objectives for Transformer-based Autoencoders", section 3).
class Uniform final : public xp::Transform {
 public:
  struct Params {
    static void describe(xp::Fields<Params>& f) { f.needs("field", "ids"); }
  };
  explicit Uniform(Params) {}

  void start(const xp::Resources& resources) override {
    text_.clear();
    for (std::int64_t id = 0; id < resources.vocab_size(); ++id)
      if (resources.is_text(id)) text_.push_back(id);
    if (text_.empty())
      throw xp::Error("none of the tokenizer's " + std::to_string(resources.vocab_size()) +
                      " ids stands for text; nothing can be drawn");
  }

  xp::FieldUse fields() const override {
    return {.reads = {"ids", "chosen"}, .writes = {{"substituted_ids", "input", 0}}};
  }

  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) {
      const auto& chosen = item.ints("chosen").data;
      xp::Ints out{item.ints("ids").data};
      if (chosen.size() != out.data.size())
        throw xp::Error("field `chosen` has " + xp::count(chosen.size(), "value") + " for " +
                        xp::count(out.data.size(), "token"));
      for (std::size_t t = 0; t < chosen.size(); ++t)
        if (chosen[t]) out.data[t] = text_[static_cast<std::size_t>(random.below(std::ssize(text_)))];
      item.fields["substituted_ids"] = std::move(out);
    }
  }

 private:
  std::vector<std::int64_t> text_;  ///< ids that stand for text
};

}  // namespace

XP_PLUGIN(uniform) { registry.add<Uniform>("uniform", "Chosen tokens become any other, all equally likely."); }
