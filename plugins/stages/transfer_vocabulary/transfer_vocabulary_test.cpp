#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>

#include "kit/matching.h"

namespace transfer_vocabulary_test {

using namespace xp;
using namespace xp::testing;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kParts = R"(
recipe  = 1
name    = "transfers"
threads = 1
[dataset.old]
type  = "text"
files = ["old.txt"]
split = { dev = 0, test = 0 }
[dataset.new]
type  = "text"
files = ["new.txt"]
split = { dev = 0, test = 0 }
[stage.old_tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "old"
reserve = { sentinel = 2 }
[stage.new_tokens]
type   = "train_tokenizer"
method = { type = "unigram", vocab_size = 70 }
corpus = "new"
reserve = { sentinel = 1 }
[model.small]
type     = "transformer"
kind     = "decoder"
layers   = 1
width    = 8
heads    = 2
max_time = 16
tied     = true
[stage.trained]
type      = "train"
model     = "small"
tokenizer = "old_tokens"
data      = "old"
objective = { type = "causal_lm" }
batch     = { items = 8 }
stop      = "5 steps"
[stage.vectors]
type   = "train_static_vectors"
corpus = ["old", "new"]
method = { type = "skipgram", dim = 6, epochs = 1, min_count = 1, buckets = 50 }
)";

std::string transfer(const std::string& name, const std::string& initializer, const std::string& more = {}) {
  return "[stage." + name + "]\ntype = \"transfer_vocabulary\"\nmodel = \"trained\"\ninitializer = " + initializer +
         "\n" + (more.find("tokenizer") == std::string::npos ? "tokenizer = \"new_tokens\"\n" : "") + more + "\n";
}

struct Project : RecipeRun {
  explicit Project(const std::string& stages, bool tied = true) {
    std::string parts = kParts;
    if (!tied) parts.replace(parts.find("= true"), 6, "= false");
    put("old.txt", planted_text(40));
    put("counts.tsv", "ship\tboat\t7\n");
    std::string more;  // words made of old ones, and one with a letter that the old text never had
    for (int i = 0; i < 12; ++i) more += "shipwave barnfield cowplough lantern ship\n\n";
    put("new.txt", planted_text(20) + more);
    run(parts + stages);
  }
};

const at::Tensor& of_role(const Checkpoint& checkpoint, const std::string& role) {
  return checkpoint.parameters.values[checkpoint.parameters.select("role:" + role).at(0)];
}

/// Rule of each token's row as the ledger says it.
std::vector<std::string> rules(const StageRecord& record, std::size_t column = 2) {
  std::vector<std::string> out;
  for (const auto& row : record.ledgers.at("tokens").rows) out.push_back(row.at(column));
  return out;
}

TEST_CASE("transfer_vocabulary keeps rows of shared tokens and everything else bit for bit, tied or not") {
  for (const bool tied : {true, false}) {
    const Project project(transfer("moved", "{ type = \"random\" }"), tied);
    const auto from = project.checkpoint("trained"), to = project.checkpoint("moved");
    const auto source = project.tokenizer("old_tokens"), target = project.tokenizer("moved");
    CHECK(target->json() == project.tokenizer("new_tokens")->json());
    const auto matches = match_vocabularies(*source, *target, {MatchLevel::exact});
    const auto record = project.record("moved");
    const auto rule = rules(record);
    REQUIRE(std::ssize(rule) == target->size());
    REQUIRE(from.parameters.size() == to.parameters.size());
    std::size_t shared = 0, tables = 0;
    for (Param i = 0; i < to.parameters.size(); ++i) {
      const auto& info = to.parameters.info[i];
      const auto &now = to.parameters.values[i], &before = from.parameters.values[from.parameters.find(info.name)];
      if (!info.role.starts_with("vocab.")) {
        CHECK(now.equal(before));
        continue;
      }
      ++tables, shared = 0;
      CHECK(now.size(0) == target->size());
      CHECK(now.scalar_type() == at::kFloat);
      for (std::size_t id = 0; id < matches.size(); ++id) {
        const auto row = now[static_cast<std::int64_t>(id)];
        if (matches[id]) {
          ++shared;
          CHECK(row.equal(before[matches[id]->source]));
        } else if (now.dim() == 2) {
          CHECK_FALSE(before.eq(row).all(1).any().item<bool>());  // a new row is no old one
        }
        CHECK(rule[id] == (matches[id] ? "copy" : "random"));
      }
    }
    CHECK(tables == (tied ? 2 : 3));
    CHECK(shared > 12);
    CHECK(std::ssize(matches) - static_cast<std::int64_t>(shared) > 3);
    CHECK(record.finals.at("share.copy").value ==
          Approx(static_cast<double>(shared) / static_cast<double>(target->size())));
  }
}

TEST_CASE("transfer_vocabulary: special tokens keep their meaning whatever they are called") {
  const Project project(transfer("moved", "{ type = \"random\" }", "copy = []"));
  const auto from = project.checkpoint("trained"), to = project.checkpoint("moved");
  const auto source = project.tokenizer("old_tokens"), target = project.tokenizer("moved");
  const auto record = project.record("moved");
  for (const char* purpose : {"pad", "unk", "begin", "end", "mask", "sentinel.0"}) {
    const auto id = target->purposes().find(purpose)->second, old = source->purposes().find(purpose)->second;
    CHECK(of_role(to, "vocab.input")[id].equal(of_role(from, "vocab.input")[old]));
    CHECK(to.reserved.at(purpose) == id);
    const auto& row = record.ledgers.at("tokens").rows.at(static_cast<std::size_t>(id));
    CHECK(row == Strings{std::to_string(id), target->text(id), "copy", "1", source->text(old) + ":1", "by purpose"});
  }
  CHECK_FALSE(to.reserved.contains("sentinel.1"));
  CHECK(rules(record).size() - static_cast<std::size_t>(std::ranges::count(rules(record), "copy")) ==
        static_cast<std::size_t>(target->size()) - target->purposes().size());
}

TEST_CASE("transfer_vocabulary to the same tokenizer changes no bit") {
  const Project project(transfer("moved", "{ type = \"random\" }", "tokenizer = \"old_tokens\""));
  const auto from = project.checkpoint("trained"), to = project.checkpoint("moved");
  for (Param i = 0; i < to.parameters.size(); ++i) CHECK(to.parameters.values[i].equal(from.parameters.values[i]));
  CHECK(project.record("moved").finals.at("norm_ratio").value == 1);
  CHECK(project.record("moved").finals.at("leak_bound").value == 0);
  CHECK((to.settings == from.settings));
}

TEST_CASE("transfer_vocabulary: rows are the mixture that its plan and ledger state") {
  const Project project(transfer("pieces", "{ type = \"mean_of_pieces\" }") +
                        transfer("noise", "{ type = \"random\" }"));
  const auto from = project.checkpoint("trained"), to = project.checkpoint("pieces");
  const auto plan = project.state("pieces", "mixing");
  const auto& start = plan.ints("row_start").data;
  const auto record = project.record("pieces");
  const auto rule = rules(record), note = rules(record, 5);
  std::size_t mixed = 0, open = 0;
  for (std::size_t id = 0; id < rule.size(); ++id) {
    CHECK(plan.strings("rule").at(id) == rule[id]);
    auto sum = at::Tensor(of_role(from, "vocab.input")[0].to(at::kDouble).mul(0));
    for (auto i = start[id]; i < start[id + 1]; ++i)
      sum = sum.add(
          of_role(from, "vocab.input")[plan.ints("source").data.at(static_cast<std::size_t>(i))].to(at::kDouble),
          plan.floats("weight").data.at(static_cast<std::size_t>(i)));
    if (plan.floats("uniform").data.at(id) != 0) {
      ++open, sum = of_role(from, "vocab.input").to(at::kDouble).mean(0);
      CHECK(rule[id] == "mean");
      CHECK(note[id] == "the initializer left the row open");
    }
    mixed += start[id + 1] - start[id] > 1;
    CHECK(sum.sub(of_role(to, "vocab.input")[static_cast<std::int64_t>(id)]).abs().max().item<double>() < 1e-6);
  }
  CHECK(mixed > 1);
  CHECK(open > 0);  // pieces cannot write the mark of a word's start
  CHECK(record.finals.at("leak_bound").value > 0);
  CHECK(record.finals.at("leak_bound").what == MetricSignature{"nats", {}, {}, "1"});
  double shares = 0;
  for (const auto& [name, final] : record.finals) shares += name.starts_with("share.") ? final.value : 0;
  CHECK(shares == Approx(1));
  const auto noise = project.record("noise");
  CHECK_FALSE(noise.finals.contains("leak_bound"));
  CHECK(noise.notes == Strings{"no leak bound: some new rows are no convex combination of old rows"});
}

TEST_CASE("transfer_vocabulary: a factorised vocabulary multiplies back to what the whole one is") {
  const std::string ofa = "{ type = \"ofa\", fallback = \"pieces\", rank = ";
  const Project project(transfer("whole", ofa + "0 }", "vectors = \"vectors\"") +
                        transfer("product", ofa + "8 }", "vectors = \"vectors\"") +
                        "[stage.more]\ntype = \"train\"\nmodel = \"product\"\ndata = \"new\"\nobjective = { type = "
                        "\"causal_lm\" }\nstop = \"2 steps\"\n");
  const auto whole = project.checkpoint("whole"), product = project.checkpoint("product");
  const auto &coordinates = of_role(product, "vocab.input"), &primitives = of_role(product, "primitives");
  CHECK(coordinates.sizes() == at::IntArrayRef({project.tokenizer("product")->size(), 8}));
  const auto off = coordinates.matmul(primitives).sub(of_role(whole, "vocab.input")).abs().amax(1);
  const auto rule = rules(project.record("product"));
  CHECK(rule == rules(project.record("whole")));
  for (std::size_t id = 0; id < rule.size(); ++id)  // random rows are drawn in the space where they are kept
    CHECK((rule[id] == "random" || off[static_cast<std::int64_t>(id)].item<double>() < 1e-5));
  CHECK(std::ranges::count(rule, "similarity") > 3);
  CHECK(*product.settings.at("vocab_rank").as<std::int64_t>() == 8);
  CHECK(project.record("more").counters.steps == 2);  // the next stage trains it
}

/// Numbers of a column of the ledger of hidden tokens.
std::vector<double> hidden(const StageRecord& record, std::size_t column) {
  std::vector<double> out;
  for (const auto& row : record.ledgers.at("held_out").rows) out.push_back(std::stod(row.at(column)));
  return out;
}

TEST_CASE("transfer_vocabulary makes hidden tokens as if they were new, and compares them with their rows") {
  const std::string pieces = "{ type = \"mean_of_pieces\" }", hide = "held_out = 0.4";
  const Project project(transfer("plain", pieces) + transfer("judged", pieces, hide + "\ncorpus = \"new\"\n") +
                        transfer("centre", "{ type = \"mean\" }", hide) +
                        transfer("translated", "{ type = \"trans_tokenization\", counts = [\"counts.tsv\"] }", hide));
  CHECK(of_role(project.checkpoint("plain"), "vocab.input")
            .equal(of_role(project.checkpoint("judged"), "vocab.input")));  // the plan that is kept hides nothing
  CHECK_FALSE(project.record("plain").finals.contains("held_out.cosine"));
  const auto judged = project.record("judged");
  const auto cosines = hidden(judged, 2);
  REQUIRE(cosines.size() > 10);
  for (const double cosine : cosines) CHECK(cosine < 0.999);  // a token that was its own piece would have 1
  for (const double cosine : hidden(project.record("translated"), 2))
    CHECK(cosine < 0.999);  // or its own translation
  CHECK(judged.finals.at("held_out.tokens").value == static_cast<double>(cosines.size()));
  CHECK(judged.finals.contains("held_out.cosine.tenth_10"));
  CHECK_FALSE(project.record("centre").finals.contains("held_out.cosine.tenth_10"));

  const auto old = of_role(project.checkpoint("trained"), "vocab.input").to(at::kDouble);
  const auto source = project.tokenizer("trained"), target = project.tokenizer("plain");
  const auto matches = match_vocabularies(*source, *target, {MatchLevel::exact});
  const auto mean = old.mean(0);
  const auto record = project.record("centre");
  const auto ids = hidden(record, 0), got = hidden(record, 2), ranks = hidden(record, 3);
  double sum = 0, reciprocal = 0, off = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto& match = matches.at(static_cast<std::size_t>(ids[i]));
    REQUIRE((match && !match->special));
    const auto cosine = [&](const at::Tensor& row) {
      return (row.dot(mean) / (row.norm() * mean.norm())).item<double>();
    };
    const auto own = cosine(old[match->source]);
    std::int64_t nearer = 1;
    for (std::int64_t row = 0; row < old.size(0); ++row) nearer += cosine(old[row]) > own + 1e-9;
    CHECK(got[i] == Approx(own).margin(1e-9));
    CHECK(ranks[i] == static_cast<double>(nearer));
    sum += own, reciprocal += 1.0 / static_cast<double>(nearer);
    off += (old[match->source].sub(mean).norm() / old[match->source].norm()).item<double>();
  }
  const auto n = static_cast<double>(ids.size());
  CHECK(record.finals.at("held_out.cosine").value == Approx(sum / n));
  CHECK(record.finals.at("held_out.mrr").value == Approx(reciprocal / n));
  CHECK(record.finals.at("held_out.relative_l2").value == Approx(off / n));
}

