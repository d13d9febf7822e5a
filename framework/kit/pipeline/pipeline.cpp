#include "kit/pipeline/pipeline.h"

#include <unicode/utf8.h>

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/text.h"
#include "kit/pipeline/json_text.h"
#include "kit/pipeline/pipeline_impl.h"
#include "kit/word_counts.h"

namespace xp::pipeline {
namespace {

constexpr std::uint32_t kReplacementBytes = 3;
constexpr std::size_t kBytesOfToken = 4;  // about what one stands for

// At once, in place of doubling on the way; many texts may go into one vector.
void make_room(std::vector<TokenId>& out, std::size_t n) {
  if (out.capacity() - out.size() < n) out.reserve(std::max(2 * out.capacity(), out.size() + n));
}

// The library reads no file with another key.
void refuse_other_keys(const Entry& root) {
  constexpr std::string_view kKeys[] = {"version",       "truncation",     "padding", "added_tokens", "normalizer",
                                        "pre_tokenizer", "post_processor", "decoder", "model"};
  for (const auto& [key, value] : root.json().items())
    if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys))
      throw Error(root.place() + backquoted(printable(key)) +
                      " is no key of the format; there are version, truncation, padding, added_tokens, normalizer, "
                      "pre_tokenizer, post_processor, decoder and model",
                  Exit::data);
}

// Found by what becomes of two tokens that do not exist. What fails here fails again when a text is framed.
std::optional<FrameEnds> ends_of(const PostProcessor* post_processor) {
  if (post_processor == nullptr) return FrameEnds{};
  constexpr TokenId kFirst = -1, kSecond = -2;
  std::vector<FramePart> parts(1);
  parts[0].insert(false, 1, kFirst, 0, true), parts[0].insert(false, 1, kSecond, 0, true);
  try {
    post_processor->apply(parts, true);
  } catch (const Error&) {
    return std::nullopt;
  }
  FramePart all;
  for (const auto& part : parts) all.append(part);
  const auto first = std::find(all.ids.begin(), all.ids.end(), kFirst);
  if (all.ids.end() - first < 2 || first[1] != kSecond) return std::nullopt;
  FrameEnds out{{all.ids.begin(), first}, {first + 2, all.ids.end()}};
  const bool again = std::any_of(out.back.begin(), out.back.end(), [](TokenId id) { return id < 0; });
  return again ? std::nullopt : std::optional(std::move(out));
}

// Some files say so that they normalise nothing.
bool has_no_steps(const Json& normalizer) {
  return is_step(normalizer, "Sequence") && normalizer.contains("normalizers") &&
         normalizer.at("normalizers").empty();
}

// A step that writes marks would write them into the text of a single token, too. Files of old form name no types.
bool writes_marks(const Json& normalizer) {
  if (!normalizer.is_object()) return false;
  const auto is_one = [&](const char* type) { return is_step(normalizer, type); };
  const bool typed = normalizer.contains("type") && normalizer.at("type").is_string();
  if (is_one("Prepend") || is_one("Replace") || is_one("ByteLevel")) return true;
  if (!typed && (normalizer.contains("prepend") || normalizer.contains("content"))) return true;
  const auto parts = normalizer.find("normalizers");
  return parts != normalizer.end() && std::any_of(parts->begin(), parts->end(), writes_marks);
}

}  // namespace

std::vector<TextSpan> broken_utf8(std::string_view text) {
  std::vector<TextSpan> out;
  if (is_utf8(text)) return out;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  const auto size = static_cast<std::int64_t>(text.size());
  for (std::int64_t at = 0; at < size;) {
    const std::int64_t begin = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, size, c);
    if (c < 0) out.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at)});
  }
  return out;
}

RepairedText::RepairedText(std::string_view given) : given_(given) {
  if (given.size() >= UINT32_MAX / 4)
    throw Error("a text of " + std::to_string(given.size()) + " bytes; at most 1 GiB can be read at once",
                Exit::data);
  if (is_utf8(given)) return;
  const auto broken = broken_utf8(given);
  repaired_ = repaired_utf8(given);
  std::uint32_t shift = 0;  // of the repaired text against the given one, modulo 2^32
  for (const auto& span : broken) {
    patches_.push_back({span.begin + shift, span.begin, span.end});
    shift += kReplacementBytes - (span.end - span.begin);
  }
}

std::uint32_t RepairedText::original(std::uint32_t at) const {
  const auto behind = std::upper_bound(patches_.begin(), patches_.end(), at,
                                       [](std::uint32_t place, const Patch& patch) { return place < patch.at; });
  if (behind == patches_.begin()) return at;
  const Patch& patch = *(behind - 1);
  if (at == patch.at) return patch.begin;
  return patch.end + std::max(at, patch.at + kReplacementBytes) - (patch.at + kReplacementBytes);
}

Pipeline::Pipeline(std::unique_ptr<PipelineParts> parts) : parts_(std::move(parts)) {}
Pipeline::~Pipeline() = default;

std::int64_t Pipeline::size() const { return std::max(parts_->model->tokens().end(), parts_->added->end()); }
bool Pipeline::has(TokenId id) const { return parts_->added->find(id) != nullptr || parts_->model->tokens().has(id); }
const Purposes& Pipeline::purposes() const { return parts_->purposes; }
std::string Pipeline::json() const { return parts_->file; }

