#include "engine/training_state.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/artifacts.h"

namespace xp {
namespace {

constexpr std::string_view kStem = "training.";
constexpr const char *kScoredSteps = "scored_steps", *kScores = "scores";
constexpr std::string_view kHalf = "writing";  // not yet whole, or left by a kill

// Doubles go as their bits: a resumed run must not differ in the last digit.
std::int64_t bits(double value) {
  std::int64_t out = 0;
  std::memcpy(&out, &value, sizeof out);
  return out;
}
double from_bits(std::int64_t value) {
  double out = 0;
  std::memcpy(&out, &value, sizeof out);
  return out;
}

std::int64_t step_of(const std::filesystem::path& folder) {
  const auto name = folder.filename().string();
  std::int64_t step = -1;
  const auto* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + kStem.size(), end, step);
  return error == std::errc() && at == end ? step : -1;
}

std::vector<std::filesystem::path> saved_in(const std::filesystem::path& work) {
  std::vector<std::filesystem::path> found;
  if (!std::filesystem::exists(work)) return found;
  for (const auto& entry : std::filesystem::directory_iterator(work))
    if (entry.path().filename().string().starts_with(kStem) && step_of(entry.path()) >= 0)
      found.push_back(entry.path());
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return step_of(a) > step_of(b); });
  return found;
}

void remove_half_written(const std::filesystem::path& work) {
  std::vector<std::filesystem::path> left;
  std::error_code none;
  for (std::filesystem::directory_iterator at(work, none), end; !none && at != end; at.increment(none))
    if (at->path().filename().string().starts_with(kHalf)) left.push_back(at->path());
  for (const auto& folder : left) std::filesystem::remove_all(folder);
}

// Training goes on with the tensors, so the copy shares none of them.
State snapshot(const State& from) {
  State out;
  for (const auto& name : from.value_names()) out.set(name, from.values(name));
  for (const auto& name : from.tensor_names())
    out.set(name, from.tensor(name).to(at::kCPU, false, true, at::MemoryFormat::Contiguous));
  for (const auto& name : from.child_names()) out.child(name) = snapshot(from.child(name));
  return out;
}

double bytes_in(const std::filesystem::path& folder) {
  double bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += static_cast<double>(entry.file_size());
  return bytes;
}

void remove_others(const std::filesystem::path& work, const StateRetention& keep,
                   const std::map<std::int64_t, double>& scores) {
  const auto folders = saved_in(work);
  std::vector<SavedState> saved;
  for (const auto& folder : folders) {
    saved.push_back({step_of(folder), bytes_in(folder), std::nullopt});
    if (const auto score = scores.find(saved.back().step); score != scores.end()) saved.back().score = score->second;
  }
  const auto stays = staying(saved, keep);
  for (std::size_t i = 0; i < folders.size(); ++i)
    if (!stays[i]) std::filesystem::remove_all(folders[i]);
}

void write_state(const std::filesystem::path& work, const std::filesystem::path& target, const State& state,
                 const std::function<void()>& records_to_disk) {
  std::filesystem::create_directories(work);
  const auto temporary = make_scratch(work, kHalf);
  save_state(temporary, state);
  sync_path(temporary);
  records_to_disk();
  std::filesystem::rename(temporary, target);
  sync_path(work);
}

}  // namespace

void TrainingState::save(State& out) const {
  const auto& c = counters;
  out.set("counters", Ints{{c.steps, c.input_tokens, c.supervised_tokens, c.items, c.bytes, bits(c.epochs),
                            bits(c.flops), bits(c.flops_effective), bits(c.seconds), bits(c.memory)}});
  out.set("progress", Ints{{skipped, evaluations, evaluations_due, checkpoints_due, last_evaluated_step, best ? 1 : 0,
                            bits(best.value_or(0))}});
  std::vector<std::int64_t> served;
  for (const double x : position.served) served.push_back(bits(x));
  out.set("epoch", Ints{position.epoch}), out.set("unit", Ints{position.unit}),
      out.set("group", Ints{position.group});
  out.set("served", Ints{served}), out.set("batches", Ints{{position.batches}});
}

