"""check-layers on scratch trees: one that is right, and one per arrow that must be refused."""

import unittest

from scratch import TOOLS, ScratchTest

RIGHT = {
    "framework/base/error.h": "#pragma once\n#include <string>\n",
    "framework/base/log.cpp": "#include <spdlog/spdlog.h>\n",
    "framework/schema/value.h": '#include "base/error.h"\n',
    "framework/plugin/plugin.h": '#include <boost/dll/alias.hpp>\n#include "schema/value.h"\n',
    "framework/recipe/parser.cpp": '#include <toml++/toml.h>\n#include "plugin/plugin.h"\n',
    "framework/results/hdf5.h": "#include <hdf5.h>\n",
    "framework/results/record.h": '#include "api/recorder.h"\n',
    "framework/api/recorder.h": "#include <string>\n",
    "framework/results/store.cpp": '#include "results/hdf5.h"\n',
    "framework/api/tensor.h": "#include <ATen/core/Tensor.h>\n",
    "framework/api/torch_batch.cpp": "#include <ATen/ops/cat.h>\n",
    "framework/api/model.h": '#include "api/tensor.h"\n#include "schema/value.h"\n',
    "framework/kit/losses.cpp": '#include <ATen/ops/exp.h>\n#include "api/model.h"\n',
    "framework/engine/open.h": '#include "recipe/plan.h"\n',
    "framework/recipe/plan.h": '#include "base/error.h"\n',
    "framework/testing/models.h": '#include "api/model.h"\n',
    "plugins/models/transformer.cpp": '#include <ATen/ops/add.h>\n#include "plugin/plugin.h"\n',
    "plugins/models/transformer_test.cpp": '#include "testing/models.h"\n',
    "plugins/models/large/parts.h": '#include "kit/masking.h"\n',
    "plugins/models/large/main.cpp": '#include "parts.h"\n',
    "tools/xp/run.cpp": '#include "engine/open.h"\n#include "recipe/plan.h"\n',
    "tools/xp/new.cpp": 'auto text = R"x(\n#include "api/model.h"\n)x";\n/*\n#include <torch/torch.h>\n*/\n',
}


class CheckLayers(ScratchTest):
    def check(self, **changed):
        for name, text in {**RIGHT, **changed}.items():
            self.write(name, text)
        return self.run_tool(TOOLS / "check-layers", "--root", self.scratch)

    def refused(self, name, text, *parts):
        status, out, _ = self.check(**{name: text})
        self.assertEqual(status, 1, out)
        self.assertEqual(len(out.splitlines()), 1, out)
        for part in parts:
            self.assertIn(part, out)

    def test_right_tree_passes(self):
        status, out, err = self.check()
        self.assertEqual((status, out), (0, ""))
        self.assertIn(f"{len(RIGHT)} files", err)

    def test_empty_tree_is_no_success(self):
        self.assertEqual(self.run_tool(TOOLS / "check-layers", "--root", self.scratch)[0], 2)

    def test_layers(self):
        for name, included, arrow in [
            ("framework/base/a.h", "schema/value.h", "base -> schema"),
            ("framework/schema/a.cpp", "plugin/plugin.h", "schema -> plugin"),
            ("framework/plugin/a.cpp", "recipe/plan.h", "plugin -> recipe"),
            ("framework/api/a.h", "kit/masking.h", "api -> kit"),
            ("framework/api/a.h", "plugin/plugin.h", "api -> plugin"),
            ("framework/kit/a.h", "plugin/plugin.h", "kit -> plugin"),
            ("framework/results/a.h", "recipe/plan.h", "results -> recipe"),
            ("framework/engine/a.cpp", "sweep/axes.h", "engine -> sweep"),
            ("plugins/models/a.cpp", "engine/open.h", "plugins -> engine"),
            ("plugins/models/a.cpp", "recipe/plan.h", "plugins -> recipe"),
            ("plugins/models/a.cpp", "results/hdf5.h", "plugins -> results"),
            ("plugins/models/a.cpp", "testing/models.h", "plugins -> testing"),
            ("framework/base/a.h", "../schema/value.h", "base -> schema"),
            ("framework/base/a.h", "framework/schema/value.h", "base -> schema"),
        ]:
            with self.subTest(arrow):
                self.refused(name, f'#pragma once\n\n#include "{included}"\n', f"{name}:3: {arrow} (")
                (self.scratch / name).unlink()

    def test_another_plugin(self):
        text = '#include "plugins/models/large/parts.h"\n'
        self.refused("plugins/models/a.cpp", text, "plugins/models/a.cpp:1: plugins -> plugins/models/large/parts.h")

    def test_unknown_layer(self):
        self.refused("framework/misc/a.h", "\n", "framework/misc/a.h:1:", "no layer `misc`")

    def test_libraries(self):
        for name, included, library in [
            ("framework/api/model.h", "torch/torch.h", "LibTorch"),
            ("framework/base/a.h", "c10/util/Half.h", "LibTorch"),
            ("framework/engine/a.cpp", "toml++/toml.h", "toml++"),
            ("framework/recipe/a.h", "toml++/toml.h", "toml++"),
            ("framework/results/store.cpp", "hdf5.h", "HDF5"),
            ("framework/plugin/registry.cpp", "boost/dll/shared_library.hpp", "Boost.DLL"),
            ("plugins/models/a.cpp", "fmt/format.h", "spdlog"),
            ("framework/base/log.h", "spdlog/spdlog.h", "spdlog"),
        ]:
            with self.subTest(f"{name} {included}"):
                old = RIGHT.get(name, "")
                self.refused(name, f"#include <{included}>\n", f"{name}:1:", f"-> {library} (")
                self.write(name, old)

    def test_torch_through_a_header(self):
        self.refused(
            "framework/engine/open.h",
            '#include "api/model.h"\n',
            "tools/xp/run.cpp:1: tools/xp -> LibTorch",
            "framework/engine/open.h -> framework/api/model.h -> framework/api/tensor.h",
        )
        self.refused(
            "framework/api/recorder.h",
            '#include "api/tensor.h"\n',
            "framework/results/record.h:1: results -> LibTorch",
        )


if __name__ == "__main__":
    unittest.main()
