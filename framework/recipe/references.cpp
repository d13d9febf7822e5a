// "stage.output", "stage[value]", "dataset:split", "dataset#column", "hf:DIR": what fields that want an artifact
// hold.
#include <algorithm>

#include "base/text.h"
#include "recipe/resolver.h"

namespace xp::recipe {
namespace {

struct Written {
  std::string scheme, rest;  ///< from outside
  std::string base, member, output, split, column;
  bool has_member = false;
};

std::optional<Written> parse(const std::string& text) {
  Written out;
  if (is_outside(text)) {
    const auto colon = text.find(':');
    out.scheme = text.substr(0, colon), out.rest = text.substr(colon + 1);
    return out;
  }
  std::string_view left = text;
  const auto take = [&](std::string_view ends) {
    const auto end = std::min(left.find_first_of(ends), left.size());
    std::string part(left.substr(0, end));
    left.remove_prefix(end);
    return part;
  };
  out.base = take("[.:#");
  if (!is_name(out.base)) return {};
  if (left.starts_with('[')) {
    const auto close = left.find(']');
    if (close == std::string_view::npos) return {};
    out.member = left.substr(1, close - 1), out.has_member = true;
    left.remove_prefix(close + 1);
    if (out.member.empty()) return {};
  }
  for (const auto& [mark, place] :
       {std::pair('.', &out.output), std::pair(':', &out.split), std::pair('#', &out.column)})
    if (left.starts_with(mark)) {
      left.remove_prefix(1);
      *place = take(".:#[");
      if (place->empty()) return {};
    }
  return left.empty() ? std::optional(out) : std::nullopt;
}

// A field may take several kinds: "checkpoint or predictions".
constexpr std::string_view kOr = " or ";

bool kind_fits(const std::string& wanted, const std::string& made) {
  if (const auto at = wanted.find(kOr); at != std::string::npos)
    return kind_fits(wanted.substr(0, at), made) || kind_fits(wanted.substr(at + kOr.size()), made);
  // A checkpoint is a model directory, its tokenizer included.
  return wanted.empty() || wanted == made || (wanted == "tokenizer" && made == "checkpoint");
}

// What an artifact is whose maker does not say; the first kind where the field takes several.
std::string kind_of(const FieldInfo& info) {
  return info.interface.empty() ? "checkpoint" : info.interface.substr(0, info.interface.find(kOr));
}

std::string wanted_text(const FieldInfo& info) {
  return info.interface.empty() ? "an artifact" : with_article(info.interface);
}

}  // namespace

bool is_outside(std::string_view text) {
  return text.starts_with("hf:") || text.starts_with("gguf:") || text.starts_with("package:");
}

/// One reference of a field; a friend of the resolver, as it is a part of it.
class References {
 public:
  References(Resolver& resolver, const FieldInfo& info, const Value& value, const Place& place)
      : r_(resolver),
        problems_(resolver.world_.problems),
        info_(info),
        value_(value),
        place_(place),
        text_(*value.as<std::string>()) {}

  std::optional<List> run(bool many) {
    const auto written = parse(text_);
    if (!written)
      return error(
          "bad-reference", backquoted(printable(text_)) + " does not refer to an artifact",
          "\"stage\", \"stage.output\", \"stage[value]\", \"dataset:split\", \"dataset#field\" or \"hf:DIR\"");
    if (!written->scheme.empty()) return from_outside(*written);
    const auto* named = r_.names_.find(written->base);
    if (named && named->kind == "dataset") return dataset(*named, *written);
    if (named && named->kind == "stage") return stage(*written, many);
    if (named)
      return error("wrong-kind",
                   place_.text() + " wants " + wanted_text(info_) + ", but " + backquoted(written->base) + " is " +
                       with_article(named->kind),
                   "a component makes nothing by itself; name a stage");
    r_.unknown_name({info_}, written->base, value_, place_);
    return {};
  }

 private:
  std::optional<List> error(const std::string& code, const std::string& message, const std::string& hint) {
    problems_.error(code, message, value_.span, hint);
    r_.gathered_.unknown = true;
    return {};
  }

