#pragma once
// A model that reads its inputs back, and pairs for it.
#include <cmath>
#include <limits>
#include <set>

#include "api/ops.h"
#include "testing/evaluator_fixture.h"

namespace xp::fixture {

constexpr std::int64_t kBytes = 256 + kFirst;  ///< one id for each byte

class All final : public DataSource {
 public:
  explicit All(std::vector<Document> documents) : documents_(std::move(documents)) {}
  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& one : documents_) visit(one);
  }
  std::string fingerprint() const override { return "given"; }

 private:
  std::vector<Document> documents_;
};

class PairContext final : public EvaluationContext {
 public:
  explicit PairContext(std::vector<Document> documents) : source_(std::make_shared<All>(std::move(documents))) {}
  std::unique_ptr<BatchReader> read(const Reference&, const ReadRequest&) override { throw Error("not asked for"); }
  std::shared_ptr<const DataSource> documents(const Reference&) override { return source_; }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return kept; }
  Kept kept;

 private:
  std::shared_ptr<const DataSource> source_;
  RandomStreams random_{0};
};

/// Reads its inputs back from the ids. A text is an angle in degrees: the vector is [cos, sin], whatever its length;
/// `nan` gives no numbers. Of a pair the head reads the number in the first text.
class Angles final : public TestHandle {
 public:
  explicit Angles(const Encoder& encoder) : TestHandle(encoder) {}
  bool can(std::string_view what) const override { return what == "encode" || (what == "predict" && columns > 0); }
  ModelShape shape() const override { return {.layers = 1, .width = 2, .max_time = max_time}; }

  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    if (want.pooling != Pooling::mean && want.pooling != Pooling::first) throw Error("another pooling");
    auto pooled = xp::ops::zeros({batch.items(), 2});
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const auto text = texts_in(batch, i).at(0);
      seen.insert(text);
      const double angle = text == "nan"                    ? std::numeric_limits<double>::quiet_NaN()
                           : want.pooling == Pooling::first ? 45
                                                            : std::stod(text);
      pooled[i][0] = (2 + static_cast<double>(i)) * std::cos(angle * std::acos(-1.0) / 180);
      pooled[i][1] = (2 + static_cast<double>(i)) * std::sin(angle * std::acos(-1.0) / 180);
    }
    ++batches;
    return {.pooled = pooled};
  }

  at::Tensor predict(const Batch& batch, std::string_view field) override {
    if (field != "better") throw Error("another field");
    auto out = xp::ops::zeros({batch.items(), columns});
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const auto texts = texts_in(batch, i);
      pairs.insert({texts.at(0), texts.at(1)});
      const auto digit = texts[0].find_first_of("0123456789");
      out[i][columns - 1] = digit == std::string::npos ? 0 : std::stod(texts[0].substr(digit));
      // More of the first class makes it less relevant.
      if (columns > 1 && texts[0].find('!') != std::string::npos) out[i][0] = 100.0;
    }
    return out;
  }

  std::int64_t columns = 0, max_time = 0;
  int batches = 0;
  std::set<std::string> seen;
  std::set<std::pair<std::string, std::string>> pairs;

 private:
  static Strings texts_in(const Batch& batch, std::int64_t row) {
    Strings out;
    const auto ids = batch.dense("ids")[row].contiguous(), segment = batch.dense("segment")[row].contiguous();
    const auto time = batch.dense("input.mask")[row].sum().item<std::int64_t>();
    std::string text;
    for (std::int64_t t = 0; t < time; ++t) {
      const auto id = ids.const_data_ptr<std::int64_t>()[t];
      if (segment.const_data_ptr<std::int64_t>()[t] != std::ssize(out)) throw Error("a text in the wrong segment");
      if ((id == kBegin) != (t == 0)) throw Error("no begin where one should stand");
      if (id == kEnd) out.push_back(std::exchange(text, {}));
      if (id >= kFirst) text += static_cast<char>((id - kFirst));
    }
    if (!text.empty()) throw Error("an input without an end");
    return out;
  }
};

inline Document pair(const std::string& id, const std::string& first, const std::string& second,
                     const std::string& score = {}) {
  auto out = text_document(id, first);
  out.fields["text_b"] = second;
  if (!score.empty()) out.fields["score"] = score;
  return out;
}

inline Kept measured(const std::string& type, Table settings, Handle& subject,
                     const std::vector<Document>& documents) {
  settings["type"] = type;
  settings["data"] = Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"});
  PairContext context(documents);
  testing::registry().make<Evaluator>(settings)->evaluate(subject, context);
  return context.kept;
}

}  // namespace xp::fixture
