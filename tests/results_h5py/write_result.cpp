// Writes one result file for read_with_h5py.py.
#include <cstdio>

#include "../results/support.h"
#include "base/error.h"

int main(int count, char** arguments) try {
  using namespace xp;
  using namespace xp::test;
  if (count != 2) throw Error("one argument is wanted: the file to write");
  const Scratch scratch;
  Cache cache(scratch.path());
  const auto digest = digest_of("tuned");
  make_entry(cache, digest, 3000);
  const auto plan =
      plan_of({{"ofa", 0, {{"tuned[duplicates]", digest}}}, {"separate[0]", 0, {{"tuned[duplicates]", digest}}}});
  RunLog run(scratch.path(), "trial", new_run_id(), {{"recipe", "name = \"trial\"\n"}}, plan);
  run.stage(digest, "done");
  fs::copy_file(run.close("done", cache), arguments[1]);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
