#include "testing/conformance_data.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>
#include <thread>

#include "api/dataset.h"
#include "base/text.h"
#include "testing/conformance_component.h"

namespace xp::testing {
namespace {

/// All that is known about a document, comparable.
Table as_table(const Document& d) {
  List marks;
  for (const auto& mark : d.annotations)
    marks.push_back(Table{{"kind", mark.kind}, {"begin", mark.begin}, {"end", mark.end}, {"value", mark.value}});
  Table fields;
  for (const auto& [name, text] : d.fields) fields.emplace(name, text);
  return {{"id", d.id},         {"text", d.text},      {"title", d.title}, {"language", d.language},
          {"script", d.script}, {"source", d.source},  {"group", d.group}, {"split", d.split},
          {"fields", fields},   {"annotations", marks}};
}

List documents_of(const DataSource& source) {
  List out;
  source.for_each([&](const Document& document) { out.push_back(as_table(document)); });
  return out;
}

bool on_border(const std::string& text, std::uint64_t at) {
  return at == text.size() || (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80);
}

void check_documents(const DataSource& source) {
  std::set<std::string> ids;
  std::map<std::string, std::set<std::string>> splits;  // of a group
  source.for_each([&](const Document& d) {
    INFO("document " << d.id);
    CHECK_FALSE(d.id.empty());
    CHECK(ids.insert(d.id).second);
    CHECK(is_utf8(d.text));
    for (const auto& [name, text] : d.fields) CHECK((is_name(name) && is_utf8(text)));
    CHECK(d.script.size() % 4 == 0);
    for (const auto& mark : d.annotations) {
      CHECK_FALSE(mark.kind.empty());
      CHECK(mark.begin <= mark.end);
      CHECK((on_border(d.text, mark.begin) && on_border(d.text, mark.end)));
    }
    splits[d.group.empty() ? "document " + d.id : "group " + d.group].insert(d.split);
  });
  for (const auto& [group, names] : splits) {
    INFO(group << " is in the splits " << join({names.begin(), names.end()}, ", "));
    CHECK(names.size() == 1);
  }
}

/// All that is known about a group of examples, comparable.
List as_list(const std::vector<Example>& group) {
  List out;
  for (const auto& example : group) {
    Table fields;
    for (const auto& [name, values] : example.fields) {
      List list;
      if (const auto* ints = std::get_if<Ints>(&values))
        list.assign(ints->data.begin(), ints->data.end());
      else if (const auto* floats = std::get_if<Floats>(&values))
        for (const float x : floats->data) list.push_back(static_cast<double>(x));
      else
        for (const auto& text : std::get<Strings>(values)) list.push_back(text);
      fields.emplace(name, std::move(list));
    }
    out.push_back(Table{{"sample", example.sample_id},
                        {"group", example.group_id},
                        {"source", example.source},
                        {"fields", std::move(fields)}});
  }
  return out;
}

List examples_of(const Dataset& dataset) {
  List out;
  for (std::int64_t i = 0; i < dataset.size(); ++i) out.push_back(as_list(dataset.get(i)));
  return out;
}

void check_groups(const Dataset& dataset) {
  const auto specs = dataset.fields();
  std::set<std::int64_t> samples, groups;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    INFO("group " << i);
    const auto group = dataset.get(i);
    REQUIRE_FALSE(group.empty());
    CHECK(groups.insert(group[0].group_id).second);
    CHECK(dataset.split(i) == dataset.split(i));
    for (const auto& example : group) {
      CHECK(samples.insert(example.sample_id).second);
      CHECK(example.group_id == group[0].group_id);
      std::map<std::string, std::size_t> lengths;
      for (const auto& spec : specs) {
        INFO("field " << spec.name);
        REQUIRE(example.fields.contains(spec.name));
        if (spec.axis == "ragged") continue;
        const auto length = std::visit(
            [](const auto& values) {
              if constexpr (requires { values.data; })
                return values.data.size();
              else
                return values.size();
            },
            example.fields.at(spec.name));
        CHECK(length == (spec.axis.empty() ? 1 : lengths.emplace(spec.axis, length).first->second));
      }
    }
  }
}

}  // namespace

void check_data_source(const Registry& registry, const Table& settings, const Table& changed) {
  check_component(registry, DataSource::kInterface, *settings.at("type").as<std::string>());
  INFO("data_source " << to_text(settings));
  const auto source = registry.make<DataSource>(settings), again = registry.make<DataSource>(settings),
             other = registry.make<DataSource>(changed);
  check_documents(*source);
  const auto documents = documents_of(*source);
  REQUIRE(documents.size() > 1);
  CHECK((documents_of(*source) == documents));
  CHECK((documents_of(*again) == documents));
  CHECK(again->fingerprint() == source->fingerprint());
  CHECK_FALSE((documents_of(*other) == documents));
  CHECK(other->fingerprint() != source->fingerprint());
}

void check_dataset(const Registry& registry, const Table& settings, const Table& changed) {
  check_component(registry, Dataset::kInterface, *settings.at("type").as<std::string>());
  INFO("dataset " << to_text(settings));
  const auto dataset = registry.make<Dataset>(settings), again = registry.make<Dataset>(settings),
             other = registry.make<Dataset>(changed);
  REQUIRE(dataset->size() > 1);
  REQUIRE_FALSE(dataset->fields().empty());
  check_groups(*dataset);
  const auto examples = examples_of(*dataset);
  std::vector<List> seen(4);
  {
    std::vector<std::jthread> readers;
    for (auto& one : seen) readers.emplace_back([&one, &again] { one = examples_of(*again); });
  }
  for (const auto& one : seen) CHECK((one == examples));
  CHECK_THROWS_AS(dataset->get(dataset->size()), Error);
  CHECK_THROWS_AS(dataset->get(-1), Error);
  CHECK(again->fingerprint() == dataset->fingerprint());
  CHECK_FALSE((examples_of(*other) == examples));
  CHECK(other->fingerprint() != dataset->fingerprint());
}

}  // namespace xp::testing
