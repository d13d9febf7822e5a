#include "kit/tokenizer_files.h"

#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/json_file.h"
#include "kit/pipeline/directory.h"

namespace xp {
namespace {

using nlohmann::json;

// Texts whose ids are stored with a tokenizer and compared when it is read: a changed rule must not go unseen.
constexpr std::array<const char*, 6> kSamples{"The quick brown fox, 12 times.",
                                              "Zwölf Boxkämpfer jagen Viktor.",
                                              "Съешь же ещё этих мягких булок.",
                                              "नमस्ते दुनिया",
                                              "いろはにほへと 漢字",
                                              "a\tb\n  c \u200d e\u0301"};

constexpr const char* kSpecials = "special_tokens_map.json";

}  // namespace

void save_tokenizer(const std::filesystem::path& folder, const Encoder& encoder, const Tokenizer& made_by) {
  std::filesystem::create_directories(folder);
  json samples = json::array();
  for (const char* sample : kSamples) {
    std::vector<TokenId> ids;
    for (const auto& token : encoder.encode(sample)) ids.push_back(token.id);
    samples.push_back({{"text", sample}, {"ids", ids}});
  }
  const json about = {{"format", 1},
                      {"type", made_by.type()},
                      {"settings", json::parse(to_json(Value(made_by.settings())))},
                      {"purposes", encoder.purposes()},
                      {"samples", samples}};
  write_file(folder / "tokenizer.json", encoder.json());
  write_file(folder / "xp_tokenizer.json", about.dump(1) + "\n");
}

void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::create_directories(to);
  for (const char* name : {"tokenizer.json", "xp_tokenizer.json", kSpecials})
    if (std::filesystem::exists(from / name)) write_file(to / name, read_file(from / name));
}

void save_foreign_tokenizer(const std::filesystem::path& folder, const Encoder& encoder) {
  std::filesystem::create_directories(folder);
  write_file(folder / "tokenizer.json", encoder.json());
  write_file(folder / kSpecials, json(pipeline::special_tokens_map(encoder)).dump(1) + "\n");
}

std::shared_ptr<const Encoder> load_tokenizer(const std::filesystem::path& folder, const PartMaker& parts) {
  const auto file = folder / "xp_tokenizer.json";
  if (!std::filesystem::exists(file))
    return pipeline::has_tokenizer_files(folder) ? pipeline::read_pipeline_path(folder)
                                                 : std::unique_ptr<const Encoder>();
  const json about = read_json(file);
  Table settings = json_table(json_entry<json>(about, "settings", file), file);
  settings["type"] = Value(json_entry<std::string>(about, "type", file));
  std::map<std::string, TokenId, std::less<>> purposes;
  const auto reserved = json_entry<json>(about, "purposes", file);
  for (const auto& [purpose, id] : reserved.items())
    if (id.is_number_integer()) purposes[purpose] = id.get<TokenId>();
  const auto made = parts.make_part(Tokenizer::kInterface, settings);
  const auto* tokenizer = static_cast<const Tokenizer*>(made.get());
  std::shared_ptr<const Encoder> encoder =
      tokenizer->restore(read_file(folder / "tokenizer.json", std::uint64_t{1} << 30), purposes);
  const auto samples = json_entry<json>(about, "samples", file);
  for (const auto& sample : samples) {
    std::vector<TokenId> ids;
    for (const auto& token : encoder->encode(json_entry<std::string>(sample, "text", file))) ids.push_back(token.id);
    if (ids != json_entry<std::vector<TokenId>>(sample, "ids", file))
      throw Error("the tokenizer in " + folder.string() + " gives other ids than when it was made, for the text " +
                      backquoted(printable(json_entry<std::string>(sample, "text", file))),
                  Exit::data);
  }
  return encoder;
}

}  // namespace xp
