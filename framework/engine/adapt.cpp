#include "engine/adapt.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "api/dataset.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/artifacts.h"
#include "engine/door.h"
#include "engine/host_handle.h"
#include "engine/outside.h"
#include "engine/session.h"
#include "engine/tensor_memory.h"
#include "engine/vocabulary_figure.h"
#include "engine/vocabulary_tables.h"
#include "kit/files/pending_file.h"
#include "kit/files/word_vectors.h"
#include "kit/mixing.h"
#include "kit/vocab_transfer.h"
#include "kit/word_counts.h"
#include "plugin/loader.h"

namespace xp {
namespace {

constexpr const char* kLedger = "vocabulary.jsonl";
constexpr std::size_t kLedgerBlock = std::size_t{1} << 20;  // bytes that are written at once

/// Libraries of what reads models and of what formats make, of the initializer with its parts, and of the corpus.
std::vector<std::string> wanted_libraries(const AdaptRequest& request, const Catalogue& catalogue) {
  auto out = libraries_that_read(catalogue);
  const auto add = [&](std::string_view interface, std::string_view type) {
    if (const auto* info = catalogue.find(interface, type)) out.insert(info->library);
  };
  for (const auto* format : catalogue.list(Format::kInterface))
    for (const auto& given : format->schema.gives) add(given.what, given.name);
  // An initializer may be made of others.
  for (const auto* info : catalogue.list(VocabInitializer::kInterface)) out.insert(info->library);
  if (request.corpus)
    if (const auto* type = request.corpus->at("type").as<std::string>()) add(DataSource::kInterface, *type);
  return {out.begin(), out.end()};
}

struct Sides {
  Checkpoint model;
  std::shared_ptr<const Encoder> source, target;
  Strings lost;
  ReadParameter unread;
};

Sides open_sides(const AdaptRequest& request, const Registry& registry) {
  Sides out;
  // Before the model: what reading it needs for a while does not add to the tensors.
  out.target = format_of(registry, request.tokenizer)->read_tokenizer(request.tokenizer);
  if (!out.target) throw Error(request.tokenizer.string() + " holds no tokenizer", Exit::data);
  // Only a model that is run needs more than its tables at once.
  auto read = read_model(registry, request.model, request.corpus.has_value());
  if (!read.checkpoint) throw Error(request.model.string() + " holds a tokenizer and no model", Exit::data);
  if (!read.tokenizer)
    throw Error(request.model.string() + " holds no tokenizer, so nobody knows what its rows stand for", Exit::data);
  out.model = std::move(*read.checkpoint), out.source = read.tokenizer, out.lost = read.lost;
  out.unread = std::move(read.unread);
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
class DonorModel {
 public:
  DonorModel(const Registry& registry, const Reference& reference)
      : read_(read_model(registry, reference.path, true)) {
    if (!read_.tokenizer || !read_.checkpoint)
      throw Error("the donor " + reference.path + " holds " + (read_.tokenizer ? "no model" : "no tokenizer") +
                      "; name a model directory with both",
                  Exit::data);
  }
  Donor donor() const { return {*read_.tokenizer, *read_.checkpoint}; }

 private:
  Imported read_;
};

nlohmann::json sources_of(const std::vector<MixPart>& parts, const Encoder& source) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& part : parts)
    out.push_back({{"token", printable(source.text(part.source))}, {"id", part.source}, {"weight", part.weight}});
  return out;
}

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
    nlohmann::json line = {{"id", id},
                           {"token", printable(sides.target->text(token))},
                           {"kept", row.rule == kCopyRule},
                           {"rule", row.rule},
                           {"sources", sources_of(row.parts, *sides.source)},
                           {"note", row.uniform != 0 && row.note.empty() ? "the mean of all old rows" : row.note}};
    if (row.uniform != 0) line["mean"] = row.uniform;
    for (const auto& [role, parts] : row.role_parts) line["roles"][role] = sources_of(parts, *sides.source);
    text += line.dump() + "\n";
    if (text.size() < kLedgerBlock && id + 1 < plan.target_size()) continue;
    out.write(text.data(), text.size());
    text.clear();
  }
  out.sync();
  out.publish();
  sync_path(file.parent_path());
}