  std::optional<List> one(Reference reference) {
    Value out{std::move(reference)};
    out.span = value_.span, out.key = value_.key;
    return List{std::move(out)};
  }

  std::optional<List> from_outside(const Written& written) {
    const auto found = r_.world_.files.outside(written.scheme, written.rest, value_.span);
    if (!found) {
      r_.gathered_.unknown = true;
      return {};
    }
    Reference out{.text = text_, .kind = kind_of(info_)};
    out.digest = found->digest, out.path = found->path.string();
    if (out.kind == "checkpoint" || out.kind == "tokenizer") add_formats();
    return one(std::move(out));
  }

  // Which format reads it shows when it is opened, so all are the stage's, with the components that they make.
  void add_formats() {
    for (const auto* format : r_.world_.catalogue.list("format")) {
      r_.gathered_.components.emplace("format", format->type);
      for (const auto& given : format->schema.gives)
        if (r_.world_.catalogue.find(given.what, given.name)) r_.gathered_.components.emplace(given.what, given.name);
    }
  }

  bool good_split(const Written& written, const std::vector<std::string>& known) {
    if (info_.evaluates && written.split.empty()) {
      error("missing-split", place_.text() + " must name the split of " + backquoted(written.base),
            "such as \"" + written.base + ":test\"");
      return false;
    }
    if (written.split.empty() || std::find(known.begin(), known.end(), written.split) != known.end()) return true;
    error("unknown-split", backquoted(written.base) + " has no split " + backquoted(printable(written.split)),
          suggestion(written.split, known, ""));
    return false;
  }

  std::optional<List> dataset(const NamedTable& named, const Written& written) {
    if (!kind_fits(info_.interface, "dataset"))
      return error(
          "wrong-kind",
          place_.text() + " wants " + wanted_text(info_) + ", but " + backquoted(written.base) + " is a dataset",
          fitting_stages());
    if (written.has_member || !written.output.empty())
      return error("bad-reference", "a dataset has no members and no outputs",
                   "such as \"" + written.base + ":train\"");
    if (std::find(r_.open_.begin(), r_.open_.end(), named.name) != r_.open_.end())
      return error("cycle", "dataset " + backquoted(named.name) + " is made of itself",
                   "a component cannot be a part of itself");
    const auto table = resolved(named);
    if (!table) return r_.gathered_.unknown = true, std::nullopt;
    if (!good_split_of(named, *table, written)) return {};
    Reference out{.text = text_, .kind = "dataset"};
    out.split = written.split.empty() ? "train" : written.split, out.column = written.column, out.component = table;
    return one(std::move(out));
  }

  // A dataset that declares splits has those, whatever they are where its settings leave it open; else, and where it
  // says that they are "shares", the framework cuts it.
  bool good_split_of(const NamedTable& named, const Table& table, const Written& written) {
    std::vector<std::string> splits;
    bool declares = false, by_shares = false;
    if (const auto* info = r_.world_.find(interfaces_of_kind("dataset"), *table.at("type").as<std::string>()))
      for (const auto& given : info->schema.gives) {
        if (given.what != "split") continue;
        declares = true;
        if (!holds(given.when, table)) continue;
        splits.push_back(given.name);
        by_shares = by_shares || given.detail == "shares";
      }
    if (!declares) splits = {"train", "dev", "test"}, by_shares = true;
    if (splits.empty() && !written.split.empty()) return true;
    if (!good_split(written, splits)) return false;
    const auto* share = by_shares ? find(table, "split." + written.split) : nullptr;
    if (!share || share->number() > 0) return true;
    error("empty-split",
          backquoted(text_) + " is empty: dataset " + backquoted(named.name) + " gives " + backquoted(written.split) +
              " the share 0",
          "write split = { " + written.split + " = 0.05 } in [dataset." + named.name + "], or name another split");
    return false;
  }