void TrainingState::load(const State& in) {
  const auto& c = in.ints("counters").data;
  const auto& p = in.ints("progress").data;
  if (c.size() != 10 || p.size() != 7)
    throw Error("a training state has another layout than this program writes", Exit::data);
  counters = {
      c[0],           c[1], c[2], c[3], c[4], from_bits(c[5]), from_bits(c[6]), from_bits(c[7]), from_bits(c[8]),
      from_bits(c[9])};
  skipped = p[0], evaluations = p[1], evaluations_due = p[2], checkpoints_due = p[3], last_evaluated_step = p[4];
  best = p[5] ? std::optional(from_bits(p[6])) : std::nullopt;
  position = {in.ints("epoch").data, in.ints("unit").data, in.ints("group").data, {}, in.ints("batches").data.at(0)};
  for (const auto x : in.ints("served").data) position.served.push_back(from_bits(x));
}

void deliver(std::vector<Feedback>& messages, Transform& transform, std::int64_t step) {
  for (const auto& wish : transform.subscriptions())
    std::erase_if(messages, [&](const Feedback& message) {
      if (message.topic != wish.topic || message.step + wish.delay > step) return false;
      transform.receive(message);
      return true;
    });
}

void save_feedback(const std::vector<Feedback>& messages, State& out) {
  out.set("count", Ints{{std::ssize(messages)}});
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto& one = out.child(std::to_string(i));
    one.set("topic", Strings{messages[i].topic}), one.set("step", Ints{{messages[i].step}});
    for (const auto& [name, values] : messages[i].values) one.child("values").set(name, values);
  }
}

std::vector<Feedback> load_feedback(const State& in) {
  std::vector<Feedback> out;
  for (std::int64_t i = 0; i < in.ints("count").data.at(0); ++i) {
    const auto& one = in.child(std::to_string(i));
    Feedback message{one.strings("topic").at(0), one.ints("step").data.at(0), {}};
    if (one.has("values"))
      for (const auto& name : one.child("values").value_names())
        message.values[name] = one.child("values").values(name);
    out.push_back(std::move(message));
  }
  return out;
}

StateWriter::StateWriter(std::filesystem::path work, std::function<void()> records_to_disk, StateRetention keep)
    : work_(std::move(work)), records_to_disk_(std::move(records_to_disk)), keep_(keep) {}

StateWriter::~StateWriter() {
  try {
    finish();
  } catch (const std::exception& error) {
    log::error(error.what());
  }
}

bool StateWriter::wants(std::int64_t step) const {
  return (keep_.every > 0 && step > 0 && step % keep_.every == 0) || (keep_.best > 0 && scores_.contains(step));
}

void StateWriter::judge(std::int64_t step, const std::map<std::string, double>& seen, const std::string& by,
                        bool higher) {
  const auto value = seen.find(by);
  if (value != seen.end() && std::isfinite(value->second)) scores_[step] = higher ? value->second : -value->second;
}

void StateWriter::load(const State& in) {
  if (!in.has(kScoredSteps)) return;
  for (std::size_t i = 0; i < in.ints(kScoredSteps).data.size(); ++i)
    scores_[in.ints(kScoredSteps).data[i]] = from_bits(in.ints(kScores).data.at(i));
}

void StateWriter::write(std::int64_t step, const State& state) {
  finish();
  const auto target = work_ / (std::string(kStem) + std::to_string(step));
  if (std::filesystem::exists(target)) return;  // nothing happened since
  Ints steps, scores;
  for (const auto& [scored, score] : scores_) steps.data.push_back(scored), scores.data.push_back(bits(score));
  auto copy = snapshot(state);
  copy.set(kScoredSteps, steps), copy.set(kScores, scores);
  writing_ = std::async(std::launch::async, [this, target, copy = std::move(copy), known = scores_] {
    write_state(work_, target, copy, records_to_disk_);
    remove_others(work_, keep_, known);
  });
}

void StateWriter::finish() {
  if (writing_.valid()) writing_.get();
}

std::optional<State> read_training_state(const std::filesystem::path& work) {
  remove_half_written(work);
  for (const auto& folder : saved_in(work)) {
    try {
      return load_state(folder);
    } catch (const Error& error) {
      log::warn("training state " + folder.string() + " is passed over and removed: " + error.what());
      std::filesystem::remove_all(folder);  // or the next state of its step would find its place taken
    }
  }
  return std::nullopt;
}

}  // namespace xp
