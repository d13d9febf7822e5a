#include <iostream>

#include "base/file.h"
#include "data_fetch.h"
#include "program.h"

namespace xp::program {

void add_data(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("data", "Pinned packages that recipes read as \"package:NAME/member\".");
  verb->require_subcommand(1);
  auto sources = std::make_shared<std::string>();
  verb->add_option("--sources", *sources,
                   "File with [source.NAME] tables (default: datasets/sources.toml of the project).");
  const auto file = [sources] {
    return sources->empty() ? project_root(std::filesystem::current_path()) / "datasets" / "sources.toml"
                            : std::filesystem::path(*sources);
  };
  verb->add_subcommand("show", "Lists packages, and which are on this machine.")->callback([=, &program] {
    data_show(file(), user_cache(), program.json, std::cout);
  });
  auto* fetch = verb->add_subcommand("fetch", "Downloads packages, checks their digests and unpacks what matters.");
  auto names = std::make_shared<std::vector<std::string>>();
  auto from = std::make_shared<std::string>();
  fetch->add_option("NAME", *names, "Packages as `xp data show` lists them.")->required();
  fetch->add_option("--from", *from, "Take the archives from this folder; no network is used.");
  fetch->footer("Example: xp data fetch udhr --from /media/stick");
  fetch->callback([=] {
    const auto folder = from->empty() ? std::nullopt : std::optional<std::filesystem::path>(*from);
    for (const auto& name : *names) data_fetch({file(), name, folder, user_cache()}, std::cout);
  });
}

}  // namespace xp::program
