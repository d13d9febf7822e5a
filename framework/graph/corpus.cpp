#include "graph/corpus.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"

namespace xp {
namespace {

class CorpusSource final : public DataSource {
 public:
  CorpusSource(std::shared_ptr<const Corpus> corpus, RandomStreams random)
      : corpus_(std::move(corpus)), random_(random) {}

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (std::size_t i = 0; i < corpus_->documents.size(); ++i)
      for (int n = times_in_epoch(*corpus_, i, 0, random_); n > 0; --n) visit(corpus_->documents[i]);
  }
  std::string fingerprint() const override {
    Digest digest;
    for (std::size_t i = 0; i < corpus_->documents.size(); ++i) {
      const auto& document = corpus_->documents[i];
      digest.add(document.id).add(document.text).add(std::int64_t{times_in_epoch(*corpus_, i, 0, random_)});
    }
    return digest.hex();
  }

 private:
  std::shared_ptr<const Corpus> corpus_;
  RandomStreams random_;
};

/// One split of a dataset's documents, as its source reads them.
class OneSplit final : public DataSource {
 public:
  OneSplit(const Reference& dataset, const Registry& registry) : text_(dataset.text), split_(dataset.split) {
    if (!dataset.component) throw Error(backquoted(dataset.text) + " is not a dataset");
    Table settings = *dataset.component;
    shares_ = split_shares(settings), how_ = sampling(settings);
    settings.erase("split"), settings.erase("sampling");
    source_ = registry.make<DataSource>(settings);
  }

  /// How its documents are repeated. Only training follows the sampling: a measurement weighs them as they are.
  std::optional<Sampling> how() const { return split_ == "train" ? how_ : std::nullopt; }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    std::set<std::string, std::less<>> ids, seen;
    std::size_t given = 0;
    source_->for_each([&](const Document& document) {
      if (!ids.insert(document.id).second)
        throw Error("dataset " + backquoted(text_) + " has two documents with the id " + backquoted(document.id),
                    Exit::data);
      const auto split = split_of(document, shares_);
      if (split == split_) return ++given, visit(document);
      seen.insert(split);
    });
    if (given == 0)
      throw Error("split " + backquoted(split_) + " of dataset " + backquoted(text_) +
                      " is empty; documents lie in " + listed({seen.begin(), seen.end()}),
                  Exit::data);
  }
  std::string fingerprint() const override {
    Digest digest;
    digest.add(source_->fingerprint()).add(split_).add(number_text(shares_.dev)).add(number_text(shares_.test));
    return digest.hex();
  }

 private:
  std::string text_, split_;
  SplitShares shares_;
  std::optional<Sampling> how_;
  std::unique_ptr<DataSource> source_;
};

double number_at(const Table& table, std::string_view key, double otherwise) {
  const auto found = table.find(key);
  return found != table.end() && found->second.is_number() ? found->second.number() : otherwise;
}

const Table* table_at(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : found->second.as<Table>();
}

std::vector<double> repeats_for(const std::vector<Document>& documents, const Sampling& how) {
  const auto stratum = [&](const Document& d) -> const std::string& {
    return how.by == "source" ? d.source : d.language;
  };
  std::map<std::string, double> bytes;
  double all = 0;
  for (const auto& document : documents) {
    const auto n = static_cast<double>(document.text.size());
    bytes[stratum(document)] += n, all += n;
  }
  double sum = 0;
  for (const auto& [name, n] : bytes)
    if (n > 0) sum += std::pow(n, how.alpha);
  std::vector<double> repeats;
  repeats.reserve(documents.size());
  for (const auto& document : documents) {
    const double n = bytes.at(stratum(document));
    repeats.push_back(n > 0 ? std::pow(n, how.alpha) / sum * all / n : 0);
  }
  return repeats;
}

}  // namespace

std::int64_t document_key(std::string_view id) {
  return static_cast<std::int64_t>(RandomStreams(0, id).stream().next() >> 1);
}

std::string split_of(const Document& document, const SplitShares& shares) {
  if (!document.split.empty()) return document.split;
  const auto& group = document.group.empty() ? document.id : document.group;
  const double u = RandomStreams(0, "split").child(group).stream().uniform();
  return u < shares.test ? "test" : u < shares.test + shares.dev ? "dev" : "train";
}

