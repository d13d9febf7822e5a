#pragma once
// What the tests of model directories share: the models that transformers wrote, and copies of them to change.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "api/format.h"
#include "base/file.h"
#include "testing/testing.h"

namespace hugging_face_test {

namespace fs = std::filesystem;
using namespace xp;

inline const fs::path kModels = "tests/golden/models";

inline std::unique_ptr<Format> format() { return testing::registry().make<Format>({{"type", "hugging_face"}}); }

struct Scratch {
  fs::path path = make_scratch(fs::temp_directory_path(), "xp-hf-");
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  ~Scratch() { fs::remove_all(path); }
};

/// A copy of a model directory to break.
struct Copy : Scratch {
  explicit Copy(const std::string& name) {
    fs::remove(path);
    fs::copy(kModels / name, path);
  }
  void config(const std::string& key, nlohmann::json value) const {
    auto all = nlohmann::json::parse(read_file(path / "config.json"));
    all[key] = std::move(value);
    write_file(path / "config.json", all.dump());
  }
};

}  // namespace hugging_face_test
