#pragma once
// Rows of a new vocabulary from those of an old one.
#include <functional>

#include "api/tokenizer.h"

namespace xp {

class Handle;
struct Checkpoint;
struct Parameters;

struct MixPart {
  TokenId source = 0;
  double weight = 0;
};

/// One target row: a weighted sum of source rows, or numbers by table role, and the rule that set it.
struct MixRow {
  bool set = false;
  double uniform = 0;  ///< weight of the mean of all source rows, which `parts` does not list
  std::vector<MixPart> parts = {};
  std::map<std::string, std::vector<MixPart>, std::less<>> role_parts = {};  ///< of roles that do not mix by `parts`
  std::map<std::string, std::vector<float>, std::less<>> dense = {};         ///< by role, e.g. "vocab.input"
  std::string rule = {};  ///< "copy", "similarity", "pieces", "random", ...
  std::string note = {};  ///< why a fallback was used; empty: the method's own rule

  /// What tables of `role` mix the row from, beside the mean.
  XP_API const std::vector<MixPart>& parts_for(std::string_view role) const;
};

/// Each target row as data: written to the ledger, then applied to every table with role "vocab.*".
class XP_API MixPlan {
 public:
  MixPlan(std::int64_t source_size, std::int64_t target_size);
  std::int64_t source_size() const { return source_size_; }
  std::int64_t target_size() const { return static_cast<std::int64_t>(rows_.size()); }

  std::vector<TokenId> open_rows() const;  ///< not set yet, in order
  /// Throws Error if the row is set, out of range, has no part, a part out of range, or a weight that is not finite.
  void set_row(TokenId row, std::vector<MixPart> parts, std::string_view rule, std::string_view note = {});
  /// How tables of `role` mix a row that set_row() set, where they do not mix by its parts. Throws Error as set_row.
  void set_role_parts(TokenId row, std::string_view role, std::vector<MixPart> parts);
  /// `role` is the table that the numbers are for; a row may be given for several roles, each once.
  void set_dense_row(TokenId row, std::string_view role, std::span<const float> numbers, std::string_view rule,
                     std::string_view note = {});
  /// `weight` times the mean of all source rows, and `parts` beside it. Throws Error as set_row, but without parts.
  void set_uniform_row(TokenId row, std::string_view rule, std::string_view note = {}, double weight = 1,
                       std::vector<MixPart> parts = {});
  const std::vector<MixRow>& rows() const { return rows_; }

 private:
  MixRow& at(TokenId row);
  MixRow& open(TokenId row);
  void check_parts(TokenId row, const std::vector<MixPart>& parts, std::string_view rule) const;
  std::int64_t source_size_;
  std::vector<MixRow> rows_;
};

/// Another model: its rows say how near tokens are, or what its objective learnt predicts rows.
struct Donor {
  const Encoder& tokenizer;
  const Checkpoint& checkpoint;
};

/// What an initializer may look at. Pointers are null unless the recipe provides the thing.
struct VocabSetting {
  const Encoder& source;
  const Encoder& target;
  const Parameters* weights = nullptr;  ///< the source model's; tables by role "vocab.*"
  const State* vectors = nullptr;       ///< static word vectors, of both sides, or of the new one alone where
                                        ///< there are `source_vectors`
  const DataSource* corpus = nullptr;
  Handle* subject = nullptr;     ///< the source model, for contextual averages
  RandomStreams random;          ///< draw per token: random.stream(0, token), so that no order matters
  const Donor* donor = nullptr;  ///< the model that VocabInitializer::donor() names
  const State* source_vectors = nullptr;
  const State* translations = nullptr;  ///< words of both languages: "source", "target" (strings), "counts" (ints)
  /// Listens on the way of long work, and may throw to end it. Empty: nobody listens; call progressed().
  std::function<void(double done, double total, std::string_view what)> progress = {};

  void progressed(double done, double total, std::string_view what) const {
    if (progress) progress(done, total, what);
  }
};

/// A table as coordinates [rows, rank] times primitives [rank, width], row-major.
struct Factorisation {
  std::int64_t rank = 0;
  std::vector<float> coordinates, primitives;
};

/// "vocab_initializer". Sets open rows only, so initializers chain; what stays open is the next one's. Rows that both
/// vocabularies share are copied by the framework before, when the recipe asks for it.
class XP_API VocabInitializer : public Component {
 public:
  static constexpr const char* kInterface = "vocab_initializer";
  ~VocabInitializer() override;
  virtual void plan(const VocabSetting& setting, MixPlan& plan) = 0;
  /// The source's input table as a product, if the new one is to be kept so; rows of the plan then mix coordinates,
  /// and the model gets Model::factorised(rank). None by default.
  virtual std::optional<Factorisation> factorise(const VocabSetting& setting);
  /// True if plan() reads VocabSetting::vectors; then the stage needs `vectors`.
  virtual bool wants_vectors() const { return false; }
  /// Which tokens of both vocabularies are the same for this method: match levels, none for specials alone. Nothing:
  /// as the stage says.
  virtual std::optional<Strings> match() const { return std::nullopt; }
  /// The model that plan() reads as VocabSetting::donor; null if it reads none.
  virtual const Reference* donor() const { return nullptr; }
};

}  // namespace xp
