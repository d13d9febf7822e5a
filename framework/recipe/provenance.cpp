#include "recipe/provenance.h"

#include <sys/utsname.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <mutex>

#include "base/file.h"
#include "base/text.h"
#include "plugin/build_stamp.h"
#include "plugin/child.h"

namespace xp {
namespace {

std::string utc_now() {
  const auto now = std::time(nullptr);
  struct tm parts {};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string read_cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return std::string(trim(line.substr(line.find(':') + 1)));
  return "unknown";
}

const std::string& cpu_model() {
  static const auto model = read_cpu_model();
  return model;
}

// HEAD is read, not asked of git: a result must not depend on a program being installed.
std::string commit_of(const std::filesystem::path& root) {
  std::error_code none;
  const auto git = root / ".git";
  if (!std::filesystem::is_directory(git, none)) return {};
  try {
    auto head = std::string(trim(read_file(git / "HEAD", 4096)));
    if (!head.starts_with("ref: ")) return head;
    head = head.substr(5);
    if (std::filesystem::exists(git / head, none)) return std::string(trim(read_file(git / head, 4096)));
    for (const auto& line : split(read_file(git / "packed-refs", 1 << 24), '\n'))
      if (line.ends_with(" " + head)) return line.substr(0, line.find(' '));
  } catch (const Error&) {
    return {};  // an unreadable repository is no reason to lose a run
  }
  return {};
}

std::filesystem::path program_named(std::string_view name) {
  const char* path = std::getenv("PATH");
  for (const auto& folder : split(path ? path : "/usr/bin:/bin", ':')) {
    const auto file = std::filesystem::path(folder) / name;
    if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

// What a process runs was loaded when it began, so its sources are looked at once, not for every trial of a sweep.
struct SourceState {
  std::string commit, dirty;
};

const SourceState& sources_of(const std::filesystem::path& root) {
  static std::mutex guard;
  static std::map<std::filesystem::path, SourceState> known;
  const std::lock_guard lock(guard);
  const auto [found, fresh] = known.try_emplace(root);
  if (fresh) found->second = {commit_of(root), uncommitted_changes(root)};
  return found->second;
}

}  // namespace

std::string uncommitted_changes(const std::filesystem::path& root) {
  std::error_code none;
  if (!std::filesystem::exists(root / ".git", none)) return {};
  const auto git = program_named("git");
  if (git.empty()) return "unknown";
  try {
    // Without taking git's lock: somebody may be committing.
    const auto done = run_child(
        {git.string(), "--no-optional-locks", "-C", root.string(), "status", "--porcelain", "--untracked-files=no"},
        std::chrono::seconds(10), 1 << 16);
    if (done.too_much) return "yes";
    return !done.finished || done.signal != 0 || done.code != 0 ? "unknown"
           : trim(done.output).empty()                          ? "no"
                                                                : "yes";
  } catch (const Error&) {
    return "unknown";
  }
}

std::vector<std::pair<std::string, std::string>> plugin_hashes(const Plan& plan, const Catalogue& catalogue) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& library : libraries(plan, catalogue))
    for (const auto* info : catalogue.list())
      if (info->library == library) {
        out.emplace_back(info->plugin, info->hash);
        break;
      }
  return out;
}

Attributes run_attributes(const Plan& plan, const Catalogue& catalogue, const std::vector<std::string>& command) {
  struct utsname about {};
  uname(&about);
  std::string plugins;
  for (const auto& [name, hash] : plugin_hashes(plan, catalogue))
    plugins += (plugins.empty() ? "" : "\n") + name + " " + hash;
  const auto& sources = sources_of(project_root(std::filesystem::current_path()));
  List files;
  for (const auto& file : plan.files) files.push_back(Table{{"path", file.path}, {"text", file.text}});
  return {{"recipe", plan.source},
          {"recipe_files", to_json(Value(std::move(files)))},
          {"overrides", to_json(Value(plan.overrides))},
          {"command", join(command, " ")},
          {"started", utc_now()},
          {"host", about.nodename},
          {"system", std::string(about.sysname) + " " + about.release + " " + about.machine},
          {"cpu", cpu_model()},
          {"threads_per_stage", std::to_string(plan.setting.threads)},
          {"processes", std::to_string(plan.setting.processes)},
          {"device", plan.setting.device},
          {"precision", plan.setting.precision},
          {"determinism", plan.setting.determinism},
          {"libtorch", XP_TORCH_VERSION},
          {"xp", XP_VERSION},
          {"build", XP_BUILD_STAMP},
          {"engine", plan.engine},
          {"commit", sources.commit},
          {"dirty", sources.dirty},
          {"plugins", plugins},
          {"plan_id", plan.plan_id},
          {"exclusive", std::any_of(plan.claims.begin(), plan.claims.end(), [](const auto& c) { return c.exclusive; })
                            ? "asked"
                            : "no"}};
}

}  // namespace xp
