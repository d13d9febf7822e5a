#!/usr/bin/env python3
"""tools/publish on a recipe of seconds: the page, the list and the costs fit what was run."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from training import RECIPE, write_project

XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
PUBLISH = pathlib.Path(__file__).resolve().parent.parent.parent / "tools" / "publish"
MORE = """
[evaluator.quality]
type = "pseudo_likelihood"
data = "english:test"
[stage.score]
type  = "evaluate"
model = "pretrain"
with  = ["quality"]
[arm.much.stage.pretrain.objective]
mask_rate = 0.5
[arm.little]
[[claim]]
id       = "much_is_better"
metric   = "score.quality.bits"
better   = "lower"
arm      = "much"
baseline = "little"
"""


class Publish(unittest.TestCase):
    def publish(self, *arguments, code=0):
        done = subprocess.run([sys.executable, PUBLISH, "--xp", XP, *arguments], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_page_list_and_costs(self):
        with tempfile.TemporaryDirectory(prefix="xp-publish-") as name:
            folder = pathlib.Path(name)
            write_project(folder, RECIPE.replace('name    = "shared"', 'name    = "shared"\nsummary = "Masking more"\nseeds   = 2') + MORE)
            place = ["--results", str(folder / "results"), "--out", str(folder / "published")]
            self.publish(*place, str(folder / "shared.toml"))
            result = json.loads((folder / "published" / "shared.json").read_text())
            about, claim = result["about"], result["claims"][0]
            self.assertEqual((about["seeds"], about["stages"]), (2, 9))
            made = [json.loads(file.read_text()) for file in (folder / "results" / "cache").glob("*/manifest.json")]
            # Counts of words are made within a stage, in its time.
            made = [one for one in made if one["about"]["stage_type"] != "word_counts"]
            self.assertEqual(len(made), 9)
            self.assertAlmostEqual(about["work_seconds"], sum(one["seconds"] for one in made), delta=0.1)
            once = sum(one["seconds"] for one in made if one["about"]["stage_name"] == "tokens")
            self.assertGreater(about["estimated_seconds"], (about["work_seconds"] - once) / 2)
            page = (folder / "published" / "shared.md").read_text()
            self.assertIn(f"{claim['outcome']}  much_is_better", page)
            self.assertIn("score.quality.bits", page)
            row = (folder / "published" / "README.md").read_text().splitlines()[-1]
            self.assertTrue(row.startswith(f"| [shared](shared.md) | much_is_better | {claim['outcome']} | "), row)
            # Asked again nothing runs, and the estimate stays the one from before.
            self.publish(*place, str(folder / "shared.toml"))
            again = json.loads((folder / "published" / "shared.json").read_text())
            self.assertEqual(again["about"]["estimated_seconds"], about["estimated_seconds"])
            self.assertEqual(again["claims"], result["claims"])

    def test_refuses(self):
        self.assertIn("wants a recipe", self.publish(code=2).stderr)
        self.assertIn("ended with 2", self.publish("--results", tempfile.gettempdir(), "no_such.toml", code=1).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