TEST_CASE("transfer_vocabulary says how made rows lie to each other") {
  const Project project(transfer("centre", "{ type = \"mean\" }") + transfer("noise", "{ type = \"random\" }"));
  const auto centre = project.record("centre"), noise = project.record("noise");
  std::int64_t made = 0;
  for (const auto& rule : rules(centre)) made += rule != "copy";
  CHECK(centre.finals.at("pairwise_cosine").value == Approx(1));
  CHECK(centre.finals.at("effective_rank").value == Approx(1).margin(1e-3));
  CHECK(centre.finals.at("repeated_rows").value == Approx(static_cast<double>(made - 1) / static_cast<double>(made)));
  CHECK(centre.finals.at("zero_rows").value == 0);
  CHECK(noise.finals.at("repeated_rows").value == 0);
  CHECK(noise.finals.at("effective_rank").value > 4);  // of 8 dimensions
  CHECK(std::abs(noise.finals.at("pairwise_cosine").value) < 0.6);
}

TEST_CASE("transfer_vocabulary says what is missing") {
  CHECK_THAT(said([] { Project(transfer("moved", "{ type = \"ofa\" }")); }),
             ContainsSubstring("initializer `ofa` needs `vectors` of stage `moved`"));
  CHECK_THAT(said([] { Project(transfer("moved", "{ type = \"mean\" }", "copy = [\"nearly\"]")); }),
             ContainsSubstring("`copy` takes exact, word_start and casefold, not `nearly`"));
  CHECK_THAT(said([] { Project(transfer("moved", "{ type = \"ofa\", rank = 4 }", "vectors = \"vectors\""), false); }),
             ContainsSubstring("needs tied tables; use rank = 0"));
}

}  // namespace transfer_vocabulary_test
