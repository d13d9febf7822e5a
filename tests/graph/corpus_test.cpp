// Documents of one split: in memory, and read anew for each pass.
#include "graph/corpus.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace xp {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

/// `size` documents "a:0", "a:1" ... in two languages, the last one `again` once more.
class Numbered final : public DataSource {
 public:
  struct Params {
    std::int64_t size = 0;
    bool again = false;
    static void describe(Fields<Params>& f) {
      f.add(&Params::size, "size", "Documents."), f.add(&Params::again, "again", "Repeats the last id.");
    }
  };
  explicit Numbered(Params params) : p_(params) {}
  void for_each(const std::function<void(const Document&)>& visit) const override {
    Document document;
    for (std::int64_t i = 0; i < p_.size; ++i) {
      document.id = "a:" + std::to_string(i), document.text = std::string(static_cast<std::size_t>(i % 7), 'x');
      document.language = i % 3 == 0 ? "mt" : "en";
      visit(document);
    }
    if (p_.again) visit(document);
  }
  std::string fingerprint() const override { return "numbered " + std::to_string(p_.size); }

 private:
  Params p_;
};

const Registry& registry() {
  static const auto made = [] {
    auto out = std::make_unique<Registry>();
    out->add<Numbered>("numbered", "Documents by number.");
    return out;
  }();
  return *made;
}

Reference reference(const std::string& split, Table settings) {
  settings.insert_or_assign("type", Value("numbered"));
  Reference out;
  out.text = "words:" + split, out.split = split, out.component = std::make_shared<const Table>(std::move(settings));
  return out;
}

Table shares(double dev, double test) { return {{"dev", Value(dev)}, {"test", Value(test)}}; }

Strings ids_of(const DataSource& source) {
  Strings out;
  source.for_each([&](const Document& document) { out.push_back(document.id); });
  return out;
}

std::shared_ptr<const DataSource> streamed(const Reference& dataset) {
  return streamed_source(dataset, registry(), RandomStreams(1));
}

TEST_CASE("a streamed split has the documents of the loaded one, in every pass") {
  std::size_t all = 0;
  for (const char* split : {"train", "dev", "test"}) {
    const auto dataset = reference(split, {{"size", Value(std::int64_t{500})}, {"split", Value(shares(0.2, 0.1))}});
    const auto loaded = std::make_shared<const Corpus>(load_corpus(dataset, registry()));
    const auto source = streamed(dataset);
    const auto ids = ids_of(*source);
    CHECK(ids == ids_of(*as_source(loaded, RandomStreams(1))));
    CHECK(ids == ids_of(*source));
    all += ids.size();
  }
  CHECK(all == 500);
}

TEST_CASE("a streamed split is another one where its source, its name or its shares differ") {
  const auto print = [](const std::string& split, std::int64_t size, double dev) {
    return streamed(reference(split, {{"size", Value(size)}, {"split", Value(shares(dev, 0.1))}}))->fingerprint();
  };
  CHECK(print("train", 50, 0.1) == print("train", 50, 0.1));
  CHECK(print("train", 50, 0.1) != print("dev", 50, 0.1));
  CHECK(print("train", 50, 0.1) != print("train", 51, 0.1));
  CHECK(print("train", 50, 0.1) != print("train", 50, 0.2));
}

TEST_CASE("a streamed pass refuses what loading refuses") {
  const auto empty = reference("dev", {{"size", Value(std::int64_t{20})}, {"split", Value(shares(0, 0))}});
  const auto twice = reference("train", {{"size", Value(std::int64_t{20})}, {"again", Value(true)}});
  for (const auto& [dataset, what] :
       {std::pair(empty, "documents lie in `train`"), std::pair(twice, "two documents")}) {
    CHECK_THROWS_MATCHES(ids_of(*streamed(dataset)), Error, MessageMatches(ContainsSubstring(what)));
    CHECK_THROWS_MATCHES(load_corpus(dataset, registry()), Error, MessageMatches(ContainsSubstring(what)));
  }
}

TEST_CASE("sampling repeats a streamed training split as the loaded one, and no other") {
  const Table sampling{{"alpha", Value(0.3)}, {"by", Value("language")}};
  for (const char* split : {"train", "dev"}) {
    const auto dataset = reference(
        split, {{"size", Value(std::int64_t{300})}, {"split", Value(shares(0.3, 0))}, {"sampling", Value(sampling)}});
    const auto loaded = std::make_shared<const Corpus>(load_corpus(dataset, registry()));
    CHECK(ids_of(*streamed(dataset)) == ids_of(*as_source(loaded, RandomStreams(1))));
    CHECK((ids_of(*streamed(dataset)).size() != loaded->documents.size()) == (std::string(split) == "train"));
  }
}

}  // namespace
}  // namespace xp
