#include "kit/files/tensor_files.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/files/named.h"
#include "kit/files/strict_json.h"

namespace xp {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr std::string_view kEnding = ".safetensors";
// A line of an index is some hundred bytes, so this is far beyond any model.
constexpr std::uint64_t kMostIndex = std::uint64_t{1} << 28;
// The names hold five digits.
constexpr std::size_t kMostShards = 99'999;

// A shard lies beside its index: a name that leads elsewhere would have us read any file of the machine.
bool is_shard_name(const std::string& name) {
  return name.size() > kEnding.size() && name.front() != '.' && std::string_view(name).ends_with(kEnding) &&
         name.find_first_of(std::string_view("/\\\0:", 4)) == std::string::npos;
}

std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const auto where = index.string() + " is not a readable safetensors index";
  const auto text = read_file(index, kMostIndex);
  const auto parsed = parse_strict_json(text, where);
  const auto map = parsed.is_object() ? parsed.find("weight_map") : parsed.end();
  if (map == parsed.end() || !map->is_object() || map->empty())
    throw Error(where + ": it has no `weight_map` from tensors to shards", Exit::data);
  std::map<std::string, std::string> shard_of;
  for (const auto& [name, shard] : map->items()) {
    if (!shard.is_string())
      throw Error(where + ": the shard of " + backquoted(printable(name)) + " is not a text", Exit::data);
    if (!is_shard_name(shard.get_ref<const std::string&>()))
      throw Error(where + ": " + backquoted(printable(name)) + " is in " +
                      backquoted(printable(shard.get<std::string>())) +
                      "; a shard is the name of a .safetensors file beside the index",
                  Exit::data);
    shard_of.emplace(name, shard.get<std::string>());
  }
  return shard_of;
}

bool is_ours(const std::string& name) {
  if (name == kSingle || name == kIndex) return true;
  constexpr std::string_view kPattern = "model-00000-of-00000.safetensors";
  if (name.size() != kPattern.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i)
    if (kPattern[i] == '0' ? name[i] < '0' || name[i] > '9' : name[i] != kPattern[i]) return false;
  return true;
}

// What an earlier write left under our names and this one did not write.
void remove_others(const fs::path& folder, const std::vector<std::string>& written) {
  std::vector<fs::path> gone;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (is_ours(name) && std::find(written.begin(), written.end(), name) == written.end())
      gone.push_back(entry.path());
  }
  for (const auto& path : gone) {
    std::error_code problem;
    fs::remove(path, problem);
    if (problem) throw Error("cannot remove " + path.string() + ": " + problem.message());
  }
}

using Tensors = std::map<std::string, TensorBytes>;

std::vector<Tensors> split_up(const Tensors& tensors, std::uint64_t most) {
  std::vector<Tensors> shards(1);
  std::uint64_t size = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!shards.back().empty() && (tensor.size > most || size > most - tensor.size)) {
      shards.emplace_back();
      size = 0;
    }
    shards.back().emplace(name, tensor);
    size += tensor.size;
  }
  return shards;
}

}  // namespace

TensorFiles::TensorFiles(const fs::path& where) : where_(where) {
  std::error_code none;
  auto file = where;
  if (fs::is_directory(where, none)) {
    file = where / kSingle;
    if (!fs::exists(file, none)) file = where / kIndex;
    if (!fs::exists(file, none))
      throw Error(where.string() + " holds neither " + kSingle + " nor " + kIndex, Exit::data);
  }
  if (file.extension() == ".json") {
    read_index(file);
    return;
  }
  files_.emplace_back(file);
  tensors_ = files_.back().tensors();
  metadata_ = files_.back().metadata();
}

void TensorFiles::read_index(const fs::path& index) {
  const auto shard_of = read_weight_map(index);
  std::map<std::string, std::size_t> opened;
  for (const auto& [name, shard] : shard_of)
    if (opened.emplace(shard, files_.size()).second) files_.emplace_back(index.parent_path() / shard);
  for (const auto& [name, shard] : shard_of) {
    const auto& held = files_[opened.at(shard)].tensors();
    const auto found = held.find(name);
    if (found == held.end())
      throw Error(index.string() + " places the tensor " + backquoted(printable(name)) + " in " + backquoted(shard) +
                      ", which does not hold it",
                  Exit::data);
    tensors_.emplace(name, found->second);
  }
  for (const auto& [shard, number] : opened) {
    for (const auto& [name, tensor] : files_[number].tensors()) {
      const auto placed = shard_of.find(name);
      if (placed == shard_of.end() || placed->second != shard) lost_.push_back(name + " in " + shard);
    }
    metadata_.insert(files_[number].metadata().begin(), files_[number].metadata().end());
  }
}

const TensorBytes& TensorFiles::at(const std::string& name) const { return named_tensor(tensors_, name, where_); }

void write_tensor_files(const fs::path& folder, const Tensors& tensors,
                        const std::map<std::string, std::string>& metadata, std::uint64_t most_bytes,
                        const ReadTensor& read) {
  const auto shards = split_up(tensors, most_bytes);
  if (shards.size() > kMostShards)
    throw Error("shards of " + bytes_text(static_cast<double>(most_bytes)) + " would be " +
                std::to_string(shards.size()) + " files; at most " + std::to_string(kMostShards) + " can be named");
  std::vector<std::string> names;
  std::vector<PendingFile> pending;
  json map = json::object();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    std::array<char, 64> name{};
    std::snprintf(name.data(), name.size(), "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
    names.push_back(shards.size() == 1 ? kSingle : name.data());
    pending.emplace_back(folder / names.back());
    write_safetensors(pending.back(), shards[i], metadata, read);
    pending.back().sync();
    for (const auto& [tensor, bytes] : shards[i]) map[tensor] = names.back(), total += bytes.size;
  }
  if (shards.size() > 1) {
    const json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
    const auto text = index.dump(2) + "\n";
    names.emplace_back(kIndex);
    pending.emplace_back(folder / kIndex);
    pending.back().write(text.data(), text.size());
    pending.back().sync();
    std::error_code problem;
    fs::remove(folder / kIndex, problem);
    if (problem) throw Error("cannot remove " + (folder / kIndex).string() + ": " + problem.message());
    sync_path(folder);
  }
  for (auto& file : pending) file.publish();
  sync_path(folder);
  remove_others(folder, names);
  sync_path(folder);
}

}  // namespace xp
