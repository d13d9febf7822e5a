#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/text.h"
#include "launch_fixture.h"
#include "plugin/child.h"
#include "testing/conformance_component.h"

namespace slurm_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using testing::Variable;
using testing::Workplace;

Table slurm(const Table& more) {
  Table out{{"type", "slurm"}};
  for (const auto& [key, value] : more) out.insert_or_assign(key, value);
  return out;
}

TEST_CASE("slurm describes itself") { testing::check_component(testing::registry(), "launcher", "slurm"); }

TEST_CASE("slurm: without sbatch it says so and leaves the script") {
  const Workplace place;
  const Variable nowhere("PATH", (place / "logs").string());
  const auto logs = (place / "logs").string();
  const LaunchRequest request{.command = {"/opt/xp", "worker", "it's", "a $b"}, .logs = logs, .name = "lr"};
  const std::atomic<bool> stop{false};
  const auto settings = slurm({{"workers", 3},
                               {"cores", 4},
                               {"memory", "8G"},
                               {"time", "1-12:00:00"},
                               {"partition", "long"},
                               {"account", "a \"b\\c\""},
                               {"dependency", "afterok:17"},
                               {"signal_seconds", 90},
                               {"options", List{"--exclusive", "--comment=#1 of 2"}}});
  try {
    testing::registry().make<Launcher>(settings)->launch(request, stop);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::plugin);
    CHECK_THAT(error.what(),
               ContainsSubstring("`sbatch` is not on the PATH; start the sweep where Slurm's commands are"));
  }
  const auto script = place.text("logs/sweep.sbatch");
  const auto head = script.substr(0, script.find("\n\n"));
  CHECK(head ==
        "#!/bin/bash\n"
        "# The workers of the sweep lr, one a task. Written by the launcher `slurm`.\n"
        "#SBATCH --job-name=lr\n"
        "#SBATCH --array=1-3\n"
        "#SBATCH --output=" +
            logs +
            "/worker-%a.log\n"
            "#SBATCH --open-mode=append\n"
            "#SBATCH --requeue\n"
            "#SBATCH --signal=B:TERM@90\n"
            "#SBATCH --cpus-per-task=4\n"
            "#SBATCH --mem=8G\n"
            "#SBATCH --time=1-12:00:00\n"
            "#SBATCH --partition=long\n"
            "#SBATCH --account=\"a \\\"b\\\\c\\\"\"\n"
            "#SBATCH --dependency=afterok:17\n"
            "#SBATCH --exclusive\n"
            "#SBATCH --comment=\"#1 of 2\"");
  CHECK(script.substr(head.size()) == R"sh(

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}

# Slurm warns this shell alone; the worker hears it from here, and is waited for.
told=
trap 'told=yes; kill -TERM "$!" 2>/dev/null' TERM
/opt/xp worker 'it'\''s' 'a $b' &
while kill -0 "$!" 2>/dev/null; do wait "$!"; done # a signal ends a wait early
wait "$!"
code=$?

# 75: stopped with a checkpoint. A job that is cancelled, or that Slurm itself puts back, is not RUNNING any more.
task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
if [ "$code" = 75 ] && [ "$told" = yes ] && [ "$(squeue --noheader --jobs="$task" --format=%T)" = RUNNING ]; then
  scontrol requeue "$task"
fi
exit "$code"
)sh");
}

TEST_CASE("slurm: the script hands the worker over as it is, passes the signal on and keeps the exit code") {
  const Workplace place;
  const std::atomic<bool> stop{false};
  const LaunchRequest request{
      .command =
          {"/bin/sh", "-c",
           "trap 'exit 75' TERM; printf '%s|' \"$@\" > arguments; kill -TERM $PPID; while :; do sleep 0.05; done",
           "sh", "it's", "", "a\nb", "$HOME `id` \"\\"},
      .logs = place / "logs",
      .name = "lr"};
  {
    const Variable nowhere("PATH", (place / "logs").string());
    CHECK_THROWS_AS(testing::registry().make<Launcher>(slurm({}))->launch(request, stop), Error);
  }
  const auto ran =
      run_child({"/bin/bash", "-c", "cd \"$1\" && exec bash logs/sweep.sbatch", "bash", (place / "logs/..").string()},
                std::chrono::minutes(1), 1000);
  CHECK(ran.code == 75);
  CHECK(place.text("arguments") == "it's||a\nb|$HOME `id` \"\\|");
}

