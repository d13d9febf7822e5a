#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/document_stage.h"
#include "kit/counting_tokenizer.h"
#include "plugin/plugin.h"

namespace {

/// A corpus that knows after a pass how many documents and bytes of text it has.
class CountedSource final : public xp::DataSource {
 public:
  explicit CountedSource(const xp::DataSource& source) : source_(source) {}
  void for_each(const std::function<void(const xp::Document&)>& visit) const override {
    std::size_t n = 0, bytes = 0;
    source_.for_each([&](const xp::Document& document) {
      ++n, bytes += document.text.size();
      visit(document);
    });
    documents_ = n, bytes_ = bytes;
  }
  std::string fingerprint() const override { return source_.fingerprint(); }
  std::size_t documents() const { return documents_; }  ///< 0 before the first pass
  std::size_t bytes() const { return bytes_; }

 private:
  const xp::DataSource& source_;
  mutable std::size_t documents_ = 0, bytes_ = 0;
};

/// Fits a tokenizer to a corpus.
class TrainTokenizer final : public xp::DocumentStage {
 public:
  struct Params {
    std::unique_ptr<xp::Tokenizer> method;
    xp::Reference corpus;
    xp::Table reserve;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::method, "method", "The algorithm and its settings.").required();
      f.add(&Params::corpus, "corpus", "Text to fit to.").artifact("dataset").required();
      f.add(&Params::reserve, "reserve", "Ids by purpose beside the standard ones, e.g. { sentinel = 100 }.")
          .map_of(xp::field::number(true));
      f.gives("output", "tokenizer", "tokenizer");
      f.gives("metric", "size", "tokens"), f.gives("metric", "bytes_per_token", "bytes/token");
      // Fitting draws nothing that a seed should vary: all seeds share one vocabulary, or models could not be shared
      // either.
    }
  };
  explicit TrainTokenizer(Params params) : p_(std::move(params)) {}

  void run(xp::DocumentContext& context) override {
    xp::Reserve reserve;
    for (const auto& [purpose, count] : p_.reserve) {
      const auto* n = count.as<std::int64_t>();
      if (!n || *n < 1) throw xp::Error("reserve." + purpose + " wants a whole number above 0");
      reserve[purpose] = *n;
    }
    const auto documents = context.documents(p_.corpus);
    const xp::ProgressScope scope([&](double done, double total, std::string_view what) {
      context.progress(total > 0 ? kCounted + (kLearned - kCounted) * done / total : 0, 1, what);
    });
    context.progress(0, 1, "fitting");
    if (const auto* counting = dynamic_cast<const xp::CountingTokenizer*>(p_.method.get()))
      return fit_counts(*counting, *documents, reserve, context);
    const CountedSource corpus(*documents);
    const auto encoder = p_.method->fit(corpus, reserve, context.random());
    const auto [bytes, tokens] = measure(corpus, *encoder, context);
    finish(*encoder, bytes, tokens, context);
  }

 private:
  // Shares of the work that are over when the corpus is counted and when the vocabulary is learned: a guess.
  static constexpr double kCounted = 0.4, kLearned = 0.7;

  // Tokenizers that count alike share their counts, whatever they make of them.
  void fit_counts(const xp::CountingTokenizer& method, const xp::DataSource& documents, const xp::Reserve& reserve,
                  xp::DocumentContext& context) const {
    method.check(reserve);
    std::optional<xp::CountedCorpus> counted;
    const auto folder =
        context.shared("word_counts", method.words_rule() + " of " + documents.fingerprint(),
                       [&](const auto& to) { xp::write_counts(to, counted.emplace(count(method, documents))); });
    if (!counted) counted = kept_counts(folder, method, documents, context);
    const auto encoder = method.fit(counted->words, reserve);
    const auto tokens = encoder->tokens_of(counted->words, context.threads());
    finish(*encoder, static_cast<double>(counted->bytes), static_cast<double>(tokens), context);
  }

  static xp::CountedCorpus kept_counts(const std::filesystem::path& folder, const xp::CountingTokenizer& method,
                                       const xp::DataSource& documents, xp::DocumentContext& context) {
    try {
      return xp::read_counts(folder);
    } catch (const xp::Error& error) {
      context.recorder().note(std::string(error.what()) + "; the words were counted anew");
      return count(method, documents);
    }
  }

  static xp::CountedCorpus count(const xp::CountingTokenizer& method, const xp::DataSource& documents) {
    const CountedSource corpus(documents);
    xp::CountedCorpus out{method.count(corpus)};
    out.documents = static_cast<std::int64_t>(corpus.documents());
    out.bytes = static_cast<std::int64_t>(corpus.bytes());
    return out;
  }

  void finish(const xp::Encoder& encoder, double bytes, double tokens, xp::DocumentContext& context) const {
    context.save(encoder, *p_.method);
    context.recorder().metric("size", static_cast<double>(encoder.size()), {.unit = "tokens"});
    if (tokens > 0)
      context.recorder().metric("bytes_per_token", bytes / tokens, {.unit = "bytes/token", .split = p_.corpus.text});
  }

  // Bytes and tokens of all documents.
  static std::pair<double, double> measure(const CountedSource& corpus, const xp::Encoder& encoder,
                                           xp::DocumentContext& context) {
    constexpr std::size_t kBatchBytes = std::size_t{1} << 22;
    double bytes = 0, tokens = 0;
    const auto all = static_cast<double>(corpus.documents());  // 0 if fitting has not read them
    std::size_t documents = 0, waiting = 0;
    std::vector<std::string> texts;
    const auto encode_batch = [&] {
      std::vector<std::size_t> lengths(texts.size());
      xp::run_parallel(texts.size(), context.threads(),
                       [&](std::size_t i) { lengths[i] = encoder.encode(texts[i]).size(); });
      for (const auto n : lengths) tokens += static_cast<double>(n);
      documents += texts.size();
      bytes += static_cast<double>(waiting);
      texts.clear(), waiting = 0;
      const double share = all > 0 ? static_cast<double>(documents) / all : 0;
      context.progress(kLearned + (1 - kLearned) * share, 1, "encoding, " + std::to_string(documents) + " documents");
    };
    corpus.for_each([&](const xp::Document& document) {
      texts.push_back(document.text);
      waiting += document.text.size();
      if (waiting >= kBatchBytes) encode_batch();
    });
    encode_batch();
    return {bytes, tokens};
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(train_tokenizer) { registry.add<TrainTokenizer>("train_tokenizer", "Fits a tokenizer to a corpus."); }
