#pragma once
// Documents in order, and examples by index. Splits, sampling, mixing, packing and batching are the framework's.
#include <functional>
#include <map>

#include "api/document.h"
#include "api/state.h"
#include "schema/component.h"

namespace xp {

/// One item before collation: plain values by field name.
struct Example {
  std::int64_t sample_id = 0;
  std::int64_t group_id = 0;
  std::string source = {};  ///< for mixing weights and losses by source
  std::map<std::string, Values, std::less<>> fields = {};

  /// Each throws Error, naming the fields there are, if the field is missing or of another kind.
  XP_API Ints& ints(std::string_view field);
  XP_API const Ints& ints(std::string_view field) const;
  XP_API const Floats& floats(std::string_view field) const;
  XP_API const Strings& strings(std::string_view field) const;
};

/// A field as collation sees it.
struct FieldSpec {
  std::string name;
  /// Fields of one axis have equal length and are padded together; "": one value per item; "ragged": kept as they
  /// are.
  std::string axis = "input";
  double pad = 0;
};

/// "data_source": documents with structure, in the same order every time.
class XP_API DataSource : public Component {
 public:
  static constexpr const char* kInterface = "data_source";
  ~DataSource() override;
  virtual void for_each(const std::function<void(const Document&)>& visit) const = 0;
  /// Changes when any document changes, and how often it counts.
  virtual std::string fingerprint() const = 0;
};

/// "dataset": groups of examples by index. An ungrouped dataset has groups of one. Safe to read from any thread.
class XP_API Dataset : public Component {
 public:
  static constexpr const char* kInterface = "dataset";
  ~Dataset() override;
  virtual std::int64_t size() const = 0;                           ///< in groups
  virtual std::vector<Example> get(std::int64_t index) const = 0;  ///< members adjacent, in their order
  virtual std::string split(std::int64_t index) const;             ///< as Document::split; empty by default
  virtual std::vector<FieldSpec> fields() const = 0;
  virtual std::string fingerprint() const = 0;
};

}  // namespace xp
