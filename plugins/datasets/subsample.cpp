#include <algorithm>
#include <map>
#include <set>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// Documents of another source in their order: those whose groups come first by a hash of their names, as many whole
/// groups as `most` documents have room for. What fewer keep, more keep too, and no choice depends on the order.
class Subsample final : public DataSource {
 public:
  struct Params {
    std::unique_ptr<DataSource> of;
    std::int64_t most = 1, salt = 0;
    bool rest = false;
    std::vector<std::string> drop;
    static void describe(Fields<Params>& f) {
      f.add(&Params::of, "of", "Documents that are chosen from.").required();
      f.add(&Params::most, "most",
            "Documents to keep, over all splits; fewer where the next group, which is never cut, has more than are "
            "missing.")
          .min(1)
          .required();
      f.add(&Params::salt, "salt", "Another number chooses other documents.");
      f.add(&Params::rest, "rest", "Whether the others are given instead of those that are kept.");
      f.add(&Params::drop, "drop", "Fields taken off the documents, such as a label that nobody shall read.");
      // Fields and members of groups are those of `of`, so none is declared, which is read as not known. So are its
      // splits; where a column names them they may be called anything.
      for (const char* split : {"train", "dev", "test"})
        f.gives("split", split, "shares", {{"of.split_column", {"", "none"}}});
    }
  };
  explicit Subsample(Params params) : p_(std::move(params)) {
    if (!p_.of) throw Error("`of` is none; a source of documents is needed", Exit::usage);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    const auto kept = kept_groups();
    p_.of->for_each([&](const Document& document) {
      if (kept.contains(group_of(document)) == p_.rest) return;
      if (p_.drop.empty()) return visit(document);
      auto bare = document;
      for (const auto& field : p_.drop) bare.fields.erase(field);
      visit(bare);
    });
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("subsample").add(p_.of->fingerprint()).add(p_.most).add(p_.salt).add(p_.rest ? "rest" : "");
    for (const auto& field : std::set(p_.drop.begin(), p_.drop.end())) digest.add(field);
    return digest.hex();
  }

 private:
  using Groups = std::set<std::string, std::less<>>;

  /// As the framework sees it: a document without a group is its own.
  static const std::string& group_of(const Document& document) {
    return document.group.empty() ? document.id : document.group;
  }

  Groups kept_groups() const {
    std::map<std::string, std::int64_t> sizes;
    std::set<std::string> fields;
    std::int64_t all = 0;
    p_.of->for_each([&](const Document& document) {
      ++all, ++sizes[group_of(document)];
      if (!p_.drop.empty())
        for (const auto& [name, value] : document.fields) fields.insert(name);
    });
    if (p_.most > all)
      throw Error("`most` is " + std::to_string(p_.most) + ", and there " + (all == 1 ? "is " : "are ") +
                      count(static_cast<std::size_t>(all), "document"),
                  Exit::data);
    check_dropped(fields);
    auto kept = first_of(sizes);
    if (p_.rest && kept.size() == sizes.size())
      throw Error("`most` keeps all " + count(static_cast<std::size_t>(all), "document") + ", so `rest` has none",
                  Exit::data);
    return kept;
  }

  /// A name that no document has is a mistake that would leave the field to be read.
  void check_dropped(const std::set<std::string>& fields) const {
    for (const auto& name : p_.drop)
      if (!fields.contains(name))
        throw Error("no document has the field " + backquoted(name) + " of `drop`; " +
                        (fields.empty() ? "they have none" : "there is " + listed({fields.begin(), fields.end()})),
                    Exit::data);
  }

  Groups first_of(const std::map<std::string, std::int64_t>& sizes) const {
    const RandomStreams random(static_cast<std::uint64_t>(p_.salt), "subset of documents");
    std::vector<std::pair<std::uint64_t, std::string>> order;
    for (const auto& [group, size] : sizes) order.emplace_back(random.child(group).stream().next(), group);
    std::sort(order.begin(), order.end());
    Groups kept;
    auto room = p_.most;
    for (const auto& [key, group] : order) {
      // A later group that is small enough would not be in every larger choice.
      if (sizes.at(group) > room) break;
      room -= sizes.at(group), kept.insert(group);
    }
    if (kept.empty())
      throw Error("the first group, " + backquoted(order.front().second) + ", has " +
                      count(static_cast<std::size_t>(sizes.at(order.front().second)), "document") +
                      " and is not cut; `most` is " + std::to_string(p_.most) + ", raise it or change `salt`",
                  Exit::data);
    return kept;
  }

  Params p_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(subsample) {
  registry.add<xp::Subsample>("subsample", "Some documents of another source, or all but those, chosen by a hash.");
}
