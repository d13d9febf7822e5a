#include "engine/adapt.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "api/dataset.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/door.h"
#include "engine/host_handle.h"
#include "engine/outside.h"
#include "engine/session.h"
#include "engine/vocabulary_tables.h"
#include "kit/files/pending_file.h"
#include "kit/files/word_vectors.h"
#include "kit/mixing.h"
#include "kit/vocab_transfer.h"
#include "plugin/loader.h"

namespace xp {
namespace {

constexpr const char* kLedger = "vocabulary.jsonl";
constexpr std::size_t kLedgerBlock = std::size_t{1} << 20;  // bytes that are written at once

/// Libraries of the formats and of what they make, of the initializer with its parts, and of the corpus.
std::vector<std::string> wanted_libraries(const AdaptRequest& request, const Catalogue& catalogue) {
  std::set<std::string> out;
  const auto add = [&](std::string_view interface, std::string_view type) {
    if (const auto* info = catalogue.find(interface, type)) out.insert(info->library);
  };
  for (const auto* format : catalogue.list(Format::kInterface)) {
    out.insert(format->library);
    for (const auto& given : format->schema.gives) add(given.what, given.name);
  }
  // An initializer may be made of others.
  for (const auto* info : catalogue.list(VocabInitializer::kInterface)) out.insert(info->library);
  if (request.corpus)
    if (const auto* type = request.corpus->at("type").as<std::string>()) add(DataSource::kInterface, *type);
  return {out.begin(), out.end()};
}

struct Sides {
  Checkpoint model;
  std::shared_ptr<const Encoder> source, target;
  std::unique_ptr<Format> format;
  Strings lost;
};

Sides open_sides(const AdaptRequest& request, const Registry& registry) {
  Sides out;
  out.format = format_of(registry, request.model);
  // Before the model: what reading it needs for a while does not add to the tensors.
  out.target = format_of(registry, request.tokenizer)->read_tokenizer(request.tokenizer);
  if (!out.target) throw Error(request.tokenizer.string() + " holds no tokenizer", Exit::data);
  auto read = out.format->read(request.model);
  if (!read.checkpoint) throw Error(request.model.string() + " holds a tokenizer and no model", Exit::data);
  if (!read.tokenizer)
    throw Error(request.model.string() + " holds no tokenizer, so nobody knows what its rows stand for", Exit::data);
  out.model = std::move(*read.checkpoint), out.source = read.tokenizer, out.lost = read.lost;
  return out;
}

State vectors_of(const std::filesystem::path& file) {
  const WordVectors vectors(file);
  Strings words;
  Floats numbers{std::vector<float>(vectors.size() * vectors.width()),
                 {static_cast<std::int64_t>(vectors.size()), static_cast<std::int64_t>(vectors.width())}};
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    words.emplace_back(vectors.word(i));
    vectors.copy(i, numbers.data.data() + i * vectors.width());
  }
  State out;
  out.set("words", std::move(words));
  out.set("vectors", std::move(numbers));
  return out;
}

/// The source model as initializers that run it see it; made when the initializer is one that reads text.
class SourceModel {
 public:
  SourceModel(const Registry& registry, const Sides& sides, const RandomStreams& random)
      : session_(registry, random, {sides.source, {}, {}, {}}, at::kFloat) {
    session_.add_own_model(sides.model.role, {}, &sides.model, {});
    session_.refresh();
    plain_ = session_.handle({});
    host_ = std::make_unique<HostHandle>(*plain_, at::kCPU);
  }
  Handle& handle() { return *host_; }

 private:
  Session session_;
  std::unique_ptr<Handle> plain_, host_;
};

/// Another model directory, whose rows an initializer compares.
struct DonorModel {
  DonorModel(const Registry& registry, const Reference& reference)
      : read(format_of(registry, path_of(reference))->read(path_of(reference))), donor{tokens(), model()} {}
  Imported read;
  Donor donor;

