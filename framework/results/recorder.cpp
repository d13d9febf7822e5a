// JournalRecorder: calls become records; names are written once.
#include <algorithm>
#include <array>
#include <mutex>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "results/journal.h"
#include "results/record_format.h"
#include "results/wire.h"

namespace xp {
namespace {

using detail::Entry;
using detail::Packer;

void pack(Packer& out, const Counters& c) {
  out.i64(c.steps).i64(c.input_tokens).i64(c.supervised_tokens).i64(c.items).i64(c.bytes);
  out.real(c.epochs).real(c.flops).real(c.flops_effective).real(c.seconds).real(c.memory);
}

std::string shown(const MetricSignature& what) {
  return "(unit " + backquoted(what.unit) + ", tokenizer " + backquoted(what.tokenizer) + ", split " +
         backquoted(what.split) + ", version " + backquoted(what.version) + ")";
}

}  // namespace

struct JournalRecorder::Names {
  struct Columns {
    std::vector<std::string> names;
    std::uint32_t number = 0;
  };
  JournalWriter& out;
  std::mutex mutex;  ///< a name must stand in the file before the record that calls it
  std::unordered_map<std::string, std::uint32_t> names = {};
  std::vector<std::pair<MetricSignature, std::uint32_t>> signatures = {};  ///< few: searched from the end
  std::unordered_map<std::string, std::uint32_t> curves = {};              ///< curve -> signature
  std::unordered_map<std::string, Columns> ledgers = {};
  Counters last = {};

  void write(Entry kind, const Packer& payload) { out.append(static_cast<std::uint8_t>(kind), payload.bytes()); }

  std::uint32_t name(std::string_view text) {
    const auto found = names.find(std::string(text));
    if (found != names.end()) return found->second;
    write(Entry::name, Packer().text(text));
    const auto number = static_cast<std::uint32_t>(names.size());
    names.emplace(text, number);
    return number;
  }

  std::uint32_t signature(const MetricSignature& what) {
    const auto found =
        std::find_if(signatures.rbegin(), signatures.rend(), [&](const auto& one) { return one.first == what; });
    if (found != signatures.rend()) return found->second;
    Packer payload;
    payload.u32(name(what.unit)).u32(name(what.tokenizer)).u32(name(what.split)).u32(name(what.version));
    write(Entry::signature, payload);
    const auto number = static_cast<std::uint32_t>(signatures.size());
    signatures.emplace_back(what, number);
    return number;
  }

  std::uint32_t columns(std::string_view table, const std::vector<std::string>& wanted) {
    const auto found = ledgers.find(std::string(table));
    if (found != ledgers.end()) {
      if (found->second.names == wanted) return found->second.number;
      throw Error("ledger " + backquoted(table) + " has the columns " + listed(found->second.names) + ", not " +
                  listed(wanted));
    }
    auto sorted = wanted;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end())
      throw Error("ledger " + backquoted(table) + " names the column " + backquoted(*twice) + " twice");
    Packer payload;
    payload.u32(name(table)).u32(static_cast<std::uint32_t>(wanted.size()));
    for (const auto& one : wanted) payload.u32(name(one));
    write(Entry::columns, payload);
    const auto number = static_cast<std::uint32_t>(ledgers.size());
    ledgers.emplace(table, Columns{wanted, number});
    return number;
  }
};

JournalRecorder::JournalRecorder(const std::filesystem::path& file)
    : out_(file), names_(std::make_unique<Names>(out_)) {
  names_->write(Entry::session, Packer().u32(detail::kRecordFormat));
}

JournalRecorder::~JournalRecorder() = default;

void JournalRecorder::point(std::string_view curve, double value, const Counters& at, const MetricSignature& what) {
  const std::lock_guard lock(names_->mutex);
  const auto signature = names_->signature(what);
  const auto known = names_->curves.try_emplace(std::string(curve), signature).first->second;
  if (known != signature) {
    const auto& before = std::find_if(names_->signatures.begin(), names_->signatures.end(), [&](const auto& one) {
                           return one.second == known;
                         })->first;
    throw Error("curve " + backquoted(curve) + " has the signature " + shown(before) + "; a point with " +
                shown(what) + " needs a curve of its own");
  }
  Packer payload;
  payload.u32(names_->name(curve)).u32(signature).real(value);
  pack(payload, at);
  names_->write(Entry::point, payload);
}

void JournalRecorder::metric(std::string_view name, double value, const MetricSignature& what) {
  const std::lock_guard lock(names_->mutex);
  Packer payload;
  payload.u32(names_->name(name)).u32(names_->signature(what)).real(value);
  names_->write(Entry::metric, payload);
}

void JournalRecorder::item(std::string_view table, std::string_view id, std::string_view column, double value) {
  const std::lock_guard lock(names_->mutex);
  Packer payload;
  payload.u32(names_->name(table)).u32(names_->name(column)).real(value).text(id);
  names_->write(Entry::item, payload);
}

void JournalRecorder::ledger(std::string_view table, const std::vector<std::string>& columns,
                             const std::vector<std::string>& row) {
  if (row.size() != columns.size())
    throw Error("a row of ledger " + backquoted(table) + " has " + count(row.size(), "cell") + " for " +
                count(columns.size(), "column"));
  const std::lock_guard lock(names_->mutex);
  Packer payload;
  payload.u32(names_->columns(table, columns));
  for (const auto& cell : row) payload.text(cell);
  names_->write(Entry::row, payload);
}

void JournalRecorder::counters(const Counters& final) {
  const std::lock_guard lock(names_->mutex);
  Packer payload;
  pack(payload, final);
  names_->write(Entry::counters, payload);
  names_->last = final;
}

Counters JournalRecorder::last_counters() const {
  const std::lock_guard lock(names_->mutex);
  return names_->last;
}

void JournalRecorder::note(std::string_view text) {
  const std::lock_guard lock(names_->mutex);
  names_->write(Entry::note, Packer().text(text));
}

void JournalRecorder::batch_fingerprint(std::int64_t step, std::uint64_t hash) {
  const std::lock_guard lock(names_->mutex);
  names_->write(Entry::batch, Packer().i64(step).i64(static_cast<std::int64_t>(hash)));
}

void JournalRecorder::weight_fingerprint(std::int64_t step, std::string_view tensor, std::uint64_t hash) {
  const std::lock_guard lock(names_->mutex);
  Packer payload;
  payload.u32(names_->name(tensor)).i64(step).i64(static_cast<std::int64_t>(hash));
  names_->write(Entry::weight, payload);
}

void JournalRecorder::mark(std::int64_t step) {
  const std::lock_guard lock(names_->mutex);
  names_->write(Entry::mark, Packer().i64(step));
}

void JournalRecorder::rewind(std::int64_t step) {
  {
    const std::lock_guard lock(names_->mutex);
    names_->write(Entry::rewind, Packer().i64(step));
  }
  sync();
}

void JournalRecorder::sync() { out_.sync(); }

void JournalRecorder::check() const { out_.check(); }

}  // namespace xp