  std::shared_ptr<const Table> resolved(const NamedTable& named) {
    if (r_.graph_) {
      const auto known = r_.graph_->datasets().find(named.name);
      if (known != r_.graph_->datasets().end()) return r_.gathered_.add(known->second.second), known->second.first;
    }
    Resolver inner(r_.world_, r_.names_, r_.graph_);
    inner.open_ = r_.open_;
    inner.open_.push_back(named.name);
    auto table = inner.dataset(named);
    r_.gathered_.add(inner.gathered_);
    if (r_.graph_) r_.graph_->datasets().emplace(named.name, std::pair(table, std::move(inner.gathered_)));
    return table;
  }

  std::optional<List> stage(const Written& written, bool many) {
    if (!r_.graph_)
      return one(Reference{.text = text_, .kind = kind_of(info_)});  // outside of any stage: the name is there
    const auto& members = r_.graph_->members(written.base);
    if (members.empty()) return r_.gathered_.unknown = true, std::nullopt;  // its `each` is wrong
    const bool fan = members.front() != written.base;
    if (!written.has_member && !fan) return node(members.front(), written);
    if (written.has_member && !fan)
      return error("unknown-member", "stage " + backquoted(written.base) + " has no members, as it has no `each`",
                   "write \"" + written.base + "\"");
    if (!written.has_member)
      return error("missing-member",
                   place_.text() + " must say which member of " + backquoted(written.base) + " it wants",
                   "there is " + listed(members) + (many ? "; \"" + written.base + "[*]\" means all" : ""));
    if (written.member == "*" && !many)
      return error("missing-member",
                   place_.text() + " takes one artifact, not all members of " + backquoted(written.base),
                   "there is " + listed(members));
    if (written.member == "*") {
      List all;
      for (const auto& member : members) {
        const auto some = node(member, written);
        if (!some) return {};
        all.insert(all.end(), some->begin(), some->end());
      }
      return all;
    }
    const auto name = written.base + "[" + written.member + "]";
    if (std::find(members.begin(), members.end(), name) == members.end())
      return error("unknown-member",
                   "stage " + backquoted(written.base) + " has no member " + backquoted(printable(written.member)),
                   suggestion(name, members, ""));
    return node(name, written);
  }

  std::optional<List> node(const std::string& name, const Written& written) {
    const auto* made = r_.graph_->node(name, value_.span);
    if (!made) return r_.gathered_.unknown = true, std::nullopt;
    auto& inputs = r_.gathered_.inputs;
    if (std::find(inputs.begin(), inputs.end(), name) == inputs.end()) inputs.push_back(name);
    Reference out{.text = text_, .kind = kind_of(info_)};
    out.node = name, out.output = written.output, out.split = written.split, out.column = written.column;
    if (!made->info || made->broken) return one(std::move(out));  // its outputs are not known
    const auto* output = choose(*made, written);
    if (!output) return {};
    out.kind = output->kind;
    out.output = output == &made->outputs.front() ? "" : output->name;
    if (out.kind != "dataset") {
      if (!written.split.empty() || !written.column.empty())
        return error("bad-reference",
                     backquoted(name) + " makes " + with_article(out.kind) + ", which has no splits and no fields",
                     "write \"" + name + "\"");
      return one(std::move(out));
    }
    if (!good_split(written, {"train", "dev", "test"})) return {};
    if (out.split.empty()) out.split = "train";
    return one(std::move(out));
  }

  const PlanOutput* choose(const StageNode& made, const Written& written) {
    const auto& outputs = made.outputs;
    std::vector<std::string> names;
    for (const auto& output : outputs) names.push_back(output.name);
    const PlanOutput* found = nullptr;
    if (!written.output.empty()) {
      for (const auto& output : outputs)
        if (output.name == written.output) found = &output;
      if (!found) {
        error("unknown-output",
              "stage " + backquoted(made.name) + " has no output " + backquoted(printable(written.output)),
              suggestion(written.output, names, "it makes nothing that others can read"));
        return nullptr;
      }
    } else {
      for (const auto& output : outputs)
        if (!found && kind_fits(info_.interface, output.kind)) found = &output;
    }
    if (found && kind_fits(info_.interface, found->kind)) return found;
    std::vector<std::string> kinds;
    for (const auto& output : outputs)
      if (written.output.empty() || output.name == written.output) kinds.push_back(with_article(output.kind));
    error("wrong-kind",
          place_.text() + " wants " + wanted_text(info_) + ", but " + backquoted(made.name) + " makes " +
              (kinds.empty() ? "nothing" : join(kinds, " and ")),
          fitting_stages());
    return nullptr;
  }

