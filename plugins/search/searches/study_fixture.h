#pragma once
// Studies for tests of searches: axes by hand, a sweep's calls, replay.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <deque>
#include <functional>

#include "api/search.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace xp::fixture {

using Goal = std::function<double(const Trial&)>;

inline SearchAxis listed(const std::string& key, List values) { return {.key = key, .values = std::move(values)}; }
inline SearchAxis zipped(const std::string& key, List values, const std::string& zip) {
  return {.key = key, .values = std::move(values), .zip = zip};
}
inline SearchAxis when(SearchAxis axis, const std::string& key, List values) {
  axis.when.push_back({key, std::move(values)});
  return axis;
}
inline SearchAxis range(const std::string& key, double low, double high) {
  return {.key = key, .low = low, .high = high};
}
inline SearchAxis log_range(const std::string& key, double low, double high) {
  return {.key = key, .low = low, .high = high, .logarithmic = true};
}
inline SearchAxis whole(SearchAxis axis) {
  axis.whole = true;
  return axis;
}

inline std::unique_ptr<Search> study(const Table& settings, std::vector<SearchAxis> axes, std::uint64_t seed = 1) {
  auto search = testing::registry().make<Search>(settings);
  search->start({.arm = "base", .axes = std::move(axes), .random = RandomStreams(seed)});
  return search;
}

/// "a=1 b=\"x\"".
inline std::string text(const Trial& trial) {
  std::string out;
  for (const auto& [key, value] : trial.values) out += (out.empty() ? "" : " ") + key + "=" + to_text(value);
  return out;
}

inline double number(const Trial& trial, const std::string& key) { return trial.values.at(key).number(); }

struct Call {
  std::optional<Trial> trial;  ///< proposed; else something is told
  TrialResult told = {};
};

/// Sweeps to the end with `pending` trials on their way; every seventh fails.
inline std::vector<Call> swept(Search& search, const Goal& goal, std::size_t pending = 3) {
  std::vector<Call> calls;
  std::deque<Trial> working;
  while (!search.finished() || !working.empty()) {
    const auto trial = search.propose();
    if (trial) {
      working.push_back(*trial);
      calls.push_back({trial});
    } else {
      REQUIRE_FALSE(working.empty());
    }
    if (trial && working.size() < pending) continue;
    const auto done = working.front();
    working.pop_front();
    calls.push_back({{}, {done.number, goal(done), done.number % 7 != 6, 1}});
    search.tell(calls.back().told);
  }
  return calls;
}

inline std::vector<Trial> trials(const std::vector<Call>& calls) {
  std::vector<Trial> out;
  for (const auto& call : calls)
    if (call.trial) out.push_back(*call.trial);
  return out;
}

/// The proposals of a whole sweep, told nothing but zeros.
inline std::vector<std::string> proposals(Search& search) {
  std::vector<std::string> out;
  for (const auto& trial : trials(swept(search, [](const Trial&) { return 0; }))) {
    CHECK(trial.number == static_cast<std::int64_t>(out.size()));
    out.push_back(text(trial));
  }
  CHECK(search.finished());
  CHECK_FALSE(search.propose());
  return out;
}

inline double bowl(const Trial& trial) {
  double sum = 0;
  for (const auto& [key, value] : trial.values)
    if (value.is_number()) sum += std::pow(value.number() - 0.3, 2);
  return sum;
}

/// A journal in place of the first half gives the same second half; a journal with another value is refused.
inline void check_replay(const Table& settings, const std::vector<SearchAxis>& axes) {
  const auto first = study(settings, axes);
  const auto calls = swept(*first, bowl);
  const auto again = study(settings, axes);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    INFO("call " << i);
    if (!calls[i].trial) {
      again->tell(calls[i].told);
    } else if (i < calls.size() / 2) {
      again->adopt(*calls[i].trial);
    } else {
      const auto trial = again->propose();
      REQUIRE(trial);
      CHECK(trial->number == calls[i].trial->number);
      CHECK(text(*trial) == text(*calls[i].trial));
    }
  }
  CHECK(again->finished());
  auto other = *calls.front().trial;
  other.values["another"] = 1;
  try {
    study(settings, axes)->adopt(other);
    FAIL("adopted");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::verdict);
  }
}

/// More trials leave the first as they were, and another seed does not.
inline void check_extension(Table settings, const std::vector<SearchAxis>& axes) {
  const auto texts = [&](std::int64_t most, std::uint64_t seed) {
    settings.insert_or_assign("trials", most);
    std::vector<std::string> out;
    for (const auto& trial : trials(swept(*study(settings, axes, seed), bowl, 1))) out.push_back(text(trial));
    CHECK(out.size() == static_cast<std::size_t>(most));
    return out;
  };
  const auto few = texts(10, 1), many = texts(20, 1);
  CHECK(std::equal(few.begin(), few.end(), many.begin()));
  CHECK(many != texts(20, 2));
}

/// The best of 60 trials on a smooth function of three axes, one of them logarithmic.
inline double best_of_sixty(Table settings, std::uint64_t seed) {
  settings.insert_or_assign("trials", 60);
  const auto search = study(settings, {range("a", 0, 1), range("b", -5, 5), log_range("c", 1e-5, 1e-2)}, seed);
  double best = 1e9;
  const auto goal = [&](const Trial& trial) {
    const double a = number(trial, "a") - 0.3, b = number(trial, "b") / 10 - 0.2;
    const double c = (std::log10(number(trial, "c")) + 3.2) / 3;
    const double value = a * a + 2 * b * b + c * c + 0.5 * a * b;
    best = std::min(best, value);
    return value;
  };
  while (const auto trial = search->propose()) search->tell({trial->number, goal(*trial), true, 1});
  return best;
}

/// Seeds of twenty at which the search ends better than random trials.
inline int wins_over_random(const Table& settings) {
  int wins = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    wins += best_of_sixty(settings, seed) < best_of_sixty({{"type", "random"}}, seed);
  return wins;
}

}  // namespace xp::fixture
