// From a record's journal to a StageRecord: voided records are left out, then the rest is applied in order.
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "results/journal.h"
#include "results/record_format.h"
#include "results/wire.h"

namespace xp {
namespace {

namespace fs = std::filesystem;
using detail::Entry;
using detail::Unpacker;

Error malformed(const std::string& why) { return Error(why, Exit::data); }

Counters counters_of(Unpacker& in) {
  Counters c;
  c.steps = in.i64(), c.input_tokens = in.i64(), c.supervised_tokens = in.i64(), c.items = in.i64(),
  c.bytes = in.i64();
  c.epochs = in.real(), c.flops = in.real(), c.flops_effective = in.real(), c.seconds = in.real(),
  c.memory = in.real();
  return c;
}

template <class T>
const T& at(const std::vector<T>& known, std::size_t number, std::string_view what) {
  if (number >= known.size())
    throw malformed("a record calls " + std::string(what) + " " + std::to_string(number) + " of " +
                    std::to_string(known.size()));
  return known[number];
}

struct Session {
  std::vector<std::string> names;
  std::vector<MetricSignature> signatures;
  struct Columns {
    std::string table;
    std::vector<std::string> names;
  };
  std::vector<Columns> columns;
};

struct Event {
  Entry kind;
  std::size_t session;
  std::size_t age;    ///< session that it counts to when two sessions measured one step
  std::int64_t step;  ///< known when it was recorded; of a point and a mark: its own
  bool resumable;     ///< recorded after a rewind of its session, by what goes on where it stood
  std::string payload;
};

// Reads records, keeps those that count. A new session sets aside what was there, because a stage runs from its start
// again; a rewind brings back what the resumed part recorded up to its step.
class Reader {
 public:
  void take(std::uint8_t kind, std::string_view payload) {
    Unpacker in(payload);
    const auto entry = static_cast<Entry>(kind);
    if (entry == Entry::session) {
      if (const auto format = in.u32(); format != detail::kRecordFormat)
        throw malformed("it is of format " + std::to_string(format) + "; this program reads format " +
                        std::to_string(detail::kRecordFormat));
      return begin();
    }
    if (sessions.empty()) throw malformed("its first record begins no session");
    auto& session = sessions.back();
    switch (entry) {
      case Entry::name: session.names.emplace_back(in.text()); return;
      case Entry::signature: {
        MetricSignature what;
        for (auto* part : {&what.unit, &what.tokenizer, &what.split, &what.version})
          *part = at(session.names, in.u32(), "name");
        session.signatures.push_back(std::move(what));
        return;
      }
      case Entry::columns: {
        Session::Columns columns{at(session.names, in.u32(), "name"), {}};
        for (auto n = in.u32(); n > 0; --n) columns.names.push_back(at(session.names, in.u32(), "name"));
        session.columns.push_back(std::move(columns));
        return;
      }
      case Entry::rewind: return rewind(in.i64());
      case Entry::mark: step_ = in.i64(); break;
      case Entry::point: in.u32(), in.u32(), in.real(), step_ = in.i64(); break;
      case Entry::counters:
      case Entry::batch: step_ = in.i64(); break;
      case Entry::weight: in.u32(), step_ = in.i64(); break;
      case Entry::metric:
      case Entry::item:
      case Entry::row:
      case Entry::note: break;
      default: throw malformed("it holds a record of the unknown kind " + std::to_string(kind));
    }
    events.push_back({entry, sessions.size() - 1, sessions.size() - 1, step_, rewound_, std::string(payload)});
  }

  std::vector<Session> sessions;
  std::vector<Event> events;

 private:
  void begin() {
    // A session that was killed before it came to its resumable part has nothing to go on from.
    const bool worked = rewound_ || std::any_of(events.begin(), events.end(), [](const Event& event) {
                          return event.kind == Entry::point || event.kind == Entry::mark;
                        });
    if (!rewound_)
      for (auto& event : events) event.resumable = true;
    if (worked || aside_.empty()) aside_ = std::move(events);
    events.clear();
    sessions.emplace_back();
    rewound_ = false, step_ = 0;
  }

  void rewind(std::int64_t step) {
    rewound_ = true, step_ = step;
    if (step < 0) return aside_.clear();
    if (cut_at_mark(events, step)) return;
    std::erase_if(events, [&](const Event& event) { return event.step > step; });
    const bool marked = cut_at_mark(aside_, step);
    for (auto& event : aside_) {
      if (!event.resumable || (!marked && event.step > step)) continue;
      if (marked) event.age = sessions.size() - 1;  // nothing before the mark is measured again
      events.push_back(std::move(event));
    }
    aside_.clear();
  }

  static bool cut_at_mark(std::vector<Event>& list, std::int64_t step) {
    for (auto i = list.size(); i-- > 0;) {
      if (list[i].kind != Entry::mark || list[i].step != step) continue;
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(i) + 1, list.end());
      return true;
    }
    return false;
  }