  // Stages that make what the field wants, as far as their types say.
  std::string fitting_stages() const {
    std::vector<std::string> names;
    for (const auto* stage : r_.names_.of_kind("stage")) {
      const auto type = stage->table().find("type");
      const auto* name = type == stage->table().end() ? nullptr : type->second.as<std::string>();
      const auto* info = name ? r_.world_.catalogue.find("stage", *name) : nullptr;
      if (info && std::any_of(info->schema.gives.begin(), info->schema.gives.end(), [&](const Trait& t) {
            return t.what == "output" && kind_fits(info_.interface, t.detail);
          }))
        names.push_back(stage->name);
    }
    return names.empty() ? "no stage of the recipe makes one"
                         : with_article(info_.interface) + " is made by " + listed(names);
  }

  Resolver& r_;
  Problems& problems_;
  const FieldInfo& info_;
  const Value& value_;
  const Place& place_;
  const std::string& text_;
};

std::optional<Value> Resolver::reference(const FieldInfo& info, const Value& value, const Place& place) {
  auto list = references(info, value, place, false);
  if (!list) return {};
  return std::move(list->front());
}

std::optional<List> Resolver::references(const FieldInfo& info, const Value& value, const Place& place, bool many) {
  if (!value.as<std::string>()) {
    FieldInfo named = info;
    world_.problems.error("wrong-type",
                          place.text() + " must be the name of what makes it, not " + std::string(type_name(value)),
                          value.span, describe(named));
    return {};
  }
  return References(*this, info, value, place).run(many);
}

void Resolver::unknown_name(const std::vector<FieldInfo>& kinds, const std::string& text, const Value& value,
                            const Place& place) {
  gathered_.unknown = true;
  constexpr std::size_t kEnough = 100;  // 20 are shown; looking for the nearest of many names takes long
  if (world_.problems.errors() > kEnough) return;
  std::vector<std::string> known, words;
  std::string hint;
  for (const auto& info : kinds) {
    const bool artifact = info.kind == Kind::artifact;
    const auto interface = info.kind == Kind::model ? std::string("model") : info.interface;
    const auto word = artifact ? (interface.empty() ? "artifact" : interface) : kind_of_interface(interface);
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
    const auto add = [&](const std::vector<const NamedTable*>& names) {
      for (const auto* one : names)
        if (std::find(known.begin(), known.end(), one->name) == known.end()) known.push_back(one->name);
    };
    if (!artifact) add(names_.of_interface(interface));
    if (artifact) add(names_.of_kind("stage"));
    if (artifact && kind_fits(interface, "dataset")) add(names_.of_kind("dataset"));
    if (!artifact && world_.catalogue.find(interface, text))
      hint = "to use the type of that name write { type = \"" + text + "\" }";
  }
  if (hint.empty() && known.empty() && kinds.size() == 1 && kinds.front().kind != Kind::artifact) {
    const auto interface = kinds.front().kind == Kind::model ? std::string("model") : kinds.front().interface;
    hint = "write one in place, such as { type = \"...\" }; types are " + listed(world_.catalogue.types(interface));
  }
  for (auto& word : words) word = with_article(word);
  const auto* named = names_.find(text);
  if (named) {
    world_.problems.error("wrong-kind",
                          place.text() + " wants " + join(words, " or ") + ", but " + backquoted(text) + " is " +
                              with_article(named->kind),
                          value.span,
                          hint.empty() ? (known.empty() ? "there is none yet" : "there is " + listed(known)) : hint);
    return;
  }
  world_.problems.error(
      "unknown-name",
      place.text() + " wants " + join(words, " or ") + ", and nothing is named " + backquoted(printable(text)),
      value.span, hint.empty() ? suggestion(text, known, "there is none yet") : hint);
}

}  // namespace xp::recipe
