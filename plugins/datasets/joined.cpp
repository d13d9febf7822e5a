#include "api/dataset.h"
#include "base/digest.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// Several sources as one, such as what a tokenizer of a mixture is fitted to. Documents stay in the splits that they
/// have in their own source, as long as both cut the same shares.
class Joined final : public DataSource {
 public:
  struct Params {
    std::vector<std::unique_ptr<DataSource>> of;
    static void describe(Fields<Params>& f) {
      f.add(&Params::of, "of", "Sources, one behind the other.").required();
      f.gives("field", "text");
    }
  };
  explicit Joined(Params params) : p_(std::move(params)) {
    if (p_.of.empty()) throw Error("`of` is empty; name at least one source", Exit::usage);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (std::size_t i = 0; i < p_.of.size(); ++i)
      p_.of[i]->for_each([&](const Document& document) {
        auto one = document;
        // Splits are decided by the group, so it stays; names need to differ between sources.
        if (one.group.empty()) one.group = document.id;
        one.id = std::to_string(i + 1) + "/" + document.id;
        visit(one);
      });
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("joined");
    for (const auto& one : p_.of) digest.add(one->fingerprint());
    return digest.hex();
  }

 private:
  Params p_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(joined) { registry.add<xp::Joined>("joined", "Several sources as one."); }
