#include "sweep/event.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/text.h"
#include "results/stored_json.h"

namespace xp::sweep {
namespace {

constexpr std::string_view kNames[] = {"trial", "start", "rung", "go", "done", "fail", "back", "prune"};

}  // namespace

std::string_view kind_name(Event::Kind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::string to_json(const Event& event) {
  Table out{{"event", kind_name(event.kind)}, {"arm", event.arm}, {"number", event.number}};
  if (event.kind == Event::Kind::trial) out.insert_or_assign("values", event.values);
  if (event.rung >= 0) out.insert_or_assign("rung", event.rung);
  if (std::isfinite(event.value)) out.insert_or_assign("value", event.value);
  for (const auto& [key, text] :
       {std::pair{"by", &event.by}, {"word", &event.word}, {"text", &event.text}, {"file", &event.file}})
    if (!text->empty()) out.insert_or_assign(key, *text);
  if (event.seconds > 0) out.insert_or_assign("seconds", event.seconds);
  if (event.forced) out.insert_or_assign("forced", true);
  if (!event.at.empty()) out.insert_or_assign("at", event.at);
  return xp::to_json(Value(std::move(out)));
}

Event event_from(std::string_view json, const std::string& where) {
  const auto table = detail::stored_object(json, where);
  const detail::Stored stored(table, where);
  Event out;
  const auto name = std::find(std::begin(kNames), std::end(kNames), stored.text("event"));
  if (name == std::end(kNames))
    throw stored.wrong("event", "one of " + listed({std::begin(kNames), std::end(kNames)}));
  out.kind = static_cast<Event::Kind>(name - std::begin(kNames));
  out.arm = stored.text("arm"), out.number = stored.integer("number");
  if (out.number < 0) throw stored.wrong("number", "0 or more");
  if (out.kind == Event::Kind::trial) out.values = stored.table("values");
  if (stored.has("rung")) out.rung = stored.integer("rung");
  if (stored.has("value")) out.value = stored.number("value");
  for (const auto& [key, into] :
       {std::pair{"by", &out.by}, {"word", &out.word}, {"text", &out.text}, {"file", &out.file}})
    if (stored.has(key)) *into = stored.text(key);
  if (stored.has("seconds")) out.seconds = stored.number("seconds");
  out.forced = stored.has("forced");
  if (stored.has("at")) out.at = stored.text("at");
  return out;
}

}  // namespace xp::sweep
