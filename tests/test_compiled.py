"""Machine code on disk follows the sources, also when a kernel in another file changes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import sim_envs.compiled


def answer(folder: Path) -> tuple[int, int]:
    """What the kernel of the small package says, and how many compiled versions its calls had to make."""
    program = "import outer; print(outer.outer(1), sum(outer.outer.stats.cache_misses.values()))"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    value, misses = done.stdout.split()
    return int(value), int(misses)


def test_a_change_in_a_kernel_called_from_another_file_is_not_missed(tmp_path: Path) -> None:
    shutil.copy(sim_envs.compiled.__file__, tmp_path / "compiled.py")
    (tmp_path / "inner.py").write_text("from compiled import kernel\n\n@kernel\ndef inner(x):\n    return x + 1\n")
    (tmp_path / "outer.py").write_text(
        "from compiled import kernel\nfrom inner import inner\n\n@kernel\ndef outer(x):\n    return inner(x)\n"
    )
    assert answer(tmp_path) == (2, 1)
    assert answer(tmp_path) == (2, 0), "the second process takes the code from disk"
    (tmp_path / "inner.py").write_text("from compiled import kernel\n\n@kernel\ndef inner(x):\n    return x + 9\n")
    assert answer(tmp_path) == (10, 1)
    assert len(list((tmp_path / "__pycache__").glob("kernels-*"))) == 1
