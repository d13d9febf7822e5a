#include "testing/conformance_schedule.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "api/optimizer.h"
#include "testing/conformance_component.h"

namespace xp::testing {

void check_schedule(const Registry& registry, const Table& settings) {
  check_component(registry, Schedule::kInterface, *settings.at("type").as<std::string>());
  INFO("schedule " << to_text(settings));
  const auto schedule = registry.make<Schedule>(settings), other = registry.make<Schedule>(settings);
  constexpr int kPlaces = 1000;
  std::vector<double> up, outside;
  for (int i = 0; i <= kPlaces; ++i) up.push_back(schedule->at(static_cast<double>(i) / kPlaces));
  for (const double factor : up)
    if (!std::isfinite(factor) || factor < 0 || factor > 1) outside.push_back(factor);
  CHECK(outside == std::vector<double>{});
  std::vector<double> down(up.size());
  for (int i = kPlaces; i >= 0; --i) down[static_cast<std::size_t>(i)] = other->at(static_cast<double>(i) / kPlaces);
  CHECK(down == up);
  constexpr double kNear = 1e-9, kStep = 1e-5;  // slopes up to 10000 pass, jumps do not
  CHECK(std::abs(schedule->at(kNear) - schedule->at(0)) < kStep);
  CHECK(std::abs(schedule->at(1 - kNear) - schedule->at(1)) < kStep);
}

}  // namespace xp::testing
