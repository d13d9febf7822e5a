#pragma once
// The bytes of an index of runs: texts once each, runs by their file's name, size and time.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "results/record.h"
#include "results/run_log.h"
#include "results/wire.h"

namespace xp::detail {

/// What tables need of a stage's record.
struct IndexedStage {
  bool complete = false;
  StageRecord record;                      ///< without items, ledgers, notes and points of curves
  std::map<std::string, FinalValue> last;  ///< of each curve that has points
};

/// What a plan says of a stage or a dataset; runs whose plans say the same share it.
class IndexedNode {
 public:
  explicit IndexedNode(std::string json) : json_(std::move(json)) {}
  const std::string& json() const { return json_; }
  const Table* table() const {
    if (!parsed_) parsed_ = value_from_json(json_);
    return parsed_->as<Table>();
  }

 private:
  std::string json_;
  mutable std::optional<Value> parsed_;
};

using IndexedPlan = std::map<std::string, std::shared_ptr<const IndexedNode>, std::less<>>;  ///< by digest

/// What tables need of a run.
struct IndexedRun {
  std::string file;                     ///< its name in the folder
  std::int64_t bytes = 0, changed = 0;  ///< `changed` in nanoseconds since 1970
  RunOutline outline;
  std::map<std::string, IndexedStage, std::less<>> stages;  ///< by digest
  IndexedPlan nodes, datasets;
};

constexpr std::string_view kIndexHead = "xp index of runs, format 2\n";

// Texts as their numbers in one list.
class IndexPacker {
 public:
  IndexPacker& text(const std::string& text) {
    const auto [at, fresh] = known_.try_emplace(text, static_cast<std::uint32_t>(known_.size()));
    if (fresh) texts_.text(text);
    body_.u32(at->second);
    return *this;
  }
  IndexPacker& size(std::size_t n) { return body_.u32(static_cast<std::uint32_t>(n)), *this; }
  IndexPacker& integer(std::int64_t v) { return body_.i64(v), *this; }
  IndexPacker& real(double v) { return body_.real(v), *this; }

  std::string bytes() const {
    Packer whole;
    whole.u32(static_cast<std::uint32_t>(known_.size()));
    const auto content = whole.bytes() + texts_.bytes() + body_.bytes();
    return std::string(kIndexHead) + sha256(content) + content;
  }

 private:
  std::unordered_map<std::string, std::uint32_t> known_;
  Packer texts_, body_;
};

class IndexUnpacker {
 public:
  explicit IndexUnpacker(std::string_view content) : from_(content) {
    for (auto n = from_.u32(); n > 0; --n) texts_.emplace_back(from_.text());
  }
  const std::string& text() {
    const auto at = from_.u32();
    if (at >= texts_.size()) throw Error("the index names a text that it does not hold", Exit::data);
    return texts_[at];
  }
  std::shared_ptr<const IndexedNode> node() {
    const auto& json = text();
    auto& known = nodes_[&json];
    if (!known) known = std::make_shared<const IndexedNode>(json);
    return known;
  }
  std::size_t size() { return from_.u32(); }
  std::int64_t integer() { return from_.i64(); }
  double real() { return from_.real(); }
  bool ended() const { return from_.left() == 0; }

