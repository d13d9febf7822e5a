#include "new_plugin.h"

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "new_templates.h"
#include "schema/schema.h"

namespace xp {
namespace {

namespace fs = std::filesystem;
using Texts = std::map<std::string, std::string>;

/// "@key@" replaced by its text, for every key.
std::string filled(std::string_view text, const Texts& values) {
  std::string out(text);
  for (const auto& [key, value] : values) {
    const auto mark = "@" + key + "@";
    for (std::size_t at = 0; (at = out.find(mark, at)) != std::string::npos; at += value.size())
      out.replace(at, mark.size(), value);
  }
  return out;
}

std::string_view text_of(const std::string& file) {
  const auto& all = new_templates();
  const auto found = all.find(file);
  if (found == all.end()) throw Error("this program was built without the template " + backquoted(file));
  return found->second;
}

std::string interface_of(std::string_view kind) {
  const auto known = new_kinds();
  const auto is_known = [&](const std::string& one) {
    return std::find(known.begin(), known.end(), one) != known.end();
  };
  if (is_known(std::string(kind))) return std::string(kind);
  for (const auto& one : interfaces_of_kind(kind))
    if (is_known(one)) return one;
  const auto near = nearest(kind, known);
  throw Error("no kind of plugin is called " + backquoted(kind) +
                  (near ? "; did you mean " + backquoted(*near) + "?" : "; there is " + listed(known, 40)),
              Exit::usage);
}

/// plugins/<folder>: the interface's plural; both interfaces for data share one, searches and pruners too.
std::string folder_of(const std::string& interface) {
  if (interface == "data_source" || interface == "dataset") return "datasets";
  if (interface == "search" || interface == "pruner") return "search";
  if (interface.ends_with('y')) return interface.substr(0, interface.size() - 1) + "ies";
  return interface + "s";
}

/// my_rows -> MyRows.
std::string class_name(std::string_view name) {
  std::string out;
  bool up = true;
  for (const char c : name) {
    if (c != '_') out += up && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    up = c == '_';
  }
  return out;
}

void check_name(std::string_view name) {
  static const std::vector<std::string> kTaken = {
      "and",    "auto",   "bool",  "break", "case",  "catch",  "char",     "class",  "const",  "default", "delete",
      "do",     "double", "else",  "enum",  "false", "final",  "float",    "for",    "if",     "int",     "long",
      "main",   "new",    "none",  "not",   "or",    "return", "short",    "signed", "static", "std",     "struct",
      "switch", "this",   "throw", "true",  "try",   "union",  "unsigned", "using",  "void",   "while",   "xor"};
  const bool letters = std::all_of(
      name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
  if (!is_name(name) || !letters || name.ends_with("_test"))
    throw Error(
        backquoted(printable(name)) +
            " is no name for a plugin: small letters, digits and _ after a letter, at most 64, not ending in _test",
        Exit::usage);
  if (std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end())
    throw Error(backquoted(name) + " is no name for a plugin: it is a word of C++ or of recipes", Exit::usage);
}

/// The whole build file after one plugin was added to what is there.
std::string build_file(const fs::path& file, const std::string& line, std::string_view name, bool in_tree) {
  if (std::error_code none; fs::exists(file, none)) {
    auto text = read_file(file, std::uint64_t{1} << 20);
    if (!in_tree && text.find("find_package(xp") == std::string::npos)
      throw Error(file.string() +
                      " is not the build file of an xp project (it has no find_package(xp)); name an empty folder",
                  Exit::usage);
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    return text + line;
  }
  if (in_tree) return line;
  return "cmake_minimum_required(VERSION 3.25)\nproject(" + std::string(name) +
         " LANGUAGES C CXX)\nfind_package(xp REQUIRED)  # -Dxp_DIR=<build folder of xp, or "
         "PREFIX/lib/cmake/xp>\ninclude(CTest)\n\n" +
         line;
}

struct File {
  fs::path path;
  std::string text;
};

std::vector<File> files_for(const std::string& interface, const std::string& name, const fs::path& folder,
                            bool in_tree) {
  const auto place = in_tree ? folder / "plugins" / folder_of(interface) : folder;
  const std::string recipe = (in_tree ? "recipes/" : "") + name + ".toml";
  const auto made = text_of(interface + ".toml");
  const std::string verb = made.find("\n[sweep]\n") == std::string_view::npos ? "run" : "sweep";
  Texts values = {{"name", name},
                  {"Class", class_name(name)},
                  {"interface", interface},
                  {"text", in_tree ? "datasets/udhr/en.txt.zst" : "sample.txt"},
                  {"run", "xp " + verb + " " + recipe + (in_tree ? "" : " --plugin-path build/plugins")}};
  auto source = filled(text_of(interface + ".cpp"), values);
  constexpr std::string_view kTorch = "//! TORCH\n";
  const bool torch = source.starts_with(kTorch);
  if (torch) source.erase(0, kTorch.size());
  std::vector<File> files = {{place / (name + ".cpp"), std::move(source)},
                             {place / (name + "_test.cpp"), filled(text_of(interface + "_test.cpp"), values)}};
  auto use = filled(filled(made, {{"model", std::string(text_of("learn.toml"))}}), values);
  files.push_back({folder / recipe, filled(text_of("pipeline.toml"), values) + use});
  if (!in_tree)
    for (const auto& [file, text] :
         {std::pair("sample.txt", text_of("sample.txt")), std::pair("xp.toml", std::string_view())})
      if (std::error_code none; !fs::exists(folder / file, none)) files.push_back({folder / file, std::string(text)});
  for (const auto& one : files)
    if (std::error_code none; fs::exists(one.path, none))
      throw Error(one.path.string() + " exists already", Exit::usage);
  const auto build = place / "CMakeLists.txt";
  files.push_back({build, build_file(build, "xp_plugin(" + name + (torch ? " TORCH" : "") + ")\n", name, in_tree)});
  return files;
}

}  // namespace

std::vector<std::string> new_kinds() {
  std::vector<std::string> out;
  constexpr std::string_view kTest = "_test.cpp";
  for (const auto& [file, text] : new_templates())
    if (file.ends_with(kTest)) out.push_back(file.substr(0, file.size() - kTest.size()));
  return out;
}

std::vector<fs::path> new_plugin(std::string_view kind, std::string_view name, const fs::path& folder, bool in_tree) {
  const auto interface = interface_of(kind);
  check_name(name);
  std::error_code none;
  if (in_tree && !fs::is_directory(folder / "plugins", none))
    throw Error(folder.string() + " is not the source tree of xp: it has no folder plugins/", Exit::usage);
  const auto files = files_for(interface, std::string(name), folder, in_tree);
  std::vector<fs::path> written;
  for (const auto& file : files) {
    if (const auto parent = file.path.parent_path(); !parent.empty()) fs::create_directories(parent);
    write_file(file.path, file.text);
    written.push_back(file.path);
  }
  return written;
}

}  // namespace xp