std::vector<Token> Pipeline::encode(std::string_view text) const {
  const RepairedText repaired(text);
  Run run;
  if (parts_->post_processor && parts_->post_processor->trims()) {
    run.tokens = parts_->trimmed(repaired);
  } else {
    run.tokens.reserve(text.size() / 4);
    parts_->run(repaired.text(), run);
  }
  if (!repaired.is_same())
    for (auto& token : run.tokens)
      token.begin = repaired.original(token.begin), token.end = repaired.original(token.end);
  return std::move(run.tokens);
}

TextFrame Pipeline::around() const {
  const auto framed = frame("a");
  TextFrame out;
  if (framed.size() > 1 && framed.special.front()) out.begin = framed.ids.front();
  if (framed.size() > 1 && framed.special.back()) out.end = framed.ids.back();
  return out;
}

Framed Pipeline::frame(std::string_view text, std::optional<std::string_view> second, bool special) const {
  FramePart out = parts_->frame(text, second, special);
  out.finish();
  return std::move(static_cast<Framed&>(out));
}

std::vector<Framed> Pipeline::frame(std::span<const std::string_view> texts, bool special,
                                    std::int64_t threads) const {
  std::vector<FramePart> parts(texts.size());
  run_parallel(texts.size(), threads,
               [&](std::size_t i) { parts[i] = parts_->frame(texts[i], std::nullopt, special); });
  std::size_t longest = 0;
  for (const auto& part : parts) longest = std::max(longest, part.size());
  std::vector<Framed> out;
  out.reserve(parts.size());
  for (auto& part : parts) {
    if (parts_->padding) parts_->pad(part, longest);
    part.finish();
    out.push_back(std::move(part));
  }
  return out;
}

bool Pipeline::ids_need_no_steps() const { return parts_->fast != nullptr; }

void Pipeline::ids(std::string_view text, std::vector<TokenId>& out, bool special) const {
  if (parts_->truncation || !parts_->ends) {
    const FramePart part = parts_->frame(text, std::nullopt, special);
    out.insert(out.end(), part.ids.begin(), part.ids.end());
    return;
  }
  make_room(out, text.size() / kBytesOfToken);
  if (special) out.insert(out.end(), parts_->ends->front.begin(), parts_->ends->front.end());
  Run run;
  run.ids = &out;
  parts_->run(RepairedText(text).text(), run);
  if (special) out.insert(out.end(), parts_->ends->back.begin(), parts_->ends->back.end());
}

std::string Pipeline::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const TokenId id : ids) {
    const AddedToken* added = parts_->added->find(id);
    if (added == nullptr && !parts_->model->tokens().has(id)) continue;
    const std::string_view text = added ? std::string_view(added->normalised) : parts_->model->tokens().text(id);
    if (!skip_special || !parts_->added->is_special(text)) tokens.emplace_back(text);
  }
  if (!parts_->decoder) return join(tokens, " ");
  std::size_t size = 0;
  for (const auto& token : tokens) size += token.size();
  parts_->decoder->apply(tokens, most_rewritten(size));
  return join(tokens, "");
}

std::unique_ptr<const Pipeline> read_pipeline(std::string_view text, const std::string& file_name, Purposes purposes,
                                              const SpecialTokens& special) {
  const Json file = parse_json(text, file_name);
  if (!file.is_object()) Entry(file, file_name).refuse("a table is expected");
  const Entry root(file, file_name + ": ");
  if (root.contains("version") && root.text("version") != "1.0")
    root.at("version").refuse("only version 1.0 of the format is known");
  refuse_other_keys(root);
  static const Json kNull;
  const auto step = [&](const char* key) {
    return root.has(key) ? root.at(key) : Entry(kNull, file_name + ": " + key);
  };
  auto parts = std::make_unique<PipelineParts>();
  parts->file = std::string(text);
  parts->normalizer = step("normalizer").is_null() ? nullptr : read_normalizer(step("normalizer"));
  if (has_no_steps(step("normalizer").json())) parts->normalizer = nullptr;
  parts->pre_tokenizer = step("pre_tokenizer").is_null() ? nullptr : read_pre_tokenizer(step("pre_tokenizer"));
  parts->model = read_model(root.at("model"));
  parts->added = std::make_unique<AddedTokens>(root, *parts->model, parts->normalizer.get());
  parts->post_processor = read_post_processor(step("post_processor"));
  parts->decoder = read_decoder(step("decoder"));
  parts->truncation = read_truncation(step("truncation"));
  parts->padding = read_padding(step("padding"));
  parts->ends = ends_of(parts->post_processor.get());
  parts->normalizer_marks = writes_marks(step("normalizer").json());
  if (parts->decoder) parts->decoder->describe(parts->spelling);
  static std::atomic<std::uint64_t> count{0};
  parts->number = ++count;
  // With a normalizer, tokens that are looked for behind it would have to be looked for in what it makes.
  if (!parts->normalizer || !parts->added->any_normalised())
    parts->fast = make_fast_ids({step("normalizer").json(), step("pre_tokenizer").json(), *parts->model,
                                 parts->normalizer.get(), parts->pre_tokenizer.get()});
  parts->purposes = find_purposes(std::move(purposes), special, *parts);
  for (const auto& [purpose, id] : parts->purposes) parts->purpose_of.emplace(id, purpose);
  return std::unique_ptr<const Pipeline>(new Pipeline(std::move(parts)));
}

}  // namespace xp::pipeline
