#include "engine/packing.h"

#include <algorithm>

#include "api/batch.h"
#include "base/text.h"
#include "engine/collate.h"

namespace xp {
namespace {

bool of_tokens(const FieldSpec& spec) { return spec.axis == "input"; }
bool added(const FieldSpec& spec) { return spec.name == kPackedText || spec.name == kPackedPosition; }

void append(Values& to, const Values& more) {
  std::visit(
      [&](auto& own) {
        const auto& other = std::get<std::decay_t<decltype(own)>>(more);
        if constexpr (std::is_same_v<std::decay_t<decltype(own)>, Strings>)
          own.insert(own.end(), other.begin(), other.end());
        else
          own.data.insert(own.data.end(), other.data.begin(), other.data.end());
      },
      to);
}

std::vector<FieldSpec> without_added(std::vector<FieldSpec> fields) {
  std::erase_if(fields, added);
  return fields;
}

struct Row {
  std::vector<const Example*> texts;
  std::int64_t tokens = 0;
};

Example joined(const Row& row, const std::vector<FieldSpec>& fields) {
  Example out{.sample_id = row.texts.front()->sample_id,
              .group_id = row.texts.front()->sample_id,
              .source = row.texts.front()->source};
  Ints text, position;
  std::int64_t bytes = 0;
  for (std::size_t n = 0; n < row.texts.size(); ++n) {
    const auto& one = *row.texts[n];
    for (const auto& spec : fields) {
      if (!of_tokens(spec)) continue;
      const auto& values = one.fields.at(spec.name);
      const auto [at, fresh] = out.fields.emplace(spec.name, values);
      if (!fresh) append(at->second, values);
    }
    for (std::int64_t t = 0; t < length_of(one, fields); ++t)
      text.data.push_back(static_cast<std::int64_t>(n)), position.data.push_back(t);
    if (const auto own = one.fields.find("bytes"); own != one.fields.end())
      bytes += std::get<Ints>(own->second).data.at(0);
  }
  out.fields[kPackedText] = std::move(text), out.fields[kPackedPosition] = std::move(position);
  out.fields["bytes"] = Ints{{bytes}};
  return out;
}

}  // namespace

std::vector<FieldSpec> packed_fields(const std::vector<FieldSpec>& fields, const Strings& read) {
  std::vector<FieldSpec> out;
  for (const auto& spec : fields) {
    if (of_tokens(spec) || spec.name == "bytes") {
      out.push_back(spec);
    } else if (!spec.axis.empty() || std::find(read.begin(), read.end(), spec.name) != read.end()) {
      throw Error("texts with the field " + backquoted(spec.name) +
                  ", which belongs to a whole text, cannot be packed; leave out `batch.pack`");
    }
  }
  out.push_back({kPackedText, "input", -1}), out.push_back({kPackedPosition, "input", 0});
  return out;
}

std::vector<std::vector<Example>> packed(const std::vector<std::vector<Example>>& groups,
                                         const std::vector<FieldSpec>& packed_fields, std::int64_t length) {
  const auto fields = without_added(packed_fields);
  std::vector<std::pair<std::int64_t, const Example*>> texts;
  for (const auto& group : groups) {
    if (group.size() != 1) throw Error("groups of texts cannot be packed; leave out `batch.pack`");
    texts.emplace_back(length_of(group.front(), fields), &group.front());
  }
  std::stable_sort(texts.begin(), texts.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Row> rows;
  for (const auto& [tokens, text] : texts) {
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.tokens + tokens <= length; });
    if (row == rows.end()) row = rows.insert(rows.end(), Row{});
    row->texts.push_back(text), row->tokens += tokens;
  }
  std::vector<std::vector<Example>> out;
  for (const auto& row : rows) out.push_back({joined(row, fields)});
  return out;
}

ForwardInput within_texts(const ForwardInput& in, const ForwardRequest& want, const Batch& batch) {
  const auto& text = batch.dense(kPackedText);
  if (!in.ids.defined() || in.ids.sizes() != text.sizes() || in.positions.defined() || !in.mask.defined() ||
      in.mask.dim() != 2 || want.pooling != Pooling::none)
    throw Error(
        "the objective reads more than tokens of whole rows, so its texts cannot be packed; leave out "
        "`batch.pack`");
  auto out = in;
  out.mask = text.unsqueeze(2).eq(text.unsqueeze(1)).logical_and(in.mask.unsqueeze(1));
  out.positions = batch.dense(kPackedPosition);
  return out;
}

void check_packing(Session& session, const Objective& objective, const Registry& registry) {
  const auto& gives = registry.catalogue().find(Objective::kInterface, objective.type())->schema.gives;
  const auto packs = [](const Trait& one) { return one.what == "layout" && one.name == "packed"; };
  if (std::none_of(gives.begin(), gives.end(), packs))
    throw Error("the loss of objective " + backquoted(objective.type()) +
                " is not known to stay within a text; leave out `batch.pack`");
  for (const auto& role : session.own_roles()) {
    const auto can = session.model(role).model->capabilities();
    for (const char* capability : {"masks", "positions"})
      if (std::find(can.begin(), can.end(), capability) == can.end())
        throw Error("texts can be packed for models with the capability " + backquoted(capability) +
                    ", which model " + backquoted(role) + " does not have; leave out `batch.pack`");
  }
}

}  // namespace xp
