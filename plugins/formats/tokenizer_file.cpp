// A tokenizer alone in a file: tokenizer.json, sentencepiece models, tiktoken ranks, Tekken.
#include <algorithm>
#include <array>

#include "api/format.h"
#include "base/text.h"
#include "kit/files/mapped_file.h"
#include "kit/files/rank_files.h"
#include "kit/files/sentencepiece_model.h"
#include "kit/pipeline/directory.h"
#include "plugin/plugin.h"

namespace {

namespace fs = std::filesystem;

enum class Kind : std::uint8_t { none, json, tekken, ranks, sentencepiece };

constexpr std::size_t kLook = 1 << 16;  // what is looked at to tell kinds apart

bool is_rank_line(std::string_view line) {
  const auto space = line.find(' ');
  return space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
         line.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") == space &&
         line.find_first_not_of("0123456789", space + 1) == std::string_view::npos;
}

Kind kind_of(const fs::path& path) {
  std::error_code none;
  if (!fs::is_regular_file(path, none) || fs::file_size(path, none) == 0) return Kind::none;
  const xp::MappedFile file(path);
  const auto text = file.text(), front = text.substr(0, kLook);
  const auto first = front.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && front[first] == '{') {
    if (front.find("\"token_bytes\"") != std::string_view::npos) return Kind::tekken;
    const auto has = [&](std::string_view key) { return text.find(key) != std::string_view::npos; };
    return has("\"model\"") && has("\"added_tokens\"") ? Kind::json : Kind::none;
  }
  if (is_rank_line(front.substr(0, front.find('\n')))) return Kind::ranks;
  // A sentencepiece model is a message whose first field is a list of messages, each of which begins with a text.
  return front.size() > 4 && front[0] == '\n' && front[2] == '\n' ? Kind::sentencepiece : Kind::none;
}

/// Encodings of OpenAI and their like by the number of their ranks.
constexpr std::array<std::pair<std::int64_t, const char*>, 7> kEncodings{{{50256, "r50k_base"},
                                                                          {50257, "r50k_base"},
                                                                          {50280, "p50k_base"},
                                                                          {50281, "p50k_base"},
                                                                          {100256, "cl100k_base"},
                                                                          {128000, "llama3"},
                                                                          {199998, "o200k_base"}}};

class TokenizerFile final : public xp::Format {
 public:
  struct Params {
    std::string encoding;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::encoding, "encoding",
            "How text is cut for a file of ranks, such as `cl100k_base`; empty: told by the number of ranks.");
    }
  };
  explicit TokenizerFile(Params params) : p_(std::move(params)) {}

  bool recognises(const fs::path& path) const override { return kind_of(path) != Kind::none; }

  xp::Imported read(const fs::path& path) const override {
    xp::Imported out;
    out.tokenizer = read_tokenizer(path);
    return out;
  }

  std::shared_ptr<const xp::Encoder> read_tokenizer(const fs::path& path) const override {
    switch (kind_of(path)) {
      case Kind::json: return xp::pipeline::read_pipeline_path(path);
      case Kind::tekken: return made(path, xp::tekken_tokenizer_json(path));
      case Kind::ranks: return made(path, xp::tiktoken_tokenizer_json(path, encoding(path), {}));
      case Kind::sentencepiece: {
        const auto model = xp::read_sentencepiece(path);
        return made(path, xp::sentencepiece_tokenizer_json(model, path.string()));
      }
      case Kind::none: break;
    }
    throw xp::Error(path.string() + " holds no tokenizer that is known", xp::Exit::data);
  }

  xp::FormatReport report(const fs::path&) const override { return {}; }

 private:
  static std::shared_ptr<const xp::Encoder> made(const fs::path& path, const std::string& json) {
    return xp::pipeline::read_pipeline(json, path.string());
  }

  std::string encoding(const fs::path& path) const {
    if (!p_.encoding.empty()) return p_.encoding;
    const auto text = xp::MappedFile(path).text();
    const auto lines = std::count(text.begin(), text.end(), '\n') + (text.ends_with('\n') ? 0 : 1);
    for (const auto& [ranks, name] : kEncodings)
      if (ranks == lines) return name;
    throw xp::Error(path.string() + " has " + std::to_string(lines) +
                        " ranks, by which no encoding is known; name it in the setting `encoding`",
                    xp::Exit::data);
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(tokenizer_file) {
  registry.add<TokenizerFile>("tokenizer_file",
                              "Tokenizers alone: tokenizer.json, sentencepiece models, tiktoken ranks, Tekken.");
}
