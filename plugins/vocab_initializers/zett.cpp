#include <c10/core/GradMode.h>

#include <algorithm>

#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/hypernetwork.h"
#include "kit/vocab_tables.h"
#include "plugin/plugin.h"

namespace {

constexpr std::size_t kAtOnce = 16384;  // tokens of one pass

/// For settings that hold numbers only.
class NoParts final : public xp::PartMaker {
 public:
  std::unique_ptr<xp::Component> make_part(std::string_view, const xp::Table&) const override {
    throw xp::Error("a hypernetwork's settings name no component", xp::Exit::data);
  }
};

/// Rows that a hypernetwork predicts from the rows of a token's pieces in the model that it was trained for
/// (Minixhofer, Ponti and Vulic 2024, section 3). A variant of that model gets the same rows. Tokens without pieces
/// stay open.
class Zett final : public xp::VocabInitializer {
 public:
  struct Params {
    xp::Reference hypernetwork;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::hypernetwork, "hypernetwork", "Checkpoint of a stage that trained one, with its model.")
          .artifact("checkpoint")
          .required();
    }
  };
  explicit Zett(Params params) : p_(std::move(params)) {}

  const xp::Reference* donor() const override { return &p_.hypernetwork; }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const at::NoGradGuard quiet;
    const auto& from = setting.donor->checkpoint;
    const auto tables = xp::vocab_tables(from.parameters);
    check(tables, xp::weights_of(setting));
    const xp::Hypernetwork network(settings_of(from), tables);
    const auto weights = weights_for(network, from.objective_parameters);
    std::vector<xp::TokenId> rows;
    std::vector<std::vector<xp::TokenId>> pieces;
    const auto write = [&] {
      if (rows.empty()) return;
      const auto made = network.predict(weights, tables, pieces);
      for (std::size_t t = 0; t < tables.size(); ++t) set(plan, rows, tables[t].role, made[t].contiguous());
      rows.clear(), pieces.clear();
    };
    for (const auto row : plan.open_rows()) {
      auto own = setting.donor->tokenizer.pieces(setting.target.key(row));
      if (own.empty()) continue;
      rows.push_back(row), pieces.push_back(std::move(own));
      if (rows.size() == kAtOnce) write();
    }
    write();
  }

 private:
  static void set(xp::MixPlan& plan, const std::vector<xp::TokenId>& rows, const std::string& role,
                  const at::Tensor& made) {
    const auto width = static_cast<std::size_t>(made.dim() == 2 ? made.size(1) : 1);
    for (std::size_t i = 0; i < rows.size(); ++i)
      plan.set_dense_row(rows[i], role, std::span(made.const_data_ptr<float>() + i * width, width), "hypernetwork");
  }

  void check(const std::vector<xp::VocabTable>& known, const xp::Parameters& model) const {
    for (const auto i : xp::vocab_params(model)) {
      const auto same = [&](const auto& one) {
        return one.role == model.info[i].role && one.rows.sizes().slice(1) == model.values[i].sizes().slice(1);
      };
      if (std::none_of(known.begin(), known.end(), same))
        throw xp::Error("the hypernetwork " + xp::backquoted(p_.hypernetwork.text) +
                            " predicts no rows for the table " + xp::backquoted(model.info[i].role) +
                            " of this model; train one for a model of its kind",
                        xp::Exit::usage);
    }
  }

  xp::HypernetworkSettings settings_of(const xp::Checkpoint& from) const {
    const auto found = from.objective.find("network");
    const auto* network = found == from.objective.end() ? nullptr : found->second.as<xp::Table>();
    if (!network)
      throw xp::Error("the checkpoint " + xp::backquoted(p_.hypernetwork.text) + " holds no hypernetwork",
                      xp::Exit::usage);
    xp::Fields<xp::HypernetworkSettings> fields;
    xp::HypernetworkSettings::describe(fields);
    return fields.bind(*network, NoParts());
  }

  std::vector<at::Tensor> weights_for(const xp::Hypernetwork& network, const xp::Parameters& learnt) const {
    std::vector<at::Tensor> out;
    for (const auto& one : network.wanted()) {
      const auto& value = learnt.values[learnt.find("objective." + one.info.name)];
      if (value.sizes() != at::IntArrayRef(one.shape))
        throw xp::Error("weight " + xp::backquoted(one.info.name) + " of the hypernetwork " +
                            xp::backquoted(p_.hypernetwork.text) + " has another shape than its settings say",
                        xp::Exit::data);
      out.push_back(value.to(at::kFloat));
    }
    return out;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(zett) {
  registry.add<Zett>("zett", "Rows that a hypernetwork predicts from the rows of a token's pieces.");
}
