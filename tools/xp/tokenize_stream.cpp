#include "tokenize_stream.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "base/input.h"
#include "base/text.h"
#include "kit/word_counts.h"
#include "program.h"

namespace xp::program {
namespace {

using ReadBytes = std::function<std::size_t(char*, std::size_t)>;

template <class Source>
ReadBytes reader_of(const std::string& file) {
  return [source = std::make_shared<Source>(file)](char* to, std::size_t most) { return source->read(to, most); };
}

ReadBytes open_input(const std::string& file) {
  if (file.ends_with(".zst")) return reader_of<xp::detail::ZstdInput>(file);
  if (file.ends_with(".gz")) return reader_of<xp::detail::GzipInput>(file);
  if (file != "-") return reader_of<xp::detail::Input>(file);
  return [](char* to, std::size_t most) {
    for (;;) {
      const auto n = ::read(STDIN_FILENO, to, most);
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EINTR)
        throw Error(std::string("cannot read the standard input: ") + std::strerror(errno), Exit::data);
    }
  };
}

void add_number(std::string& out, std::uint64_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void add_spans(std::string& out, const char* key, const std::vector<TextSpan>& spans) {
  out.append(", \"").append(key).append("\": [");
  for (std::size_t i = 0; i < spans.size(); ++i) {
    out += i == 0 ? "[" : ", [";
    add_number(out, spans[i].begin);
    out += ", ";
    add_number(out, spans[i].end);
    out += ']';
  }
  out += ']';
}

void add_text(std::string& out, const char* key, const std::string& text) {
  out.append(", \"").append(key).append("\": ").append(nlohmann::json(text).dump());
}

/// The inputs of one chunk that one thread works on: lines, what they gave and what was wrong with them.
struct Task {
  std::vector<std::string_view> lines;
  std::int64_t first = 0;  // number of the first line in its file, from 1
  std::string out, warnings;
};

class TokenizeStream {
 public:
  TokenizeStream(const pipeline::Pipeline& pipeline, const StreamOptions& options)
      : pipeline_(pipeline), options_(options) {}

  void file(const std::string& name) {
    name_ = name == "-" ? "standard input" : name;
    line_ = 1;
    const ReadBytes read = open_input(name);
    std::string rest;  // the bytes of lines whose end was not read yet
    for (;;) {
      const std::size_t before = rest.size();
      rest.resize(before + options_.chunk);
      std::size_t size = before;
      while (size < rest.size()) {
        const std::size_t n = read(rest.data() + size, rest.size() - size);
        if (n == 0) break;
        size += n;
      }
      const bool at_end = size < rest.size();
      rest.resize(size);
      const auto last = rest.rfind('\n');
      const std::size_t whole = at_end ? size : last == std::string::npos ? 0 : last + 1;
      work(std::string_view(rest).substr(0, whole));
      if (at_end) return;
      rest.erase(0, whole);
    }
  }

 private:
  static constexpr std::size_t kTaskBytes = std::size_t{1} << 16;

  // `text` holds whole lines; its last line end makes no further line.
  void work(std::string_view text) {
    std::vector<Task> tasks;
    std::size_t bytes = kTaskBytes;
    for (std::size_t at = 0; at < text.size(); ++line_) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      if (bytes >= kTaskBytes) tasks.emplace_back().first = line_, bytes = 0;
      tasks.back().lines.push_back(text.substr(at, end - at));
      bytes += end - at + 1;
      at = end + 1;
    }
    std::exception_ptr failure;
    try {
      run_parallel(tasks.size(), options_.threads, [&](std::size_t i) { run(tasks[i]); });
    } catch (...) {
      failure = std::current_exception();
    }
    // Tasks behind a failed one may be done, but are not in order any more.
    for (const auto& task : tasks) {
      print(task.out);
      std::fwrite(task.warnings.data(), 1, task.warnings.size(), stderr);
      if (task.lines.size() > done(task)) break;
    }
    if (failure) std::rethrow_exception(failure);
  }

  static std::size_t done(const Task& task) {
    return static_cast<std::size_t>(std::count(task.out.begin(), task.out.end(), '\n'));
  }

  void run(Task& task) const {
    for (std::size_t i = 0; i < task.lines.size(); ++i) {
      const auto number = task.first + static_cast<std::int64_t>(i);
      const std::string place = name_ + ":" + std::to_string(number);
      const std::size_t before = task.out.size();
      try {
        if (options_.jsonl) {
          input(json_text(task.lines[i]), place, task);
        } else {
          input(task.lines[i], place, task);
        }
      } catch (const Error& error) {
        task.out.resize(before);  // no half of an object
        throw Error(place + ": " + error.what(), error.exit());
      }
    }
  }

  static std::string json_text(std::string_view line) {
    // A parser would only say that something is wrong with the text.
    if (const auto broken = pipeline::broken_utf8(line); !broken.empty())
      throw Error("invalid UTF-8 at byte " + std::to_string(broken.front().begin) + ", and JSON is UTF-8",
                  Exit::data);
    const auto value = nlohmann::json::parse(line, nullptr, false);
    if (value.is_string()) return value.get<std::string>();
    if (value.is_object())
      if (const auto text = value.find("text"); text != value.end() && text->is_string())
        return text->get<std::string>();
    throw Error("this is neither a JSON text nor a table with a text `text`", Exit::data);
  }

  void input(std::string_view text, const std::string& place, Task& task) const {
    const auto framed = std::move(pipeline_.frame(std::span(&text, 1), options_.special).front());
    std::string& out = task.out;
    out += "{\"ids\": [";
    for (std::size_t i = 0; i < framed.size(); ++i) {
      if (i > 0) out += ", ";
      add_number(out, static_cast<std::uint64_t>(framed.ids[i]));
    }
    out += ']';
    add_spans(out, "offsets", framed.offsets);
    out += ", \"special_tokens_mask\": [";
    for (std::size_t i = 0; i < framed.size(); ++i)
      out.append(i == 0 ? "" : ", ").append(framed.special[i] ? "1" : "0");
    out += ']';
    if (options_.decode) {
      add_text(out, "decoded", pipeline_.decode(framed.ids, true));
      add_text(out, "decoded_raw", pipeline_.decode(framed.ids, false));
    }
    if (const auto broken = pipeline::broken_utf8(text); !broken.empty()) {
      add_spans(out, "invalid_utf8", broken);
      task.warnings += invalid_utf8_warning(text, place);
    }
    out += "}\n";
  }

  const pipeline::Pipeline& pipeline_;
  StreamOptions options_;
  std::string name_;
  std::int64_t line_ = 1;
};

}  // namespace

std::string invalid_utf8_warning(std::string_view text, const std::string& place) {
  const auto broken = pipeline::broken_utf8(text);
  if (broken.empty()) return {};
  return "warning: " + place + ": invalid UTF-8 at byte " + std::to_string(broken.front().begin) +
         (broken.size() > 1 ? " and " + count(broken.size() - 1, "more place") : "") + "\n";
}

void tokenize_stream(const pipeline::Pipeline& pipeline, const std::vector<std::string>& files,
                     const StreamOptions& options) {
  TokenizeStream stream(pipeline, options);
  for (const auto& file : files) stream.file(file);
  if (files.empty()) stream.file("-");
}

}  // namespace xp::program