TEST_CASE("slurm: options that are none, or that the launcher sets itself, are refused") {
  const auto make = [](const Table& more) { testing::registry().make<Launcher>(slurm(more)); };
  CHECK_THROWS_WITH(make({{"options", List{"-N1"}}}),
                    ContainsSubstring("`options` holds `-N1`; an option of sbatch begins with `--`"));
  CHECK_THROWS_WITH(make({{"options", List{"--exclusive", "--array=1-9"}}}),
                    ContainsSubstring("`options` sets `--array`, which is the launcher's own"));
  CHECK_THROWS_WITH(make({{"options", List{"--comment=a\n#SBATCH --array=1-9"}}}), ContainsSubstring("one line"));
  CHECK_THROWS_WITH(make({{"time", "1\n"}}), ContainsSubstring("one line"));
}

// What follows wants a Slurm that answers: tests/slurm starts one and asks for these by their tag.

TEST_CASE("slurm: an array of workers runs and its logs are where those of other launchers are", "[.][real_slurm]") {
  const Workplace place;
  const std::filesystem::path folder = place / "100% odd \"name\" #1";
  std::filesystem::create_directory(folder);
  auto request = place.request("echo worker $SLURM_ARRAY_TASK_ID has $OMP_NUM_THREADS");
  request.logs = folder;
  const std::atomic<bool> stop{false};
  testing::registry().make<Launcher>(slurm({{"workers", 3}, {"cores", 1}}))->launch(request, stop);
  CHECK(place.starts() == 3);
  for (const char* one : {"1", "2", "3"})
    CHECK(read_file(folder / ("worker-" + std::string(one) + ".log")) == "worker " + std::string(one) + " has 1\n");
}

TEST_CASE("slurm: one that is told to end queues again, and others go on", "[.][real_slurm]") {
  const Workplace place;
  place.launch(slurm({{"workers", 2}}),
               "[ $SLURM_ARRAY_TASK_ID = 1 ] || exit 3\n"
               "[ -n \"$SLURM_RESTART_COUNT\" ] && { echo again; exit 0; }\n"
               "trap 'echo left; exit 75' TERM\n"
               "scancel --signal=TERM --batch ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\n"
               "while :; do sleep 0.05; done");
  CHECK(place.starts() == 3);
  const auto log = place.text("logs/worker-1.log");
  CHECK_THAT(log, ContainsSubstring("left\n") && EndsWith("again\n"));
}

TEST_CASE("slurm: when all fail it says what the first one said", "[.][real_slurm]") {
  const Workplace place;
  CHECK_THROWS_WITH(place.launch(slurm({{"workers", 2}}), "echo of no use; exit 4"),
                    ContainsSubstring("all tasks ended without success: 2 failed; the log `" +
                                      (place / "logs/worker-1.log").string() + "` ends with: of no use"));
  CHECK_THROWS_WITH(place.launch(slurm({{"partition", "nowhere"}}), ""),
                    ContainsSubstring("sbatch did not take") && ContainsSubstring("partition"));
}

TEST_CASE("slurm: asked to stop, workers leave checkpoints, waiting ones never start, nothing is left",
          "[.][real_slurm]") {
  const Workplace place;
  place.launch_until(slurm({{"workers", 40}}),
                     "trap 'echo left; exit 75' TERM\n"
                     "touch ready\n"
                     "while :; do sleep 0.05; done",
                     "ready");
  CHECK(place.starts() >= 1);
  CHECK(place.starts() < 40);
  std::size_t left = 0;
  for (int i = 1; i <= 40; ++i)
    left += place.text("logs/worker-" + std::to_string(i) + ".log").find("left\n") != std::string::npos;
  CHECK(left == place.starts());
  const auto queue = run_child({"/bin/sh", "-c", "squeue --noheader"}, std::chrono::minutes(1), 1000);
  CHECK(queue.output.empty());
  CHECK(queue.code == 0);
}

}  // namespace slurm_test
