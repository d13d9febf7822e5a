#include <set>

#include "api/generator.h"
#include "api/stage.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/document_json.h"
#include "plugin/plugin.h"

namespace {

/// For methods that ask nobody.
class NoBackend final : public xp::Backend {
 public:
  bool repeatable() const override { return true; }
  xp::Completion complete(const xp::Prompt& prompt, std::int64_t, xp::RandomStream) override {
    throw xp::Error("the method asks a text back end for " + xp::backquoted(prompt.task) +
                    ", and a stage of type `build_dataset` has none");
  }
};

/// Makes a dataset from documents before training; members of a group follow each other. Artifacts that the method's
/// settings name reach it by load(), each as a part with the name of its field.
class BuildDataset final : public xp::Stage {
 public:
  struct Params {
    std::unique_ptr<xp::Generator> method;
    xp::Reference corpus;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::method, "method", "What is made of each document.").required();
      f.add(&Params::corpus, "corpus", "Documents that it is made from.").artifact("dataset").required();
      f.gives("output", "dataset", "dataset");
      f.gives("metric", "documents", "documents");
      f.gives("metric", "used", "share");
      f.draws();
    }
  };
  explicit BuildDataset(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    xp::State artifacts;
    for (const auto& [name, value] : p_.method->settings())
      if (const auto* reference = value.as<xp::Reference>();
          reference && (reference->kind == "statistics" || reference->kind == "predictions"))
        artifacts.child(name) = context.state(*reference);
    p_.method->load(artifacts);
    const auto corpus = context.documents(p_.corpus);
    std::int64_t all = 0, done = 0, used = 0, made = 0;
    corpus->for_each([&](const xp::Document&) { ++all; });
    NoBackend nobody;
    std::set<std::string> ids;
    std::string lines;
    corpus->for_each([&](const xp::Document& from) {
      context.progress(static_cast<double>(done++), static_cast<double>(all), "building");
      const auto stream = context.random().child("documents").child(from.id).stream();
      const auto documents = p_.method->generate(from, nobody, stream);
      used += documents.empty() ? 0 : 1;
      for (const auto& document : documents) {
        if (!ids.insert(document.id).second)
          throw xp::Error("two documents are made with the id " + xp::backquoted(document.id), xp::Exit::data);
        lines += xp::document_line(document), ++made;
      }
    });
    if (made == 0)
      throw xp::Error(xp::backquoted(p_.method->type()) + " makes nothing of the " +
                          xp::count(static_cast<std::size_t>(all), "document") + " of " +
                          xp::backquoted(p_.corpus.text),
                      xp::Exit::data);
    xp::write_file(context.output() / "documents.jsonl", lines);
    auto& recorder = context.recorder();
    recorder.metric("documents", static_cast<double>(made), {.unit = "documents"});
    recorder.metric("used", static_cast<double>(used) / static_cast<double>(all), {.unit = "share"});
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(build_dataset) { registry.add<BuildDataset>("build_dataset", "Makes a dataset from documents."); }
