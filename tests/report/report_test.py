#!/usr/bin/env python3
"""`xp report` and `xp plot` on a real run; the report is opened in a real browser, which must ask for nothing and complain
of nothing. With XP_UPDATE_GOLDEN=1 its pictures in tests/golden/report are made anew, to be looked at. Without
Chromium only what needs no browser is tested."""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import browser

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
XP = str(pathlib.Path(sys.argv.pop(1)).resolve())
PARTS = ["runs", "claims", "tables", "figures", "arms", "numbers", "stages", "records", "recipe", "environment"]
MORE = """
[[claim]]
id       = "nothing_is_much_worse"
says     = "OFA loses no more than a tenth of a bit <script>alert(1)</script>"
metric   = "adapt.bits_per_byte.bits.final"
better   = "lower"
arm      = "ofa"
baseline = "random"
margin   = 0.5

[[figure]]
id    = "curves"
title = "Loss <script>alert(2)</script> & more"
x     = "adapt.tokens"
y     = "adapt.bits_per_byte.bits"

[[figure]]
id = "loss"
x  = "pretrain.steps"
y  = "pretrain.loss"
"""


def corpus(words, seed):
    draw = random.Random(seed)
    lines = []
    for number in range(120):
        lines += [f"::id {number}"] + [" ".join(draw.choice(words) for _ in range(25)) + "." for _ in range(2)] + [""]
    return "\n".join(lines) + "\n"


def setUpModule():
    """One run that all tests read."""
    global FOLDER
    FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="xp-report-"))
    unittest.addModuleCleanup(shutil.rmtree, FOLDER, True)
    (FOLDER / "xp.toml").write_text("")
    tiny = (ROOT / "tests" / "runs" / "tiny.toml").read_text()
    (FOLDER / "tiny.toml").write_text(tiny.replace("seeds   = 2", "seeds   = 6") + MORE)
    (FOLDER / "en.txt").write_text(corpus("ship wave sail port cow field barn milk".split(), 1))
    (FOLDER / "fr.txt").write_text(corpus("navire vague voile port vache champ grange lait".split(), 2))
    xp("run", "tiny.toml", "-q")


def xp(*arguments, code=0):
    done = subprocess.run(["xp", *arguments], executable=XP, cwd=FOLDER, capture_output=True, text=True, timeout=600)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout if code == 0 else done.stderr


class Files(unittest.TestCase):
    def test_the_page_lies_beside_the_result_and_is_one_file(self):
        page = pathlib.Path(xp("report", "tiny").strip())
        self.assertEqual(page.parent, FOLDER / "results" / "tiny")
        self.assertTrue(page.with_suffix(".h5").exists())
        self.assertEqual(xp("report", str(page.with_suffix(".h5")), "-o", "again.html"), "again.html\n")
        self.assertEqual((FOLDER / "again.html").read_bytes(), page.read_bytes())
        self.assertEqual(json.loads(xp("report", "tiny", "-o", "again.html", "--json")), {"file": "again.html"})
        self.assertIn("is a folder; name a file", xp("report", "tiny", "-o", ".", code=2))

    def test_plot_draws_svg_png_and_pdf(self):
        self.assertEqual(len(xp("plot", "tiny").splitlines()), 2)
        own = ["plot", "tiny", "--x", "adapt.tokens", "--y", "adapt.loss"]
        if not (pathlib.Path(XP).parent / "xp-draw").exists():
            self.assertIn("draws SVG only", xp(*own, "-o", "one.png", code=1))
            return
        self.assertEqual(xp(*own, "-o", "one.png"), "one.png\n")
        picture = (FOLDER / "one.png").read_bytes()
        self.assertEqual(struct.unpack(">II", picture[16:24])[0], 2 * 760)
        xp(*own, "-o", "wide.png", "--width", "1000")
        self.assertEqual(struct.unpack(">II", (FOLDER / "wide.png").read_bytes()[16:24])[0], 2000)
        xp(*own, "-o", "one.pdf"), xp(*own, "-o", "two.pdf")
        paper = (FOLDER / "one.pdf").read_bytes()
        self.assertTrue(paper.startswith(b"%PDF-"))
        self.assertEqual(paper, (FOLDER / "two.pdf").read_bytes())
        xp("plot", "tiny", "--format", "pdf", "-o", "papers")
        self.assertEqual(sorted(p.name for p in (FOLDER / "papers").iterdir()), ["curves.pdf", "loss.pdf"])
        self.assertIn("-o names one file", xp("plot", "tiny", "-o", "both.png", code=2))
        self.assertIn("ends with .png", xp(*own, "-o", "one.png", "--format", "pdf", code=2))
        self.assertIn("no figure `nothing`; it has `curves` and `loss`", xp("plot", "tiny", "--id", "nothing", code=2))


