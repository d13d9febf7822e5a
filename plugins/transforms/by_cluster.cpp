// Replacements that learn from the detector which pairs of token clusters are hard to tell apart.
#include <algorithm>
#include <cmath>

#include "api/transform.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

using Row = std::vector<std::int64_t>;

constexpr std::int64_t kMost = 4096;  ///< clusters; counts are kept of all pairs

/// Clustered random token substitution (C-RTS; Di Liello et al. 2022, "Effective Pre-Training Objectives for
/// Transformer-based Autoencoders", section 3): a token of cluster a becomes a uniform token of cluster b, where b is
/// drawn from softmax(beta * minmax(counts[a])). counts[a][b] starts at 1, rises by 1 where the detector was wrong
/// about such a replacement and falls by 1 where it was right. A draw that gives back the original replaces nothing
/// and is not counted.
class ByCluster final : public xp::Transform {
 public:
  struct Listening {
    std::string topic = "detector_success";
    xp::Quantity delay = {8, xp::Unit::steps};
    static void describe(xp::Fields<Listening>& f) {
      f.add(&Listening::topic, "topic", "Message of the objective that says where it was right.");
      f.add(&Listening::delay, "delay", "Steps until a message counts.").units({xp::Unit::steps}).min(1);
    }
  };
  struct Params {
    xp::Reference clusters;
    double beta = 2;
    Listening feedback;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::clusters, "clusters", "Fitted artifact: the cluster of each token.")
          .artifact("statistics")
          .required();
      f.add(&Params::beta, "beta", "How strongly hard pairs are preferred; 0: all clusters are equally likely.")
          .min(0)
          .schedulable();
      f.add(&Params::feedback, "feedback", "What is listened to, and how late it arrives.");
      f.needs("field", "ids");
    }
  };
  explicit ByCluster(Params p) : p_(std::move(p)) {
    if (!(p_.beta >= 0)) throw xp::Error("`beta` is " + xp::number_text(p_.beta) + "; 0 or more is needed");
    const auto delay = p_.feedback.delay.amount;
    if (p_.feedback.delay.unit != xp::Unit::steps || delay < 1 || delay != std::floor(delay))
      throw xp::Error("`feedback.delay` is " + xp::to_text(p_.feedback.delay) +
                      "; a whole number of steps is needed, such as \"8 steps\"");
  }

  void start(const xp::Resources& resources) override {
    const auto& state = resources.artifact(p_.clusters.text);
    if (!state.has("cluster"))
      throw xp::Error(
          "artifact " + xp::backquoted(p_.clusters.text) + " has no `cluster`, which gives each token one",
          xp::Exit::data);
    of_ = state.ints("cluster").data;
    check(resources);
    if (const auto n = *std::max_element(of_.begin(), of_.end()) + 1; n > kMost)
      throw xp::Error("artifact " + xp::backquoted(p_.clusters.text) + " has " + std::to_string(n) +
                          " clusters; counts of pairs are kept for " + std::to_string(kMost) + " at most",
                      xp::Exit::data);
    members_.assign(static_cast<std::size_t>(*std::max_element(of_.begin(), of_.end()) + 1), {});
    for (std::size_t id = 0; id < of_.size(); ++id)
      if (of_[id] >= 0) members_[static_cast<std::size_t>(of_[id])].push_back(static_cast<std::int64_t>(id));
    for (std::size_t c = 0; c < members_.size(); ++c)
      if (members_[c].empty())
        throw xp::Error("cluster " + std::to_string(c) + " of artifact " + xp::backquoted(p_.clusters.text) +
                            " has no token; clusters are numbered without gaps",
                        xp::Exit::data);
    count_.assign(members_.size() * members_.size(), 1);
    weigh_all();
  }

  xp::FieldUse fields() const override {
    return {.reads = {"ids", "chosen"}, .writes = {{"substituted_ids", "input", 0}, {"cluster_pair", "input", -1}}};
  }

  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) {
      const auto &ids = item.ints("ids").data, &chosen = item.ints("chosen").data;
      if (chosen.size() != ids.size())
        throw xp::Error("field `chosen` has " + xp::count(chosen.size(), "value") + " for " +
                        xp::count(ids.size(), "token"));
      xp::Ints out{ids}, pair{Row(ids.size(), -1)};
      for (std::size_t t = 0; t < ids.size(); ++t) {
        if (!chosen[t]) continue;
        const auto from = cluster_of(ids[t]);
        const auto to = draw(from, random);
        const auto& tokens = members_[to];
        out.data[t] = tokens[static_cast<std::size_t>(random.below(std::ssize(tokens)))];
        if (out.data[t] != ids[t]) pair.data[t] = static_cast<std::int64_t>(from * members_.size() + to);
      }
      item.fields["substituted_ids"] = std::move(out), item.fields["cluster_pair"] = std::move(pair);
    }
  }

  std::vector<xp::Subscription> subscriptions() const override {
    return {{p_.feedback.topic, static_cast<std::int64_t>(p_.feedback.delay.amount), {"cluster_pair"}}};
  }

  void receive(const xp::Feedback& feedback) override {
    const auto &right = values(feedback, "right"), &pair = values(feedback, "cluster_pair");
    if (right.size() != pair.size())
      throw xp::Error("message " + xp::backquoted(feedback.topic) + " has " + xp::count(right.size(), "value") +
                      " in `right` for " + xp::count(pair.size(), "token"));
    std::vector<bool> touched(members_.size());
    for (std::size_t i = 0; i < pair.size(); ++i) {
      if (pair[i] < 0) continue;
      if (pair[i] >= std::ssize(count_))
        throw xp::Error("message " + xp::backquoted(feedback.topic) + " names the pair " + std::to_string(pair[i]) +
                        "; there are " + std::to_string(count_.size()));
      count_[static_cast<std::size_t>(pair[i])] += right[i] ? -1 : 1;
      touched[static_cast<std::size_t>(pair[i]) / members_.size()] = true;
    }
    for (std::size_t a = 0; a < touched.size(); ++a)
      if (touched[a]) weigh(a);
  }

  void set(std::string_view parameter, double value) override {
    if (parameter != "beta") return;
    p_.beta = value;
    weigh_all();
  }

  void save(xp::State& state) const override {
    const auto n = std::ssize(members_);
    state.set("count", xp::Ints{count_, {n, n}});
  }
  void load(const xp::State& state) override {
    const auto& saved = state.ints("count");
    if (saved.data.size() != count_.size())
      throw xp::Error("the saved counts are of " + std::to_string(saved.data.size()) +
                          " pairs of clusters; artifact " + xp::backquoted(p_.clusters.text) + " has " +
                          std::to_string(count_.size()),
                      xp::Exit::data);
    count_ = saved.data;
    weigh_all();
  }

 private:
  void check(const xp::Resources& resources) const {
    const auto name = xp::backquoted(p_.clusters.text);
    if (std::ssize(of_) != resources.vocab_size() || of_.empty())
      throw xp::Error("artifact " + name + " knows " + xp::count(of_.size(), "token") + ", the tokenizer has " +
                          std::to_string(resources.vocab_size()) + "; fit it with the same tokenizer",
                      xp::Exit::data);
    for (std::size_t id = 0; id < of_.size(); ++id)
      if ((of_[id] >= 0) != resources.is_text(static_cast<std::int64_t>(id)) || of_[id] >= std::ssize(of_))
        throw xp::Error("artifact " + name + " gives token " + std::to_string(id) + " the cluster " +
                            std::to_string(of_[id]) +
                            "; text needs one below the number of tokens, reserved ids have -1",
                        xp::Exit::data);
  }

  std::size_t cluster_of(std::int64_t id) const {
    if (id < 0 || id >= std::ssize(of_) || of_[static_cast<std::size_t>(id)] < 0)
      throw xp::Error("token " + std::to_string(id) + " is chosen and has no cluster; only text can be replaced");
    return static_cast<std::size_t>(of_[static_cast<std::size_t>(id)]);
  }

  std::size_t draw(std::size_t from, xp::RandomStream& random) const {
    const auto row = std::span(rising_).subspan(from * members_.size(), members_.size());
    const auto at = std::upper_bound(row.begin(), row.end(), random.uniform() * row.back()) - row.begin();
    return std::min(static_cast<std::size_t>(at), row.size() - 1);  // the product may round up to the sum
  }

  void weigh_all() {
    rising_.resize(count_.size());
    for (std::size_t a = 0; a < members_.size(); ++a) weigh(a);
  }
  void weigh(std::size_t a) {
    const auto n = members_.size();
    const auto row = std::span(count_).subspan(a * n, n);
    const auto [low, high] = std::minmax_element(row.begin(), row.end());
    const auto range = static_cast<double>(std::max<std::int64_t>(*high - *low, 1));
    double sum = 0;
    for (std::size_t b = 0; b < n; ++b)
      rising_[a * n + b] = sum += std::exp(p_.beta * static_cast<double>(row[b] - *high) / range);
  }

  static const Row& values(const xp::Feedback& feedback, std::string_view name) {
    const auto found = feedback.values.find(name);
    const auto* ints = found == feedback.values.end() ? nullptr : std::get_if<xp::Ints>(&found->second);
    if (!ints)
      throw xp::Error("message " + xp::backquoted(feedback.topic) + " has no integers " + xp::backquoted(name) +
                      "; a detector's message has `right` for each token");
    return ints->data;
  }

  Params p_;
  Row of_;                      ///< cluster of each token, -1 for reserved ids
  std::vector<Row> members_;    ///< tokens of each cluster
  Row count_;                   ///< [clusters, clusters]
  std::vector<double> rising_;  ///< sums along each row of what a draw weighs
};

}  // namespace

XP_PLUGIN(by_cluster) {
  registry.add<ByCluster>("by_cluster", "Chosen tokens become one of a cluster that the detector finds hard.");
}