 private:
  static std::filesystem::path path_of(const Reference& reference) { return reference.path; }
  const Encoder& tokens() const {
    if (!read.tokenizer) throw Error("the donor holds no tokenizer", Exit::data);
    return *read.tokenizer;
  }
  const Parameters& model() const {
    if (!read.checkpoint) throw Error("the donor holds no model", Exit::data);
    return read.checkpoint->parameters;
  }
};

/// A folder beside the result for what is made on the way; it goes with the object.
class Workshop {
 public:
  explicit Workshop(const std::filesystem::path& out) {
    const auto parent = std::filesystem::absolute(out).lexically_normal().parent_path();
    std::filesystem::create_directories(parent);
    folder_ = make_scratch(parent, out.filename().string() + ".tables-");
  }
  Workshop(const Workshop&) = delete;
  ~Workshop() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

void write_ledger(const std::filesystem::path& file, const Sides& sides, const MixPlan& plan) {
  PendingFile out(file);
  std::string text;
  for (std::int64_t id = 0; id < plan.target_size(); ++id) {
    const auto& row = plan.rows()[static_cast<std::size_t>(id)];
    const auto token = static_cast<TokenId>(id);
    nlohmann::json sources = nlohmann::json::array();
    for (const auto& part : row.parts)
      sources.push_back(
          {{"token", printable(sides.source->text(part.source))}, {"id", part.source}, {"weight", part.weight}});
    const nlohmann::json line = {{"id", id},
                                 {"token", printable(sides.target->text(token))},
                                 {"kept", row.rule == kCopyRule},
                                 {"rule", row.rule},
                                 {"sources", std::move(sources)},
                                 {"note", row.uniform && row.note.empty() ? "the mean of all old rows" : row.note}};
    text += line.dump() + "\n";
    if (text.size() < kLedgerBlock && id + 1 < plan.target_size()) continue;
    out.write(text.data(), text.size());
    text.clear();
  }
  out.sync();
  out.publish();
  sync_path(file.parent_path());
}

}  // namespace

AdaptReport adapt(const AdaptRequest& request, const Catalogue& catalogue) {
  if (std::filesystem::exists(request.out))
    throw Error(request.out.string() + " is there already; name a folder that is not", Exit::usage);
  Registry registry;
  load_plugins(registry, catalogue, wanted_libraries(request, catalogue));
  at::set_num_threads(request.threads > 0 ? request.threads
                                          : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  const at::NoGradGuard quiet;
  const RandomStreams random(request.seed, "adapt");
  const auto initializer = registry.make<VocabInitializer>(request.initializer);
  auto sides = open_sides(request, registry);
  std::optional<State> vectors;
  if (request.vectors) vectors = vectors_of(*request.vectors);
  std::unique_ptr<DataSource> corpus;
  std::optional<SourceModel> subject;
  if (request.corpus) {
    corpus = registry.make<DataSource>(*request.corpus);
    subject.emplace(registry, sides, random);
  }
  std::optional<DonorModel> other;
  if (const auto* reference = initializer->donor()) other.emplace(registry, *reference);
  const VocabSetting setting{.source = *sides.source,
                             .target = *sides.target,
                             .weights = &sides.model.parameters,
                             .vectors = vectors ? &*vectors : nullptr,
                             .corpus = corpus.get(),
                             .subject = subject ? &subject->handle() : nullptr,
                             .random = random.child("initializer"),
                             .donor = other ? &other->donor : nullptr};
  const auto plan = plan_vocabulary(setting, *initializer, match_levels(request.copy));
  if (initializer->factorise(setting))
    throw Error("initializer " + backquoted(initializer->type()) +
                    " would keep the vocabulary as a product, which no model directory can hold; set its rank to 0",
                Exit::usage);
  const Workshop workshop(request.out);
  const auto tables = vocabulary_tables(sides.model.parameters, plan, workshop.folder());
  if (sides.format->writes()) {
    sides.format->rewrite(request.out, request.model, tables, *sides.target);
    sides.lost.clear();  // every other tensor goes over
  } else {
    auto& all = sides.model.parameters;
    for (Param i = 0; i < tables.size(); ++i) all.values[all.find(tables.info[i].name)] = tables.values[i];
    writing_format(registry)->write(request.out, sides.model, sides.target.get());
  }
  AdaptReport out;
  out.source_tokens = plan.source_size(), out.target_tokens = plan.target_size();
  out.rows = tables.values.front().size(0), out.lost = sides.lost, out.ledger = request.out / kLedger;
  auto settings = sides.model.settings;
  settings.insert_or_assign("type", sides.model.type);
  out.capabilities = registry.make<Model>(settings)->capabilities();
  const auto about = report(plan, {kCopyRule});
  out.rules = about.rules, out.leak_bound = about.leak_bound, out.hubness = about.hubness;
  write_ledger(out.ledger, sides, plan);
  return out;
}

}  // namespace xp

int xp_engine_adapt(const xp::AdaptRequest* request, const xp::Catalogue* catalogue, xp::AdaptReport* report,
                    char** message) {
  return xp::door(message, [&] { *report = xp::adapt(*request, *catalogue); });
}
