#include "engine/loader.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "base/text.h"
#include "engine/collate.h"
#include "engine/fingerprints.h"
#include "engine/packing.h"

namespace xp {

namespace {

bool has(const std::vector<FieldSpec>& fields, const std::string& name) {
  return std::any_of(fields.begin(), fields.end(), [&](const auto& known) { return known.name == name; });
}

// Fields that all parts have. Only numbers of an item may be missing somewhere: documents carry more than is read.
std::vector<FieldSpec> common_fields(const std::vector<Loader::Part>& parts) {
  auto all = parts.front().source->fields();
  for (const auto& part : parts) {
    const auto own = part.source->fields();
    const auto missing = [&](const FieldSpec& spec, const std::vector<FieldSpec>& there) {
      if (has(there, spec.name)) return false;
      if (spec.axis.empty()) return true;
      throw Error("data parts " + backquoted(parts.front().source->name()) + " and " +
                  backquoted(part.source->name()) + " differ in their fields: " + backquoted(spec.name));
    };
    for (const auto& spec : own) missing(spec, all);
    std::erase_if(all, [&](const FieldSpec& spec) { return missing(spec, own); });
  }
  return all;
}

// "english" of "english:train".
std::string source_name(const Loader::Part& part) {
  return part.source->name().substr(0, part.source->name().find(':'));
}

}  // namespace

Loader::Loader(std::vector<Part> parts, const Transform* transform, const RandomStreams& random,
               LoaderSettings settings)
    : parts_(std::move(parts)), transform_(transform), random_(random), settings_(std::move(settings)) {
  if (parts_.empty()) throw Error("training needs data");
  fields_ = common_fields(parts_);
  if (settings_.size.items == 0 &&
      std::none_of(fields_.begin(), fields_.end(), [](const auto& spec) { return spec.axis == "input"; }))
    throw Error("a batch is counted in tokens, but data " + backquoted(parts_.front().source->name()) +
                " have none; count items: batch = { items = 32 }");
  add_written();
  if (settings_.pack > 0) fields_ = packed_fields(fields_, settings_.read);
}

void Loader::add_written() {
  if (!transform_) return;
  const auto use = transform_->fields();
  for (const auto& name : use.reads)
    if (std::none_of(fields_.begin(), fields_.end(), [&](const auto& known) { return known.name == name; }) &&
        std::none_of(use.writes.begin(), use.writes.end(), [&](const auto& made) { return made.name == name; })) {
      Strings names;
      for (const auto& spec : fields_) names.push_back(spec.name);
      throw Error("the objective reads the field " + backquoted(name) + "; the data give " + listed(names));
    }
  fields_.insert(fields_.end(), use.writes.begin(), use.writes.end());
}

Loader::~Loader() { stop(); }

void Loader::start(const LoaderPosition& at, const Counters& counters) {
  stop();
  const auto n = parts_.size();
  at_ = at, counters_ = counters;
  if (at_.epoch.empty())
    at_ = {std::vector<std::int64_t>(n), std::vector<std::int64_t>(n), std::vector<std::int64_t>(n),
           std::vector<double>(n), 0};
  if (at_.epoch.size() != n)
    throw Error("the saved position is of " + count(at_.epoch.size(), "data part") + ", the stage has " +
                std::to_string(n));
  cursors_.assign(n, {});
  for (std::size_t p = 0; p < n; ++p) {
    cursors_[p].order = parts_[p].source->order(at_.epoch[p], random_.child(parts_[p].source->name()));
    if (at_epoch_end(p)) at_.group[p] = 0;
    if (at_.group[p] > 0)
      cursors_[p].groups = parts_[p].source->groups(cursors_[p].order.at(static_cast<std::size_t>(at_.unit[p])),
                                                    at_.epoch[p], transform_, random_.child("input"));
  }
  ready_.clear(), failure_ = nullptr, stopping_ = false;
  if (settings_.ahead > 0) maker_ = std::thread([this] { produce(); });
}

void Loader::stop() {
  {
    const std::lock_guard lock(guard_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (maker_.joinable()) maker_.join();
}

void Loader::produce() {
  try {
    for (;;) {
      auto batch = make();
      std::unique_lock lock(guard_);
      changed_.wait(lock, [&] { return stopping_ || ready_.size() < static_cast<std::size_t>(settings_.ahead); });
      if (stopping_) return;
      ready_.push_back(std::move(batch));
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(guard_);
    failure_ = std::current_exception();
    changed_.notify_all();
  }
}

LogicalBatch Loader::next() {
  if (settings_.ahead == 0) return make();
  std::unique_lock lock(guard_);
  changed_.wait(lock, [&] { return !ready_.empty() || failure_; });
  if (ready_.empty()) std::rethrow_exception(failure_);
  auto batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batch;
}

// The part that lags most behind its share; ties go to the first.
std::size_t Loader::next_part() const {
  std::size_t best = 0;
  for (std::size_t p = 1; p < parts_.size(); ++p)
    if (at_.served[p] / parts_[p].weight < at_.served[best] / parts_[best].weight) best = p;
  return best;
}

bool Loader::at_epoch_end(std::size_t part) const { return at_.unit[part] >= std::ssize(cursors_[part].order); }

std::vector<Example> Loader::take(std::size_t p) {
  auto& cursor = cursors_[p];
  const auto& source = *parts_[p].source;
  for (std::size_t empty = 0;; ++empty) {
    if (at_epoch_end(p)) {
      if (empty > cursor.order.size() + 1)
        throw Error("data " + backquoted(source.name()) + " gives no examples", Exit::data);
      ++at_.epoch[p], at_.unit[p] = 0, at_.group[p] = 0;
      cursor.order = source.order(at_.epoch[p], random_.child(source.name()));
      continue;
    }
    if (at_.group[p] == 0)
      cursor.groups = source.groups(cursor.order[static_cast<std::size_t>(at_.unit[p])], at_.epoch[p], transform_,
                                    random_.child("input"));
    if (at_.group[p] >= std::ssize(cursor.groups)) {
      ++at_.unit[p], at_.group[p] = 0;
      continue;
    }
    auto group = std::move(cursor.groups[static_cast<std::size_t>(at_.group[p])]);
    if (++at_.group[p] == std::ssize(cursor.groups)) ++at_.unit[p], at_.group[p] = 0;
    return group;
  }
}

Strings Loader::sources() const {
  if (parts_.size() == 1) return parts_.front().source->sources();
  std::set<std::string> names;
  for (const auto& part : parts_) names.insert(source_name(part));
  return {names.begin(), names.end()};
}

double Loader::epochs() const {
  double done = 0, all = 0;
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const auto n = static_cast<double>(std::max<std::size_t>(cursors_[p].order.size(), 1));
    done += static_cast<double>(at_.epoch[p]) * n + static_cast<double>(at_.unit[p]), all += n;
  }
  return done / all;
}

void Loader::keep_own_share(std::vector<std::vector<Example>>& groups, std::vector<std::int64_t>& epochs_of) const {
  const auto n = static_cast<std::size_t>(settings_.processes);
  if (n == 1) return;
  if (groups.size() < n)
    throw Error("a batch of " + count(groups.size(), "group") + " cannot be shared by " + std::to_string(n) +
                " processes; make it larger");
  std::size_t kept = 0;
  for (auto g = static_cast<std::size_t>(settings_.rank); g < groups.size(); g += n, ++kept)
    if (g != kept) groups[kept] = std::move(groups[g]), epochs_of[kept] = epochs_of[g];
  groups.resize(kept), epochs_of.resize(kept);
}

LogicalBatch Loader::make() {
  if (settings_.before_batch) settings_.before_batch(counters_);
  std::vector<std::vector<Example>> groups;
  std::vector<std::int64_t> epochs_of;
  std::int64_t tokens = 0, items = 0;
  const auto full = [&] {
    return settings_.size.items > 0 ? items >= settings_.size.items : tokens >= settings_.size.tokens;
  };
  while (!full()) {
    const auto p = next_part();
    if (settings_.end_at_epoch && parts_.size() == 1 && !groups.empty() && at_epoch_end(p)) break;
    auto group = take(p);
    std::int64_t own = 0;
    const auto& declared = parts_[p].source->fields();
    for (auto& example : group) {
      if (parts_.size() > 1) example.source = source_name(parts_[p]);
      own += length_of(example, declared);
      if (const auto bytes = example.fields.find("bytes"); bytes != example.fields.end())
        counters_.bytes += std::get<Ints>(bytes->second).data.at(0);
    }
    tokens += own, items += std::ssize(group);
    at_.served[p] += settings_.size.items > 0 ? static_cast<double>(group.size()) : static_cast<double>(own);
    groups.push_back(std::move(group));
    epochs_of.push_back(at_.epoch[p]);
  }
  keep_own_share(groups, epochs_of);
  if (transform_) {
    const auto input = random_.child("input");
    parallel_for(groups.size(), settings_.threads, [&](std::size_t i) {
      auto stream = input.stream(epochs_of[i], static_cast<std::uint64_t>(groups[i].at(0).sample_id));
      transform_->apply(groups[i], stream);
    });
  }
  ++at_.batches;
  counters_.steps = at_.batches, counters_.input_tokens += tokens, counters_.items += items,
  counters_.epochs = epochs();
  LogicalBatch out;
  if (settings_.pack > 0) groups = packed(groups, fields_, settings_.pack);
  add_micro_batches(groups, out);
  out.counters = counters_, out.after = at_;
  return out;
}

void Loader::add_micro_batches(std::vector<std::vector<Example>>& groups, LogicalBatch& to) const {
  std::vector<std::size_t> order(groups.size());
  std::iota(order.begin(), order.end(), 0);
  const auto longest = [&](std::size_t g) {
    std::int64_t n = 0;
    for (const auto& example : groups[g]) n = std::max(n, length_of(example, fields_));
    return n;
  };
  std::vector<std::int64_t> lengths;
  for (std::size_t g = 0; g < groups.size(); ++g) lengths.push_back(longest(g));
  // Items of like length share a micro-batch: less padding, and the sums do not care.
  if (!settings_.whole)
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  std::vector<const Example*> items;
  std::int64_t widest = 0;
  const auto flush = [&] {
    if (items.empty()) return;
    auto& batch = to.micro.emplace_back(collate(items, fields_));
    to.fingerprint = fingerprint(batch, to.fingerprint);
    if (!settings_.device.is_cpu()) batch = batch.on(settings_.device);
    items.clear(), widest = 0;
  };
  for (const auto g : order) {
    const auto n = std::ssize(items) + std::ssize(groups[g]);
    const auto width = std::max(widest, lengths[g]);
    const bool over = settings_.micro_items > 0 ? n > settings_.micro_items : n * width > settings_.micro_tokens;
    if (!settings_.whole && over && !items.empty()) flush();
    for (const auto& example : groups[g]) items.push_back(&example);
    widest = std::max(widest, lengths[g]);
  }
  flush();
}

double Loader::units_per_epoch() const {
  double n = 0;
  for (const auto& cursor : cursors_) n += static_cast<double>(cursor.order.size());
  return n;
}

}  // namespace xp