@unittest.skipUnless(browser.find(), "no Chromium is installed (Debian: chromium), and XP_CHROMIUM names none")
class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.page = pathlib.Path(xp("report", "tiny").strip())
        cls.browser = browser.Browser()
        cls.addClassCleanup(cls.browser.close)

    def opened(self, page, **how):
        """Opens a page and checks that it is alone in the world and that the browser has nothing to say about it."""
        events = self.browser.open(page, **how)
        asked = [e["params"]["request"]["url"] for e in events if e.get("method") == "Network.requestWillBeSent"]
        self.assertEqual([url for url in asked if not url.startswith("data:")], [page.resolve().as_uri()])
        said = [e["params"] for e in events if e.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")]
        self.assertEqual(said, [])

    def golden(self, name, height=None):
        self.browser.value("document.querySelectorAll('#runs th').forEach(t => { if (t.innerText == 'host') "
                           "[...t.parentNode.cells].slice(1).forEach(c => c.innerText = 'here') })")
        picture = self.browser.picture(height)
        self.assertTrue(picture.startswith(b"\x89PNG"))
        if os.environ.get("XP_UPDATE_GOLDEN"):
            (ROOT / "tests" / "golden" / "report" / (name + ".png")).write_bytes(picture)

    def test_nothing_is_asked_for_and_every_part_is_there(self):
        self.opened(self.page)
        self.assertEqual(self.browser.value("[...document.querySelectorAll('section')].map(s => s.id)"), PARTS)
        self.assertEqual(self.browser.value("document.querySelectorAll('script').length"), 0)
        self.assertEqual(self.browser.value("document.querySelectorAll('figure svg').length"), 2)
        self.assertEqual(self.browser.value("document.querySelectorAll('article.claim').length"), 2)
        self.assertEqual(self.browser.value("document.querySelectorAll('svg.dots circle').length"), 12)
        self.assertIn("OFA loses no more than a tenth of a bit <script>", self.browser.value("document.body.innerText"))
        self.assertEqual(self.browser.value(
            "[...document.querySelectorAll('nav a')].filter(a => !document.querySelector(a.getAttribute('href'))).length"), 0)

    def test_it_reads_the_same_without_scripts(self):
        self.opened(self.page)
        with_scripts = self.browser.text()
        self.opened(self.page, scripts=False)
        self.assertEqual(self.browser.text(), with_scripts)

    def test_light_dark_phone_and_paper(self):
        self.opened(self.page)
        light = self.browser.value("getComputedStyle(document.body).backgroundColor")
        self.golden("light", 2400)
        self.opened(self.page, dark=True)
        self.assertNotEqual(self.browser.value("getComputedStyle(document.body).backgroundColor"), light)
        self.golden("dark", 2400)
        self.opened(self.page, width=390, height=844)
        self.assertLessEqual(self.browser.value("document.documentElement.scrollWidth"), 390)
        self.golden("phone", 2400)
        self.opened(self.page, media="print", dark=True)
        self.assertEqual(self.browser.value("getComputedStyle(document.querySelector('nav')).display"), "none")
        self.assertEqual(self.browser.value("getComputedStyle(document.body).backgroundColor"), light)

    def test_a_run_at_work_and_the_same_run_killed(self):
        journals = FOLDER / "results" / "tiny"
        command = ["xp", "run", "tiny.toml", "-q", "--set", 'stage.pretrain.stop="1000000 steps"']
        run = subprocess.Popen(command, executable=XP, cwd=FOLDER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 120
            page = FOLDER / "open.html"
            while "Values at the right end" not in (page.read_text() if page.exists() else ""):  # of the first curve
                self.assertLess(time.monotonic(), until)
                self.assertIsNone(run.poll())
                time.sleep(0.2)
                for journal in journals.glob("*.journal"):
                    xp("report", str(journal), "-o", str(page))
            self.opened(page)
            self.assertIn("This run is still at work", self.browser.value("document.body.innerText"))
        finally:
            run.kill()
            run.wait()
        xp("report", str(next(journals.glob("*.journal"))), "-o", str(page))
        self.opened(page)
        self.assertIn("The process of this run is gone", self.browser.value("document.body.innerText"))
        self.assertEqual(self.browser.value("document.querySelectorAll('figure').length"), 2)
        xp("repair")
        shutil.rmtree(FOLDER / "results" / "cache" / ".work", True)
        newest = max(journals.glob("*.h5"))
        self.assertNotEqual(newest, self.page.with_suffix(".h5"))
        newest.unlink()

    def test_two_results(self):
        xp("run", "tiny.toml", "-q", "--set", "arm.ofa.stage.transfer.initializer.temperature=0.5", "--seed", "0")
        files = sorted((FOLDER / "results" / "tiny").glob("*.h5"))
        self.assertEqual(len(files), 2)
        page = FOLDER / xp("report", *map(str, files)).strip()
        self.opened(page)
        self.assertIn("transfer.initializer.temperature", self.browser.value("document.querySelector('#arms').innerText"))
        self.golden("two", 2400)
        files[-1].unlink()
        page.unlink()


if __name__ == "__main__":
    unittest.main(verbosity=2)