/// Writes the model with these tables; `sides` has them afterwards, and what is lost on the way.
void write_model(const AdaptRequest& request, const Registry& registry, const Parameters& tables, Sides& sides) {
  const bool ours = is_checkpoint(request.model);
  if (!ours)
    if (const auto format = format_of(registry, request.model); format->writes()) {
      format->rewrite(request.out, request.model, tables, *sides.target);
      sides.lost.clear();  // every other tensor goes over
      return;
    }
  auto& all = sides.model.parameters;
  for (Param i = 0; i < tables.size(); ++i) all.values[all.find(tables.info[i].name)] = tables.values[i];
  const auto format = writing_format(registry);
  format->write(request.out, sides.model, sides.target.get(), sides.unread);
  if (ours) sides.lost = missing(sides.model, *format->read(request.out).checkpoint);
}

AdaptReport report_of(const Sides& sides, const MixPlan& plan, const Registry& registry) {
  AdaptReport out;
  out.source_tokens = plan.source_size(), out.target_tokens = plan.target_size(), out.lost = sides.lost;
  auto settings = sides.model.settings;
  settings.insert_or_assign("type", sides.model.type);
  out.capabilities = registry.make<Model>(settings)->capabilities();
  const bool own = has_own_output(sides.model.parameters);
  const auto about = report(plan, {kCopyRule}, own ? "vocab.output" : "vocab.input");
  out.rules = about.rules, out.leak_bound = about.leak_bound, out.hubness = about.hubness;
  return out;
}

}  // namespace

namespace {

/// Tells each tenth of what an initializer does.
std::function<void(double, double, std::string_view)> telling_tenths(std::function<void(const std::string&)> tell) {
  return [tell = std::move(tell), last = 0](double done, double total, std::string_view what) mutable {
    const int tenth = total > 0 ? static_cast<int>(10 * done / total) : 0;
    if (tenth > last) tell(std::string(what) + ", " + std::to_string(10 * tenth) + " %");
    last = tenth;
  };
}

}  // namespace

AdaptReport adapt(const AdaptRequest& request, const Catalogue& catalogue) {
  if (std::filesystem::exists(request.out))
    throw Error(request.out.string() + " is there already; name a folder that is not", Exit::usage);
  Registry registry;
  load_plugins(registry, catalogue, wanted_libraries(request, catalogue));
  at::set_num_threads(static_cast<int>(thread_count(request.threads)));
  const at::NoGradGuard quiet;
  const RandomStreams random(request.seed, "adapt");
  const auto initializer = registry.make<VocabInitializer>(request.initializer);
  const auto begins = [&](const std::string& what) {
    if (request.progress) request.progress(what);
  };
  begins("reading both vocabularies");
  auto sides = open_sides(request, registry);
  return_free_memory();  // what the files' JSON took
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
  const auto donor = other ? std::optional<Donor>(other->donor()) : std::nullopt;
  const VocabSetting setting{.source = *sides.source,
                             .target = *sides.target,
                             .weights = &sides.model.parameters,
                             .vectors = vectors ? &*vectors : nullptr,
                             .corpus = corpus.get(),
                             .subject = subject ? &subject->handle() : nullptr,
                             .random = random.child("initializer"),
                             .donor = donor ? &*donor : nullptr,
                             .progress = telling_tenths(begins)};
  begins("planning " + count(static_cast<std::size_t>(sides.target->size()), "row") + " with " +
         backquoted(initializer->type()));
  const auto plan = plan_vocabulary(setting, *initializer, match_levels(request.copy));
  const auto factors = initializer->factorise(setting);
  vectors.reset();
  begins("writing the tables");
  const Workshop workshop(request.out);
  const auto& old = sides.model.parameters;
  const auto tables = factors ? folded_tables(old, plan, *factors) : vocabulary_tables(old, plan, workshop.folder());
  std::string picture;
  if (request.figure) {
    const auto of = [](const Parameters& all) { return all.values[all.select("role:vocab.input").at(0)]; };
    picture = vocabulary_figure(of(old), of(tables), plan);
  }
  write_model(request, registry, tables, sides);
  if (request.figure) write_file(*request.figure, picture);
  auto out = report_of(sides, plan, registry);
  out.rows = tables.values.front().size(0), out.ledger = request.out / kLedger;
  write_ledger(out.ledger, sides, plan);
  return out;
}

}  // namespace xp

int xp_engine_adapt(const xp::AdaptRequest* request, const xp::Catalogue* catalogue, xp::AdaptReport* report,
                    char** message) {
  return xp::door(message, [&] { *report = xp::adapt(*request, *catalogue); });
}
