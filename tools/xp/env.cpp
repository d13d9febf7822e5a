#include <sys/utsname.h>

#include <cstdlib>

#include "base/text.h"
#include "kit/word_counts.h"
#include "plugin/build_stamp.h"
#include "plugin/loader.h"
#include "program.h"

namespace xp::program {

void add_env(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("env", "Versions, folders and settings that decide what a run does here.");
  verb->callback([&program] {
    struct utsname about {};
    uname(&about);
    std::vector<std::string> folders;
    for (const auto& folder : plugin_path(program.plugin_path)) folders.push_back(folder.string());
    const Table all{{"xp", XP_VERSION},
                    {"build", XP_BUILD_STAMP},
                    {"libtorch", XP_TORCH_VERSION},
                    {"system", std::string(about.sysname) + " " + about.release + " " + about.machine},
                    {"cores", static_cast<std::int64_t>(thread_count(0))},
                    {"program", program.self().string()},
                    {"plugin path", join(folders, ":")},
                    {"results", program.results_folder().string()},
                    {"project", project_root(std::filesystem::current_path()).string()}};
    if (program.json) return print(to_json(Value(all)) + "\n");
    for (const auto& [key, value] : all)
      print(key + std::string(14 - std::min<std::size_t>(key.size(), 13), ' ') +
            (value.as<std::string>() ? *value.as<std::string>() : to_text(value)) + "\n");
  });
}

}  // namespace xp::program
