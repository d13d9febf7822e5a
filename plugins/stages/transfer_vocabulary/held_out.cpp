#include "held_out.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <span>

#include "api/ops.h"
#include "api/parameters.h"
#include "base/text.h"
#include "kit/mixing.h"
#include "kit/speller.h"
#include "kit/tensors.h"
#include "kit/torch_operators.h"
#include "kit/vocab_tables.h"
#include "kit/vocab_transfer.h"

namespace xp::transfer {
namespace {

constexpr std::int64_t kBlock = std::int64_t{1} << 24;  ///< cosines that are held at once

std::set<TokenId> drawn(const std::vector<std::optional<Match>>& shared, const RandomStreams& random, double share) {
  std::set<TokenId> out;
  for (std::size_t id = 0; id < shared.size(); ++id)
    if (shared[id] && !shared[id]->special && random.stream(0, static_cast<std::int64_t>(id)).uniform() < share)
      out.insert(static_cast<TokenId>(id));
  return out;
}

/// Places of the true rows by cosine to the made ones, [n, d] each; `table` is [source, d].
void rank(const at::Tensor& made, const at::Tensor& truth, const at::Tensor& table, std::vector<HeldOutRow>& rows) {
  const auto unit = [](const at::Tensor& x) { return x / x.norm(2, 1, true).clamp_min(1e-30); };
  const auto all = unit(table).transpose(0, 1), own = unit(made), wanted = unit(truth);
  const auto step = std::max<std::int64_t>(1, kBlock / std::max<std::int64_t>(1, table.size(0)));
  for (std::int64_t from = 0; from < made.size(0); from += step) {
    const auto n = std::min(step, made.size(0) - from);
    const auto part = own.narrow(0, from, n);
    const auto cosine = (part * wanted.narrow(0, from, n)).sum(1, true);
    // Sums of products in another order may differ by a rounding, which must not push the true row from its place.
    const auto nearer = part.matmul(all).gt(cosine + 1e-9).sum(1).contiguous();
    for (std::int64_t i = 0; i < n; ++i) {
      auto& row = rows[static_cast<std::size_t>(from + i)];
      row.cosine = cosine[i].item<double>(), row.rank = 1 + nearer[i].item<std::int64_t>();
    }
  }
}

template <class Value>
double mean(std::span<const HeldOutRow> rows, const Value& value) {
  double sum = 0;
  for (const auto& row : rows) sum += value(row);
  return sum / static_cast<double>(rows.size());
}

double cosine_of(const HeldOutRow& row) { return row.cosine; }

/// How often the corpus has each token of the new vocabulary.
std::vector<std::int64_t> counts_of(const VocabSetting& setting) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(setting.target.size()));
  setting.corpus->for_each([&](const Document& document) {
    for (const auto& token : setting.target.encode(document.text)) ++out[static_cast<std::size_t>(token.id)];
  });
  return out;
}

}  // namespace

HidingEncoder::HidingEncoder(const Encoder& plain, const std::vector<TokenId>& hidden) : plain_(plain) {
  const Speller left(plain, hidden);
  for (const auto id : hidden) spelt_.emplace(id, left.spell(plain.key(id)));
}

TokenKey HidingEncoder::key(TokenId id) const {
  if (!spelt_.contains(id)) return plain_.key(id);
  return {.bytes = {}, .kind = TokenKind::special, .purpose = "hidden." + std::to_string(id)};
}

std::vector<Token> HidingEncoder::encode(std::string_view text) const {
  std::vector<Token> out;
  for (const auto& token : plain_.encode(text)) {
    const auto found = spelt_.find(token.id);
    if (found == spelt_.end()) {
      out.push_back(token);
    } else if (found->second.empty()) {
      if (const auto unknown = plain_.reserved("unk")) out.push_back({*unknown, token.begin, token.end, token.word});
    } else {
      // Offsets inside a token are not known where its text was normalised, so each part has those of the whole.
      for (const auto id : found->second) out.push_back({id, token.begin, token.end, token.word});
    }
  }
  return out;
}

