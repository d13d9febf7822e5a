// The door of libxp_engine: stages with LibTorch, in one process or several.
#include <ATen/Parallel.h>

#include "base/file.h"
#include "engine/context.h"
#include "engine/device.h"
#include "engine/door.h"
#include "engine/engine.h"
#include "engine/tensor_memory.h"

namespace xp {
namespace {

/// A folder that goes with the object.
struct Scratch {
  std::filesystem::path path = make_scratch(std::filesystem::temp_directory_path(), "xp-follow-");
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

class AllStages final : public StageRunner {
 public:
  AllStages(const RunShared& shared, const ProcessPlace& place)
      : shared_(shared), processes_(Processes::join(place)) {}

  bool leads() const override { return processes_->first(); }
  bool alone() const override { return processes_->alone(); }
  void thread_begins() override { at::set_num_threads(stage_threads(shared_.plan)); }
  void return_memory() override { return_free_memory(); }

  void run(const PlanNode& node, const std::filesystem::path& work, JournalRecorder& recorder) override {
    const auto any = shared_.registry.make<AnyStage>(stage_settings(node));
    if (auto* reads = dynamic_cast<DocumentStage*>(any.get())) {
      DocumentRun context(shared_, node, work, recorder);
      reads->run(context);
      return context.check_outputs();
    }
    StageRun context(shared_, *processes_, node, work, recorder);
    dynamic_cast<Stage&>(*any).run(context);
    context.check_outputs();
  }

  // Trains along wherever the first process trains.
  void follow() override {
    const auto stopped = [&] { return shared_.stop.load() != 0; };
    thread_begins();
    while (const auto message = processes_->await(stopped)) {
      const auto line = message->find('\n');
      if (line == std::string::npos) {
        processes_->any(false);
        return;
      }
      const auto& node = shared_.plan.nodes.at(std::stoul(message->substr(0, line)));
      const Scratch scratch;
      JournalRecorder recorder(scratch.path / "record.journal");
      StageRun context(shared_, *processes_, node, scratch.path, recorder);
      context.follow(message->substr(line + 1));
      const auto stage = shared_.registry.make<AnyStage>(stage_settings(node));
      try {
        dynamic_cast<Stage&>(*stage).run(context);
      } catch (const Error& error) {
        if (error.exit() != Exit::stopped || processes_->lost()) throw;
        return;  // all agreed to stop, and the first one says so
      }
    }
  }

  void finished(bool whole) override {
    processes_->post("done");
    if (whole) processes_->any(false);  // the others read it before this one goes
  }

 private:
  const RunShared& shared_;
  std::unique_ptr<Processes> processes_;
};

}  // namespace

RunSummary run(const Plan& plan, const Catalogue& catalogue, const RunOptions& options) {
  device_of(plan, 0);  // refused before anything is loaded
  set_determinism(plan);
  warn_of_slow_precision(plan);
  keep_tensor_memory();
  return run_with(plan, catalogue, options,
                  [&](const RunShared& shared) { return std::make_unique<AllStages>(shared, options.place); });
}

}  // namespace xp

int xp_engine_run(const xp::Plan* plan, const xp::Catalogue* catalogue, const xp::RunOptions* options,
                  xp::RunSummary* summary, char** message) {
  return xp::door(message, [&] { *summary = xp::run(*plan, *catalogue, *options); });
}