  std::vector<Event> aside_;
  bool rewound_ = false;
  std::int64_t step_ = 0;
};

// Applies what is left.
class Folder {
 public:
  explicit Folder(Reader& from) : sessions_(from.sessions) {
    for (const auto& event : from.events) apply(event);
    for (auto& [name, points] : points_) finish(points, out.curves[name].points);
    finish(batches_, out.batches), finish(weights_, out.weights);
  }

  StageRecord out;

 private:
  void apply(const Event& event) {
    Unpacker in(event.payload);
    const auto& session = sessions_[event.session];
    switch (event.kind) {
      case Entry::point: point(in, session, event); break;
      case Entry::metric: {
        const auto& name = at(session.names, in.u32(), "name");
        const auto& what = at(session.signatures, in.u32(), "signature");
        out.finals[name] = {in.real(), what};
        break;
      }
      case Entry::item: item(in, session); break;
      case Entry::row: row(in, session); break;
      case Entry::counters: out.counters = counters_of(in); break;
      case Entry::note: out.notes.emplace_back(in.text()); break;
      case Entry::batch: {
        const auto step = in.i64();
        batches_.push_back({event.age, {step, static_cast<std::uint64_t>(in.i64())}});
        break;
      }
      case Entry::weight: {
        const auto& tensor = at(session.names, in.u32(), "name");
        const auto step = in.i64();
        weights_.push_back({event.age, {step, tensor, static_cast<std::uint64_t>(in.i64())}});
        break;
      }
      default: break;
    }
    if (event.kind != Entry::mark && in.left() > 0)
      throw malformed("a record is " + std::to_string(in.left()) + " bytes longer than its kind");
  }

  void point(Unpacker& in, const Session& session, const Event& event) {
    const auto& name = at(session.names, in.u32(), "name");
    const auto& what = at(session.signatures, in.u32(), "signature");
    auto& curve = out.curves[name];
    curve.what = what;
    CurvePoint point;
    point.value = in.real();
    point.at = counters_of(in);
    points_[name].push_back({event.age, point});
  }

  template <class T>
  struct Aged {
    std::size_t age;
    T what;
  };

  static std::int64_t step_of(const CurvePoint& point) { return point.at.steps; }
  static std::int64_t step_of(const BatchFingerprint& one) { return one.step; }
  static std::int64_t step_of(const WeightFingerprint& one) { return one.step; }

  // Sorted by step; a step measured before a kill and again after it counts once.
  template <class T>
  static void finish(std::vector<Aged<T>>& all, std::vector<T>& out) {
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return std::pair(step_of(a.what), a.age) < std::pair(step_of(b.what), b.age);
    });
    for (std::size_t i = 0, last = 0; i < all.size(); i = last) {
      while (last < all.size() && step_of(all[last].what) == step_of(all[i].what)) ++last;
      for (; i < last; ++i)
        if (all[i].age == all[last - 1].age) out.push_back(std::move(all[i].what));
    }
  }

  void item(Unpacker& in, const Session& session) {
    const auto& table = at(session.names, in.u32(), "name");
    const auto& column = at(session.names, in.u32(), "name");
    const double value = in.real();
    const std::string id(in.text());
    auto& items = out.items[table];
    const auto [place, added] = rows_[table].try_emplace(id, items.ids.size());
    if (added) items.ids.push_back(id);
    auto& values = items.columns[column];
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    if (values.size() <= place->second) values.resize(place->second + 1, kNone);
    values[place->second] = value;
  }

  void row(Unpacker& in, const Session& session) {
    const auto& columns = at(session.columns, in.u32(), "column list");
    auto& ledger = out.ledgers[columns.table];
    if (ledger.rows.empty()) ledger.columns = columns.names;
    if (ledger.columns != columns.names)
      throw malformed("ledger " + backquoted(columns.table) + " has rows with the columns " + listed(ledger.columns) +
                      " and rows with " + listed(columns.names));
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < columns.names.size(); ++i) cells.emplace_back(in.text());
    ledger.rows.push_back(std::move(cells));
  }

  const std::vector<Session>& sessions_;
  std::unordered_map<std::string, std::vector<Aged<CurvePoint>>> points_;  ///< by curve
  std::vector<Aged<BatchFingerprint>> batches_;
  std::vector<Aged<WeightFingerprint>> weights_;
  std::unordered_map<std::string, std::unordered_map<std::string, std::size_t>> rows_;
};

}  // namespace

StageRecord read_record(const fs::path& journal, bool whole) {
  Reader reader;
  try {
    const auto good =
        read_journal(journal, [&](std::uint8_t kind, std::string_view payload) { reader.take(kind, payload); });
    if (whole) {
      std::error_code failed;
      const auto size = fs::file_size(journal, failed);
      if (failed || size != good)
        throw malformed("it is damaged after byte " + std::to_string(good) + " of " + std::to_string(size));
    }
    auto out = Folder(reader).out;
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    for (auto& [name, items] : out.items)
      for (auto& [column, values] : items.columns) values.resize(items.ids.size(), kNone);
    return out;
  } catch (const Error& error) {
    const std::string text = error.what();
    if (text.find(journal.string()) != std::string::npos) throw;
    throw Error("record " + backquoted(journal.string()) + " cannot be read: " + text, Exit::data);
  }
}

}  // namespace xp
