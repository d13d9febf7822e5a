// One StageRecord as groups and datasets.
#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "results/result_file.h"

namespace xp::detail {
namespace {

constexpr std::array<std::string_view, 1> kItemsOwn = {"id"};
constexpr std::size_t kAllRows = std::numeric_limits<std::size_t>::max();

struct IntegerCounter {
  const char* name;
  std::int64_t Counters::*field;
};
struct RealCounter {
  const char* name;
  double Counters::*field;
};
constexpr std::array<IntegerCounter, 5> kIntegers = {{{"steps", &Counters::steps},
                                                      {"input_tokens", &Counters::input_tokens},
                                                      {"supervised_tokens", &Counters::supervised_tokens},
                                                      {"items", &Counters::items},
                                                      {"bytes", &Counters::bytes}}};
constexpr std::array<RealCounter, 5> kReals = {{{"epochs", &Counters::epochs},
                                                {"flops", &Counters::flops},
                                                {"flops_effective", &Counters::flops_effective},
                                                {"seconds", &Counters::seconds},
                                                {"memory", &Counters::memory}}};

void write_signature(Hdf5Writer& to, const std::string& path, const MetricSignature& what) {
  const std::pair<const char*, const std::string&> parts[] = {
      {"unit", what.unit}, {"tokenizer", what.tokenizer}, {"split", what.split}, {"version", what.version}};
  for (const auto& [name, value] : parts)
    if (!value.empty()) to.text_attribute(path, name, value);
}

MetricSignature read_signature(const Hdf5Reader& from, const std::string& path) {
  auto parts = from.text_attributes(path);
  return {parts["unit"], parts["tokenizer"], parts["split"], parts["version"]};
}

void write_curve(Hdf5Writer& to, const std::string& path, const Curve& curve) {
  const auto n = curve.points.size();
  std::vector<double> reals(n);
  std::vector<std::int64_t> integers(n);
  const auto all_reals = [&](const std::string& name, const auto& of) {
    for (std::size_t i = 0; i < n; ++i) reals[i] = of(curve.points[i]);
    to.reals(path + "/" + name, reals);
  };
  all_reals("value", [](const CurvePoint& point) { return point.value; });
  for (const auto& one : kReals) all_reals(one.name, [&](const CurvePoint& point) { return point.at.*one.field; });
  for (const auto& one : kIntegers) {
    for (std::size_t i = 0; i < n; ++i) integers[i] = curve.points[i].at.*one.field;
    to.integers(path + "/" + one.name, integers);
  }
  write_signature(to, path, curve.what);
}

template <class T>
void same_length(const std::string& path, const std::vector<T>& values, std::size_t n) {
  if (values.size() != n)
    throw Error("result file: " + backquoted(path) + " has " + count(values.size(), "value") + " where " +
                    std::to_string(n) + " belong",
                Exit::data);
}

Curve curve_at(const Hdf5Reader& from, const std::string& path) {
  Curve curve;
  curve.what = read_signature(from, path);
  const auto values = from.reals(path + "/value");
  curve.points.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) curve.points[i].value = values[i];
  for (const auto& one : kReals) {
    const auto column = from.reals(path + "/" + one.name);
    same_length(path, column, values.size());
    for (std::size_t i = 0; i < values.size(); ++i) curve.points[i].at.*one.field = column[i];
  }
  for (const auto& one : kIntegers) {
    const auto column = from.integers(path + "/" + one.name);
    same_length(path, column, values.size());
    for (std::size_t i = 0; i < values.size(); ++i) curve.points[i].at.*one.field = column[i];
  }
  return curve;
}

ItemTable read_items(const Hdf5Reader& from, const std::string& path) {
  ItemTable items;
  items.ids = from.texts(path + "/id");
  for (const auto& link : from.children(path)) {
    if (link == "id") continue;
    auto column = from.reals(path + "/" + link);
    same_length(path, column, items.ids.size());
    items.columns[hdf5_name_back(link)] = std::move(column);
  }
  return items;
}

void write_ledger(Hdf5Writer& to, const std::string& path, const LedgerTable& ledger) {
  to.group(path);
  to.integer_attribute(path, "rows", static_cast<std::int64_t>(ledger.rows.size()));
  std::vector<std::string> cells(ledger.rows.size());
  for (std::size_t c = 0; c < ledger.columns.size(); ++c) {
    for (std::size_t r = 0; r < cells.size(); ++r) cells[r] = ledger.rows[r].at(c);
    const auto place = path + "/" + hdf5_name(ledger.columns[c]);
    to.texts(place, cells);
    to.integer_attribute(place, "position", static_cast<std::int64_t>(c));
  }
}

LedgerTable read_ledger(const Hdf5Reader& from, const std::string& path, std::size_t most) {
  LedgerTable ledger;
  const auto links = from.children(path);
  ledger.columns.resize(links.size());
  std::vector<bool> seen(links.size());
  for (std::size_t i = 0; i < links.size(); ++i) {
    const auto place = path + "/" + links[i];
    const auto position = from.integer_attribute(place, "position");
    auto cells = from.texts(place, most);
    if (i == 0) ledger.rows.assign(cells.size(), std::vector<std::string>(links.size()));
    same_length(place, cells, ledger.rows.size());
    const auto at = static_cast<std::size_t>(position);
    if (position < 0 || at >= links.size() || seen[at])
      throw Error("result file: " + backquoted(place) + " states the position " + std::to_string(position) +
                      ", which is taken or outside the table",
                  Exit::data);
    seen[at] = true;
    ledger.columns[at] = hdf5_name_back(links[i]);
    for (std::size_t r = 0; r < cells.size(); ++r) ledger.rows[r][at] = std::move(cells[r]);
  }
  if (links.empty()) {
    const auto rows = from.integer_attribute(path, "rows");
    if (rows != 0) throw Error("result file: ledger " + backquoted(path) + " has rows without columns", Exit::data);
  }
  return ledger;
}

void write_fingerprints(Hdf5Writer& to, const std::string& path, const StageRecord& record) {
  std::vector<std::int64_t> steps, hashes;
  const auto columns = [&](const auto& all, const std::string& place) {
    steps.clear(), hashes.clear();
    for (const auto& one : all) steps.push_back(one.step), hashes.push_back(static_cast<std::int64_t>(one.hash));
    to.integers(place + "/step", steps), to.integers(place + "/hash", hashes);
  };
  columns(record.batches, path + "/batches"), columns(record.weights, path + "/weights");
  // Names once: there are as many rows of them as there are steps that count.
  std::vector<std::string> names;
  std::vector<std::int64_t> tensors;
  std::map<std::string, std::int64_t> known;
  for (const auto& one : record.weights) {
    const auto [at, fresh] = known.emplace(one.tensor, std::ssize(names));
    if (fresh) names.push_back(one.tensor);
    tensors.push_back(at->second);
  }
  to.integers(path + "/weights/tensor", tensors), to.texts(path + "/weights/names", names);
}

void read_fingerprints(const Hdf5Reader& from, const std::string& path, StageRecord& record) {
  const auto columns = [&](const std::string& place, auto& all) {
    const auto steps = from.integers(place + "/step"), hashes = from.integers(place + "/hash");
    same_length(place, hashes, steps.size());
    all.resize(steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i)
      all[i].step = steps[i], all[i].hash = static_cast<std::uint64_t>(hashes[i]);
  };
  columns(path + "/batches", record.batches), columns(path + "/weights", record.weights);
  const auto tensors = from.integers(path + "/weights/tensor");
  const auto names = from.texts(path + "/weights/names");
  same_length(path + "/weights", tensors, record.weights.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i] < 0 || tensors[i] >= std::ssize(names))
      throw Error("result file: " + backquoted(path) + " names tensor " + std::to_string(tensors[i]) + " of " +
                      std::to_string(names.size()),
                  Exit::data);
    record.weights[i].tensor = names[static_cast<std::size_t>(tensors[i])];
  }
}

}  // namespace

