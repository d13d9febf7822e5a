#include "graph/document_run.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/digest.h"
#include "base/text.h"
#include "graph/corpus.h"
#include "kit/tokenizer_files.h"

namespace xp {

DocumentRun::DocumentRun(const RunShared& shared, const PlanNode& node, std::filesystem::path work,
                         JournalRecorder& recorder)
    : shared_(shared),
      node_(node),
      work_(std::move(work)),
      recorder_(recorder),
      random_(static_cast<std::uint64_t>(node.draws ? node.seed : 0), "stage") {}
DocumentRun::~DocumentRun() = default;

std::filesystem::path DocumentRun::input(const Reference& artifact) const {
  if (artifact.node.empty()) return artifact.path;
  const auto entry = shared_.cache.find(artifact.digest);
  if (!entry)
    throw Error("the output of stage " + backquoted(artifact.node) + " is not in the cache any more; run again");
  const auto made_by = std::find_if(shared_.plan.nodes.begin(), shared_.plan.nodes.end(),
                                    [&](const auto& n) { return n.digest == artifact.digest; });
  std::string name = artifact.output;
  if (name.empty() && made_by != shared_.plan.nodes.end() && !made_by->outputs.empty())
    name = made_by->outputs.front().name;
  return entry->folder / name;
}

std::filesystem::path DocumentRun::output(std::string_view name) {
  const std::string wanted = name.empty() && !node_.outputs.empty() ? node_.outputs.front().name : std::string(name);
  const bool declared =
      std::any_of(node_.outputs.begin(), node_.outputs.end(), [&](const auto& o) { return o.name == wanted; });
  if (!declared) throw Error("stage type " + backquoted(node_.type) + " declares no output " + backquoted(wanted));
  written_.insert(wanted);
  const auto folder = work_ / wanted;
  std::filesystem::create_directories(folder);
  return folder;
}

void DocumentRun::check_outputs() const {
  for (const auto& output : node_.outputs)
    if (!written_.contains(output.name))
      throw Error("stage " + backquoted(node_.name) + " ended without its output " + backquoted(output.name));
}

std::shared_ptr<const Encoder> DocumentRun::tokenizer(const Reference& artifact) {
  const auto folder = input(artifact);
  auto& known = encoders_[folder.string()];
  if (!known && std::filesystem::is_directory(folder)) known = load_tokenizer(folder, shared_.registry);
  if (!known && artifact.node.empty()) known = foreign_tokenizer(artifact);
  return known;
}

std::shared_ptr<const Encoder> DocumentRun::foreign_tokenizer(const Reference&) { return nullptr; }

std::shared_ptr<const DataSource> DocumentRun::documents(const Reference& dataset) {
  const auto random = random_.child("documents");
  if (dataset.node.empty()) return streamed_source(dataset, shared_.registry, random);
  auto made = made_corpus(input(dataset) / "documents.jsonl", dataset.text);
  return as_source(std::make_shared<const Corpus>(std::move(made)), random);
}

void DocumentRun::save(const Encoder& encoder, const Tokenizer& made_by, std::string_view output_name) {
  save_tokenizer(output(output_name), encoder, made_by);
}

std::filesystem::path DocumentRun::shared(std::string_view name, const std::string& what,
                                          const std::function<void(const std::filesystem::path&)>& make) {
  constexpr std::chrono::milliseconds kPoll{100};
  Digest digest;
  digest.add("shared").add(name).add(what);
  for (const auto& [interface, type] : node_.components) {
    const auto* info = shared_.registry.catalogue().find(interface, type);
    digest.add(interface).add(type).add(info ? info->hash : std::string());
  }
  const auto key = digest.hex();
  const auto started = std::chrono::steady_clock::now();
  for (;;) {
    if (const auto entry = shared_.cache.find(key)) return entry->folder;
    std::string holder;
    if (const auto lease = shared_.cache.claim(key, &holder)) {
      if (const auto entry = shared_.cache.find(key)) return entry->folder;
      make(lease->work());
      CacheEntry about;
      about.stage_type = name, about.stage_name = node_.name, about.recipe = shared_.plan.name;
      about.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
      return lease->commit(about).folder;
    }
    progress(0, 1, "waits for " + holder);
    std::this_thread::sleep_for(kPoll);
  }
}

void DocumentRun::progress(double done, double total, std::string_view what) {
  if (const int signal = shared_.stop.load())
    throw Error("interrupted in stage " + backquoted(node_.name),
                signal == 15 ? Exit::terminated : Exit::interrupted);
  shared_.progress(node_.digest, total > 0 ? done / total : 0, std::string(what));
}

}  // namespace xp