std::vector<TokenId> HidingEncoder::pieces(const TokenKey& key) const {
  std::vector<TokenId> out;
  for (const auto id : plain_.pieces(key)) {
    const auto found = spelt_.find(id);
    if (found == spelt_.end())
      out.push_back(id);
    else if (found->second.empty())
      return {};
    else
      out.insert(out.end(), found->second.begin(), found->second.end());
  }
  return out;
}

std::vector<HeldOutRow> held_out_rows(const VocabSetting& setting, VocabInitializer& initializer,
                                      const std::vector<MatchLevel>& levels, double share) {
  const auto shared = match_vocabularies(setting.source, setting.target, {MatchLevel::exact});
  const auto hidden = drawn(shared, setting.random.child("held out"), share);
  if (hidden.empty())
    throw Error("`held_out` hides none of the tokens that both vocabularies have; give a larger share", Exit::usage);
  std::vector<HeldOutRow> rows;
  std::vector<TokenId> sources;
  std::vector<std::int64_t> ids;
  for (const auto id : hidden) {
    sources.push_back(shared[static_cast<std::size_t>(id)]->source), ids.push_back(sources.back());
    rows.push_back({.target = id, .source = sources.back()});
  }
  const HidingEncoder source(setting.source, sources);
  const VocabSetting blind{.source = source,
                           .target = setting.target,
                           .weights = setting.weights,
                           .vectors = setting.vectors,
                           .corpus = setting.corpus,
                           .subject = setting.subject,
                           .random = setting.random,
                           .donor = setting.donor,
                           .source_vectors = setting.source_vectors,
                           .translations = setting.translations};
  const auto plan = plan_vocabulary(blind, initializer, levels);
  const auto& weights = weights_of(setting);
  const auto inputs = weights.select("role:vocab.input");
  if (inputs.empty()) throw Error("the model has no table with role vocab.input");
  const auto table = weights.values[inputs.front()].detach().to(at::kDouble);
  MixedRows mixed(plan, table, "vocab.input");
  std::vector<at::Tensor> parts;
  for (const auto& row : rows) parts.push_back(mixed.rows(row.target, 1));
  const auto made = ops::cat(parts), truth = table.index_select(0, tensor_of(ids));
  const auto off = (made - truth).norm(2, 1), size = truth.norm(2, 1).clamp_min(1e-30), length = made.norm(2, 1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    rows[i].relative_l2 = (off[at] / size[at]).item<double>(),
    rows[i].norm_ratio = (length[at] / size[at]).item<double>();
  }
  rank(made, truth, table.narrow(0, 0, plan.source_size()), rows);
  return rows;
}

void record(Recorder& out, const VocabSetting& setting, std::vector<HeldOutRow> rows) {
  out.metric("held_out.tokens", static_cast<double>(rows.size()), {.unit = "tokens"});
  out.metric("held_out.cosine", mean(rows, cosine_of), {.unit = "cosine"});
  out.metric("held_out.relative_l2", mean(rows, [](const auto& row) { return row.relative_l2; }), {.unit = "ratio"});
  out.metric("held_out.norm_ratio", mean(rows, [](const auto& row) { return row.norm_ratio; }), {.unit = "ratio"});
  out.metric("held_out.mrr", mean(rows, [](const auto& row) { return 1.0 / static_cast<double>(row.rank); }),
             {.unit = "mrr"});
  for (const auto& row : rows)
    out.ledger("held_out", {"id", "token", "cosine", "rank"},
               {std::to_string(row.target), setting.target.text(row.target), number_text(row.cosine),
                std::to_string(row.rank)});
  constexpr std::size_t kTenths = 10;
  if (!setting.corpus || rows.size() < kTenths) return;
  const auto counts = counts_of(setting);
  std::stable_sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) {
    return counts[static_cast<std::size_t>(a.target)] < counts[static_cast<std::size_t>(b.target)];
  });
  for (std::size_t tenth = 0; tenth < kTenths; ++tenth) {
    const auto from = tenth * rows.size() / kTenths, to = (tenth + 1) * rows.size() / kTenths;
    out.metric("held_out.cosine.tenth_" + std::to_string(tenth + 1),
               mean(std::span(rows).subspan(from, to - from), cosine_of), {.unit = "cosine"});
  }
}

}  // namespace xp::transfer