void write_record(Hdf5Writer& to, const std::string& group, const StageRecord& record) {
  for (const auto* name : {"curves", "counters", "final", "items", "ledger"}) to.group(group + "/" + name);
  for (const auto& [name, curve] : record.curves) write_curve(to, group + "/curves/" + hdf5_name(name), curve);
  for (const auto& one : kIntegers) to.integer(group + "/counters/" + one.name, record.counters.*one.field);
  for (const auto& one : kReals) to.real(group + "/counters/" + one.name, record.counters.*one.field);
  for (const auto& [name, final] : record.finals) {
    const auto path = group + "/final/" + hdf5_name(name);
    to.real(path, final.value);
    write_signature(to, path, final.what);
  }
  for (const auto& [name, items] : record.items) {
    const auto path = group + "/items/" + hdf5_name(name);
    to.texts(path + "/id", items.ids);
    for (const auto& [column, values] : items.columns) to.reals(path + "/" + hdf5_name(column, kItemsOwn), values);
  }
  for (const auto& [name, ledger] : record.ledgers) write_ledger(to, group + "/ledger/" + hdf5_name(name), ledger);
  if (!record.batches.empty() || !record.weights.empty()) write_fingerprints(to, group + "/fingerprints", record);
  to.texts(group + "/notes", record.notes);
}

Curve read_curve(const Hdf5Reader& from, const std::string& group, const std::string& name) {
  return curve_at(from, group + "/curves/" + hdf5_name(name));
}

std::map<std::string, LedgerHead> read_ledgers(const Hdf5Reader& from, const std::string& group, std::size_t most) {
  std::map<std::string, LedgerHead> out;
  for (const auto& link : from.children(group + "/ledger")) {
    const auto path = group + "/ledger/" + link;
    const auto rows = from.integer_attribute(path, "rows");
    LedgerHead head{read_ledger(from, path, most), 0};
    head.rows = std::max(head.first.rows.size(), static_cast<std::size_t>(std::max<std::int64_t>(rows, 0)));
    out.emplace(hdf5_name_back(link), std::move(head));
  }
  return out;
}

StageRecord read_record(const Hdf5Reader& from, const std::string& group, bool whole) {
  StageRecord record;
  const auto each = [&](const char* kind, const auto& take) {
    const auto folder = group + "/" + kind;
    for (const auto& link : from.children(folder)) take(hdf5_name_back(link), folder + "/" + link);
  };
  each("curves", [&](const std::string& name, const std::string& path) {
    record.curves[name] = whole ? curve_at(from, path) : Curve{};
  });
  for (const auto& one : kIntegers) record.counters.*one.field = from.integer(group + "/counters/" + one.name);
  for (const auto& one : kReals) record.counters.*one.field = from.real(group + "/counters/" + one.name);
  each("final", [&](const std::string& name, const std::string& path) {
    record.finals[name] = {from.real(path), read_signature(from, path)};
  });
  each("items",
       [&](const std::string& name, const std::string& path) { record.items[name] = read_items(from, path); });
  if (whole)
    each("ledger", [&](const std::string& name, const std::string& path) {
      record.ledgers[name] = read_ledger(from, path, kAllRows);
    });
  if (whole && from.has(group + "/fingerprints")) read_fingerprints(from, group + "/fingerprints", record);
  record.notes = from.texts(group + "/notes");
  return record;
}

}  // namespace xp::detail
