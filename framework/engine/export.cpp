#include "engine/export.h"

#include "engine/door.h"
#include "engine/outside.h"
#include "plugin/loader.h"

namespace xp {
namespace {

std::vector<std::string> wanted_libraries(const Catalogue& catalogue) {
  const auto all = libraries_that_read(catalogue);
  return {all.begin(), all.end()};
}

}  // namespace

std::vector<std::string> export_model(const ExportRequest& request, const Catalogue& catalogue) {
  if (std::filesystem::exists(request.out))
    throw Error(request.out.string() + " is there already; name a folder that is not", Exit::usage);
  Registry registry;
  load_plugins(registry, catalogue, wanted_libraries(catalogue));
  auto read = read_model(registry, request.model, false);
  if (!read.checkpoint) throw Error(request.model.string() + " holds no model", Exit::data);
  if (!request.tokenizer.empty()) {
    read.tokenizer = format_of(registry, request.tokenizer)->read(request.tokenizer).tokenizer;
    if (!read.tokenizer) throw Error(request.tokenizer.string() + " holds no tokenizer", Exit::data);
  }
  const auto format = writing_format(registry);
  format->write(request.out, *read.checkpoint, read.tokenizer.get(), read.unread);
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