SplitShares split_shares(const Table& dataset) {
  SplitShares shares;
  if (const auto* table = table_at(dataset, "split")) {
    shares.dev = number_at(*table, "dev", shares.dev);
    shares.test = number_at(*table, "test", shares.test);
  }
  return shares;
}

std::optional<Sampling> sampling(const Table& dataset) {
  const auto* table = table_at(dataset, "sampling");
  if (!table) return std::nullopt;
  Sampling how;
  how.alpha = number_at(*table, "alpha", how.alpha);
  if (const auto by = table->find("by"); by != table->end())
    if (const auto* text = by->second.as<std::string>()) how.by = *text;
  return how;
}

Corpus load_corpus(const Reference& dataset, const Registry& registry) {
  const OneSplit split(dataset, registry);
  Corpus corpus;
  corpus.name = dataset.text.find(':') == std::string::npos ? dataset.text + ":" + dataset.split : dataset.text;
  split.for_each([&](const Document& document) { corpus.documents.push_back(document); });
  const auto how = split.how();
  corpus.repeats = how ? repeats_for(corpus.documents, *how) : std::vector<double>(corpus.documents.size(), 1.0);
  return corpus;
}

std::shared_ptr<const DataSource> streamed_source(const Reference& dataset, const Registry& registry,
                                                  const RandomStreams& random) {
  auto split = std::make_shared<const OneSplit>(dataset, registry);
  if (!split->how()) return split;
  return as_source(std::make_shared<const Corpus>(load_corpus(dataset, registry)), random);
}

Corpus made_corpus(const std::filesystem::path& file, const std::string& name) {
  Corpus corpus;
  corpus.name = name;
  std::set<std::string, std::less<>> ids;
  std::size_t number = 0;
  for (const auto& line : split(read_file(file), '\n')) {
    ++number;
    if (line.empty()) continue;
    try {
      const auto json = nlohmann::json::parse(line);
      auto& document = corpus.documents.emplace_back();
      document.id = json.at("id").get<std::string>(), document.text = json.at("text").get<std::string>();
      for (const auto& [key, to] : {std::pair("title", &document.title), std::pair("language", &document.language),
                                    std::pair("script", &document.script), std::pair("source", &document.source),
                                    std::pair("group", &document.group), std::pair("split", &document.split)})
        *to = json.value(key, std::string());
      const auto fields = json.value("fields", nlohmann::json::object());
      const auto marks = json.value("annotations", nlohmann::json::array());
      for (const auto& [key, value] : fields.items()) document.fields[key] = value.get<std::string>();
      for (const auto& mark : marks)
        document.annotations.push_back({mark.at("kind").get<std::string>(), mark.at("begin").get<std::uint64_t>(),
                                        mark.at("end").get<std::uint64_t>(), mark.at("value").get<std::string>()});
    } catch (const nlohmann::json::exception& error) {
      throw Error(file.string() + ":" + std::to_string(number) +
                      ": no document as a stage writes it: " + printable(error.what()),
                  Exit::data);
    }
    if (!ids.insert(corpus.documents.back().id).second)
      throw Error(file.string() + ":" + std::to_string(number) + ": the id " +
                      backquoted(corpus.documents.back().id) + " stands twice",
                  Exit::data);
  }
  if (corpus.documents.empty()) throw Error(file.string() + " holds no document", Exit::data);
  corpus.repeats.assign(corpus.documents.size(), 1.0);
  return corpus;
}

int times_in_epoch(const Corpus& corpus, std::size_t index, std::int64_t epoch, const RandomStreams& random) {
  const double repeats = corpus.repeats[index];
  const double whole = std::floor(repeats);
  if (repeats == whole) return static_cast<int>(whole);
  auto stream =
      random.child("repeat").stream(epoch, static_cast<std::uint64_t>(document_key(corpus.documents[index].id)));
  return static_cast<int>(whole) + (stream.uniform() < repeats - whole ? 1 : 0);
}

std::shared_ptr<const DataSource> as_source(std::shared_ptr<const Corpus> corpus, const RandomStreams& random) {
  return std::make_shared<CorpusSource>(std::move(corpus), random);
}

}  // namespace xp
