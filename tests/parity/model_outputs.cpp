// What a model directory or file computes here, for comparison with the library it comes from.
//   model_outputs MODEL TOKENIZER TEXTS(jsonl of strings) OUT(safetensors) [MAX_TOKENS|score]
// Writes for each text i: `ids.i`, `hidden.i` (last states), `pooled.i` if the model pools, `logits.i` if it has
// some; with MAX_TOKENS prints what greedy generation writes, a JSON string a text; with `score` the sum of the
// losses as `{"nats", "tokens"}` a text. Run by tools/parity/real_*.py.
#include <c10/core/GradMode.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "api/batch.h"
#include "api/ops.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/outside.h"
#include "engine/session.h"
#include "kit/tensors.h"
#include "testing/testing.h"

namespace {

using namespace xp;

std::vector<std::int64_t> framed(const Encoder& encoder, const std::string& text) {
  const auto around = encoder.around();
  std::vector<std::int64_t> ids;
  if (around.begin) ids.push_back(*around.begin);
  for (const auto& token : encoder.encode(text)) ids.push_back(token.id);
  if (around.end) ids.push_back(*around.end);
  return ids;
}

Batch batch_of(const std::vector<std::int64_t>& ids) {
  Batch batch;
  batch.sample_id = ops::tensor({0});
  batch.set("ids", ops::tensor(ids).unsqueeze(0));
  batch.set("input.mask", ops::ones({1, static_cast<std::int64_t>(ids.size())}, at::kBool));
  return batch;
}

int run(int argc, char** argv) {
  const auto& registry = testing::registry();
  auto read = format_of(registry, argv[1])->read(argv[1]);
  const std::shared_ptr<const Encoder> encoder = format_of(registry, argv[2])->read_tokenizer(argv[2]);
  if (!read.checkpoint || !encoder) throw Error("a model and a tokenizer are wanted", Exit::usage);
  Session session(registry, RandomStreams(0, "parity"), {encoder, {}, {}, {}}, at::kFloat);
  session.add_own_model("primary", {}, &*read.checkpoint, {});
  session.refresh();
  const auto handle = session.handle({});
  const at::NoGradGuard quiet;
  std::map<std::string, at::Tensor> out;
  std::size_t number = 0;
  for (const auto& line : split(read_file(argv[3]), '\n')) {
    if (line.empty()) continue;
    const auto ids = framed(*encoder, nlohmann::json::parse(line).get<std::string>());
    const auto batch = batch_of(ids);
    const auto mark = "." + std::to_string(number++);
    if (argc > 5 && std::string_view(argv[5]) == "score") {
      const auto score = handle->score(batch).front();
      std::printf("%s\n", nlohmann::json({{"nats", score.nats}, {"tokens", score.tokens}}).dump().c_str());
      continue;
    }
    if (argc > 5) {
      const auto written = handle->generate(batch, {{"max_tokens", std::stoll(argv[5])}}, RandomStream(0));
      std::printf("%s\n", nlohmann::json(written.front()).dump().c_str());
      continue;
    }
    out["ids" + mark] = ops::tensor(ids);
    const auto states = handle->encode(batch, {.tokens = true, .pooling = Pooling::own});
    out["hidden" + mark] = states.tokens[0].contiguous(), out["pooled" + mark] = states.pooled[0].contiguous();
    if (handle->can("logits") && !handle->has("memory")) out["logits" + mark] = handle->logits(states.tokens[0]);
  }
  std::map<std::string, TensorBytes> bytes;
  for (auto& [name, tensor] : out) bytes.emplace(name, bytes_of(tensor = tensor.contiguous()));
  if (argc <= 5) write_safetensors(argv[4], bytes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return std::fputs("model_outputs MODEL TOKENIZER TEXTS OUT [MAX_TOKENS|score]\n", stderr), 2;
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