 private:
  Unpacker from_;
  std::vector<std::string> texts_;
  std::unordered_map<const std::string*, std::shared_ptr<const IndexedNode>> nodes_;
};

inline void pack(IndexPacker& out, const FinalValue& value) {
  out.real(value.value).text(value.what.unit).text(value.what.tokenizer).text(value.what.split);
  out.text(value.what.version);
}

inline FinalValue final_value(IndexUnpacker& in) {
  FinalValue out;
  out.value = in.real();
  out.what.unit = in.text(), out.what.tokenizer = in.text(), out.what.split = in.text(), out.what.version = in.text();
  return out;
}

// Both ways over the same fields, so that they cannot come apart.
template <class Integer, class Real>
void each_counter(Counters& c, const Integer& integer, const Real& real) {
  for (auto* one : {&c.steps, &c.input_tokens, &c.supervised_tokens, &c.items, &c.bytes}) integer(*one);
  for (auto* one : {&c.epochs, &c.flops, &c.flops_effective, &c.seconds, &c.memory}) real(*one);
}

inline void pack(IndexPacker& out, const IndexedStage& stage) {
  out.size(stage.complete ? 1 : 0);
  auto counters = stage.record.counters;
  each_counter(
      counters, [&](std::int64_t& v) { out.integer(v); }, [&](double& v) { out.real(v); });
  out.size(stage.record.finals.size());
  for (const auto& [name, value] : stage.record.finals) pack(out.text(name), value);
  out.size(stage.record.curves.size());
  for (const auto& [name, curve] : stage.record.curves) out.text(name);
  out.size(stage.last.size());
  for (const auto& [name, value] : stage.last) pack(out.text(name), value);
}

inline IndexedStage unpack_stage(IndexUnpacker& in) {
  IndexedStage out;
  out.complete = in.size() == 1;
  each_counter(
      out.record.counters, [&](std::int64_t& v) { v = in.integer(); }, [&](double& v) { v = in.real(); });
  for (auto n = in.size(); n > 0; --n) {
    const auto& name = in.text();
    out.record.finals.emplace_hint(out.record.finals.end(), name, final_value(in));
  }
  for (auto n = in.size(); n > 0; --n) out.record.curves.try_emplace(out.record.curves.end(), in.text());
  for (auto n = in.size(); n > 0; --n) {
    const auto& name = in.text();
    out.last.emplace_hint(out.last.end(), name, final_value(in));
  }
  return out;
}

inline void pack(IndexPacker& out, const RunOutline& outline) {
  out.text(outline.name).text(outline.plan_id).text(outline.host).size(outline.arms.size());
  for (const auto& arm : outline.arms) out.text(arm.name).text(arm.label);
  out.size(outline.members.size());
  for (const auto& member : outline.members) {
    out.text(member.arm).integer(member.seed).size(member.stages.size());
    for (const auto& [node, digest] : member.stages) out.text(node).text(digest);
  }
}

inline RunOutline unpack_outline(IndexUnpacker& in) {
  RunOutline out;
  out.name = in.text(), out.plan_id = in.text(), out.host = in.text();
  for (auto n = in.size(); n > 0; --n) {
    const auto& name = in.text();
    out.arms.push_back({name, in.text()});
  }
  for (auto n = in.size(); n > 0; --n) {
    RunOutline::Member member;
    member.arm = in.text(), member.seed = in.integer();
    for (auto stages = in.size(); stages > 0; --stages) {
      const auto& node = in.text();
      member.stages.emplace_hint(member.stages.end(), node, in.text());
    }
    out.members.push_back(std::move(member));
  }
  return out;
}

inline std::string pack_index(const std::vector<IndexedRun>& runs) {
  IndexPacker out;
  out.size(runs.size());
  for (const auto& run : runs) {
    out.text(run.file).integer(run.bytes).integer(run.changed);
    pack(out, run.outline);
    out.size(run.stages.size());
    for (const auto& [digest, stage] : run.stages) pack(out.text(digest), stage);
    for (const auto* planned : {&run.nodes, &run.datasets}) {
      out.size(planned->size());
      for (const auto& [digest, node] : *planned) out.text(digest).text(node->json());
    }
  }
  return out.bytes();
}

/// Throws Error (Exit::data) on bytes that pack_index did not write.
inline std::vector<IndexedRun> unpack_index(std::string_view bytes) {
  constexpr std::size_t kDigits = 64;
  if (!bytes.starts_with(kIndexHead) || bytes.size() < kIndexHead.size() + kDigits)
    throw Error("it is no index of this format", Exit::data);
  const auto content = bytes.substr(kIndexHead.size() + kDigits);
  if (sha256(content) != bytes.substr(kIndexHead.size(), kDigits)) throw Error("the index is damaged", Exit::data);
  IndexUnpacker in(content);
  std::vector<IndexedRun> runs;
  for (auto n = in.size(); n > 0; --n) {
    IndexedRun run;
    run.file = in.text(), run.bytes = in.integer(), run.changed = in.integer();
    run.outline = unpack_outline(in);
    for (auto stages = in.size(); stages > 0; --stages) {
      const auto& digest = in.text();
      run.stages.emplace(digest, unpack_stage(in));
    }
    for (auto* planned : {&run.nodes, &run.datasets})
      for (auto n = in.size(); n > 0; --n) {
        const auto& digest = in.text();
        planned->emplace(digest, in.node());
      }
    runs.push_back(std::move(run));
  }
  if (!in.ended()) throw Error("the index holds more than it announces", Exit::data);
  return runs;
}

}  // namespace xp::detail
