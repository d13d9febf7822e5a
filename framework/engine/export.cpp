#include "engine/export.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "engine/artifacts.h"
#include "engine/door.h"
#include "engine/outside.h"
#include "kit/tokenizer_files.h"
#include "plugin/loader.h"

namespace xp {
namespace {

std::vector<std::string> wanted_libraries(const Catalogue& catalogue) {
  std::set<std::string> out;
  for (const auto* interface : {Format::kInterface, Tokenizer::kInterface})
    for (const auto* info : catalogue.list(interface)) out.insert(info->library);
  return {out.begin(), out.end()};
}

/// What a model directory turned out to have no place for, beside the first model.
std::vector<std::string> missing(const Checkpoint& from, const Checkpoint& written) {
  std::vector<std::string> out;
  for (const auto& tower : from.towers)
    if (std::none_of(written.towers.begin(), written.towers.end(),
                     [&](const Checkpoint& one) { return one.role == tower.role; }))
      out.push_back("model " + tower.role);
  const auto& there = written.objective_parameters.info;
  const auto lost = std::count_if(
      from.objective_parameters.info.begin(), from.objective_parameters.info.end(), [&](const ParameterInfo& one) {
        return std::none_of(there.begin(), there.end(),
                            [&](const ParameterInfo& other) { return other.name == one.name; });
      });
  if (lost > 0) out.push_back("the objective's own parameters: " + std::to_string(lost));
  return out;
}

}  // namespace

std::vector<std::string> export_model(const ExportRequest& request, const Catalogue& catalogue) {
  if (std::filesystem::exists(request.out))
    throw Error(request.out.string() + " is there already; name a folder that is not", Exit::usage);
  Registry registry;
  load_plugins(registry, catalogue, wanted_libraries(catalogue));
  Imported read;
  if (is_checkpoint(request.model)) {
    read.checkpoint = load_checkpoint(request.model);
    read.tokenizer = load_tokenizer(request.model, registry);
  } else {
    read = format_of(registry, request.model)->read(request.model);
  }
  if (!read.checkpoint) throw Error(request.model.string() + " holds no model", Exit::data);
  if (!request.tokenizer.empty()) {
    read.tokenizer = format_of(registry, request.tokenizer)->read(request.tokenizer).tokenizer;
    if (!read.tokenizer) throw Error(request.tokenizer.string() + " holds no tokenizer", Exit::data);
  }
  const auto format = writing_format(registry);
  format->write(request.out, *read.checkpoint, read.tokenizer.get());
  for (auto& one : missing(*read.checkpoint, *format->read(request.out).checkpoint)) read.lost.push_back(one);
  return read.lost;
}

FormatReport report_on(const std::filesystem::path& path, const Catalogue& catalogue) {
  Registry registry;
  load_plugins(registry, catalogue, wanted_libraries(catalogue));
  const auto format = format_of(registry, path);
  auto out = format->report(path);
  out.format = format->type();
  if (const auto tokenizer = format->read_tokenizer(path)) {
    out.tokens = tokenizer->size();
    for (const auto& [purpose, id] : tokenizer->purposes()) out.special[purpose] = tokenizer->text(id);
  }
  return out;
}

}  // namespace xp

int xp_engine_export(const xp::ExportRequest* request, const xp::Catalogue* catalogue, std::vector<std::string>* lost,
                     char** message) {
  return xp::door(message, [&] { *lost = xp::export_model(*request, *catalogue); });
}

int xp_engine_report(const std::filesystem::path* path, const xp::Catalogue* catalogue, xp::FormatReport* report,
                     char** message) {
  return xp::door(message, [&] { *report = xp::report_on(*path, *catalogue); });
}
