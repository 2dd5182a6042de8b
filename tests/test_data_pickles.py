"""Pickles from elsewhere: what is data comes out as it went in, and nothing that is not data runs or passes."""

from __future__ import annotations

import codecs
import io
import operator
import os
import pickle
import struct
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nav_foundation.data.pickles import load_pickle, load_torch
from nav_foundation.data.schema import DataError

CONTENTS = {
    "position": np.random.default_rng(0).normal(size=(7, 2)), "yaw": np.linspace(-3, 3, 7, dtype=np.float32)[:, None],
    "backwards": np.arange(6).reshape(2, 3).T, "big": np.arange(4, dtype=">i2"), "names": np.array(["a", "bcd"]),
    "raw": np.array([b"x", b"yz"]), "empty": np.zeros((0, 2)), "truth": np.array([True, False]),
    "scalar": np.float64(1.5), "whole": np.int64(-3), "type": np.dtype("f4"), "deep": [(1, 2.5), {"x": None}, {3, 4}],
    "bytes": b"\x00\xff", "none": b"", "complex": 1 + 2j, "frozen": frozenset([1]), "long": 1 << 100, "text": "ä",
    "order": OrderedDict(a=1), "one": np.array(5.0),
}


def same(left: Any, right: Any) -> None:
    assert type(left) is (dict if isinstance(right, OrderedDict) else type(right))
    if isinstance(right, np.ndarray):
        assert left.dtype == right.dtype and left.shape == right.shape
        np.testing.assert_array_equal(left, right)
    elif isinstance(right, dict):
        assert list(left) == list(right)
        for key in right:
            same(left[key], right[key])
    else:
        assert left == right


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_come_out_as_they_went_in(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "traj_data.pkl"
    file.write_bytes(pickle.dumps(CONTENTS, protocol=protocol))
    same(load_pickle(file), CONTENTS)


def test_numpy_of_both_generations_is_read(tmp_path: Path) -> None:
    file = tmp_path / "traj_data.pkl"
    written = pickle.dumps({"yaw": np.arange(3.0), "x": np.float32(2)}, protocol=2)
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    assert new in written or old in written
    for name, other in ((new, old), (old, new)):
        file.write_bytes(written.replace(name, other))
        loaded = load_pickle(file)
        assert loaded["yaw"].tolist() == [0.0, 1.0, 2.0] and loaded["x"] == 2


def test_what_python_2_wrote_is_read(tmp_path: Path) -> None:
    raw = np.array([1.0, -2.0]).tobytes()
    state = b"(I1\n(I2\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nU\x10" + raw
    written = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR" + state + b"tb."
    (tmp_path / "old.pkl").write_bytes(written)
    assert load_pickle(tmp_path / "old.pkl").tolist() == [1.0, -2.0]


def test_shared_arrays_stay_shared_and_circles_end(tmp_path: Path) -> None:
    array, circle = np.zeros(3), [1]
    circle.append(circle)  # type: ignore[arg-type]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([array, array, circle]))
    one, other, again = load_pickle(tmp_path / "x.pkl")
    assert one is other and again[1] is again


class Runs:
    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


def payloads(marker: Path) -> dict[str, tuple[bytes, str]]:
    """Attacks that would leave `marker`, and the name that must be told."""
    from numpy.testing._private.utils import runstring

    touch = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w')"
    text = str(marker)
    named = {
        "posix.system": Runs(os.system, touch), "builtins.eval": Runs(eval, code), "builtins.exec": Runs(exec, code),
        "builtins.getattr": Runs(getattr, Runs(__import__, "os"), "system"), "_io.open": Runs(io.open, text, "w"),
        "subprocess.Popen": Runs(subprocess.Popen, ["touch", text]), "builtins.__import__": Runs(__import__, "os"),
        "numpy.testing._private.utils.runstring": Runs(runstring, code, {}), "numpy.memmap": Runs(np.memmap, text),
        "numpy.load": Runs(np.load, text, None, True), "operator.attrgetter": Runs(operator.attrgetter, "system"),
        "builtins.bytearray": Runs(bytearray, 1 << 60), "builtins.range": Runs(range, 1 << 60),
    }
    made = {name: (pickle.dumps({"position": attack}), name.rsplit(".", 1)[1]) for name, attack in named.items()}
    line = f"(S'{touch}'\n"
    made |= {
        "text protocol": (b"cos\nsystem\n" + f"{line}tR.".encode(), "os.system"),
        "instance": (f"(S'{touch}'\nios\nsystem\n.".encode(), "os.system"),
        "dotted": (b"\x80\x04\x8c\x05numpy\x8c\x0dos.system.attr\x93.".replace(b"\x0d", b"\x0e"), "numpy.os.system"),
        "dunder": (b"cnumpy\n__builtins__\n.", "numpy.__builtins__"), "codec": (b"c_codecs\ndecode\n.", "decode"),
        "extension": (b"\x82\x01.", ""), "persistent": (b"Ppath\n.", ""), "out of band": (b"\x80\x05\x97.", ""),
        "set on names": (b"cnumpy\ndtype\n}(S'dtype'\nI1\nsb.", ""), "bare name": (b"cnumpy\ndtype\n.", ""),
        "zip codec": (b"c_codecs\nencode\n(Vx\nVzip\ntR.", "zip"),
    }
    return made


@pytest.mark.parametrize("name", sorted(payloads(Path("/tmp/marker"))))
@pytest.mark.parametrize("kind", ["traj_data.pkl", "zipped.pth", "legacy.pth"])
def test_attacks_run_nothing_and_are_named(tmp_path: Path, name: str, kind: str) -> None:
    marker, file = tmp_path / "marker", tmp_path / kind
    payload, asked = payloads(marker)[name]
    if kind == "traj_data.pkl":
        file.write_bytes(payload)
    elif kind == "zipped.pth":
        zip_file(file, payload, {})
    else:
        file.write_bytes(legacy_header() + payload + pickle.dumps([], protocol=2))
    with pytest.raises(DataError) as error:
        (load_pickle if file.suffix == ".pkl" else load_torch)(file)
    assert not marker.exists()
    assert str(file) in str(error.value) and asked in str(error.value) and "\n" not in str(error.value)
    if asked and name != "zip codec":
        assert "nothing of it was run" in str(error.value)


def test_the_attacks_are_real(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for name in ("posix.system", "builtins.eval", "numpy.testing._private.utils.runstring", "text protocol"):
        pickle.loads(payloads(marker)[name][0])
        assert marker.exists(), name
        marker.unlink()


def test_names_of_one_file_leave_no_trace_in_the_next(tmp_path: Path) -> None:
    hostile = b"cnumpy\ndtype\nN}(S'_make'\nccollections\nOrderedDict\nS'__call__'\nI1\nu\x86b."
    (tmp_path / "hostile.pkl").write_bytes(hostile)
    with pytest.raises(DataError):
        load_pickle(tmp_path / "hostile.pkl")
    (tmp_path / "good.pkl").write_bytes(pickle.dumps(CONTENTS))
    same(load_pickle(tmp_path / "good.pkl"), CONTENTS)


BOMBS = {
    "array larger than its bytes": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
                                   b"(I1\n(I1000000000000\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntRI00\nS'x'\ntb.",
    "bytes": b"c__builtin__\nbytes\n(I1000000000000\ntR.", "wide type": b"cnumpy\ndtype\n(S'V1000000000000'\ntR.",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 45) + b"x.", "memo": b"Nr\xff\xff\xff\xff0j\xff\xff\xff\x7f.",
    "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 45) + b"x.", "frame": b"\x80\x04\x95" + b"\xff" * 8 + b"N.",
    "objects": pickle.dumps(np.array([None, 1], dtype=object)), "fields": pickle.dumps(np.zeros(2, dtype="i4,f8")),
    "deep key": b"}" + b")" + b"\x85" * 200_000 + b"Ns.",
    "deep member": b"\x80\x04\x8f(" + b")" + b"\x85" * 200_000 + b"\x90.",
    "deep marks": b"(" * 100_000 + b"t" * 100_000 + b".", "nested": b"}" + b"\x85" * 100_000 + b".",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_do_not_go_off(tmp_path: Path, name: str) -> None:
    import resource

    (tmp_path / "bomb.pkl").write_bytes(BOMBS[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"bomb\.pkl"):
        load_pickle(tmp_path / "bomb.pkl")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    whole, file = pickle.dumps({"position": np.zeros((3, 2)), "yaw": [0.5, 1]}), tmp_path / "traj_data.pkl"
    for end in range(len(whole)):
        file.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"traj_data\.pkl"):
            load_pickle(file)
    with pytest.raises(DataError, match="cannot be read"):
        load_pickle(tmp_path / "nothing.pkl")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_damage_gives_data_or_a_sentence(tmp_path: Path, place: int, byte: int) -> None:
    written = bytearray(pickle.dumps({"position": np.zeros((3, 2)), "yaw": [0.5, 1], "a": {"b": (1, "x")}}))
    written[place % len(written)] = byte
    (tmp_path / "x.pkl").write_bytes(bytes(written))
    told = ""
    try:
        load_pickle(tmp_path / "x.pkl")
    except DataError as error:
        told = str(error)
    assert not told or ("x.pkl" in told and "\n" not in told)


# --- torch ----------------------------------------------------------------------------------------------------------


class Stored:
    """A tensor for the pickler below: contents, and where in them it lies."""

    def __init__(self, key: str, kind: str, count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        self.key, self.kind, self.count, self.view = key, kind, count, (offset, shape, strides)


def torch_pickle(value: Any, legacy: bool, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What torch.save writes for a value, made with modules that only bear torch's names."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for module, name in ((utils, "_rebuild_tensor_v2"), (utils, "_rebuild_parameter")):
        function = types.FunctionType((lambda *args: None).__code__, {}, name)
        function.__module__, function.__qualname__ = module.__name__, name
        setattr(module, name, function)
    for name in ("FloatStorage", "LongStorage", "BFloat16Storage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    class Storage:
        def __init__(self, of: Stored) -> None:
            self.of = of

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if not isinstance(value, Storage):
                return None
            pid = ("storage", getattr(torch, value.of.kind), value.of.key, "cpu", value.of.count)
            return (*pid, None) if legacy else pid

        def reducer_override(self, value: Any) -> Any:
            if not isinstance(value, Stored):
                return NotImplemented
            return utils._rebuild_tensor_v2, (Storage(value), *value.view, False, OrderedDict())

    file = io.BytesIO()
    Pickler(file, protocol=2).dump(value)
    monkeypatch.undo()
    return file.getvalue()


def zip_file(path: Path, main: bytes, storages: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", main)
        archive.writestr("archive/byteorder", "little")
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return path


def legacy_header() -> bytes:
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    return b"".join(pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001, machine))


def state() -> tuple[Any, dict[str, bytes], dict[str, np.ndarray]]:
    numbers, counts = np.arange(12, dtype=np.float32), np.array([5, -6])
    halves = np.array([1.0, -2.5], np.float32)
    value = OrderedDict(
        weight=Stored("0", "FloatStorage", 12, 0, (3, 4), (4, 1)),
        turned=Stored("0", "FloatStorage", 12, 1, (2, 3), (1, 4)),
        count=Stored("1", "LongStorage", 2, 1, (), ()), half=Stored("2", "BFloat16Storage", 2, 0, (2,), (1,)),
    )
    value._metadata = OrderedDict()  # type: ignore[attr-defined]  # as state dicts have
    raw = {"0": numbers.tobytes(), "1": counts.tobytes(), "2": (halves.view(np.uint32) >> 16).astype("<u2").tobytes()}
    grid = numbers.reshape(3, 4)
    return value, raw, {"weight": grid, "turned": grid.T[1:3], "count": np.array(-6), "half": halves}


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_are_read_without_torch(tmp_path: Path, legacy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    value, raw, expected = state()
    main, file = torch_pickle({"epoch": 3, "model": value}, legacy, monkeypatch), tmp_path / "vint.pth"
    if legacy:
        tail = pickle.dumps(["2", "0", "1"], protocol=2)
        for key, size in (("2", 2), ("0", 4), ("1", 8)):
            tail += struct.pack("<q", len(raw[key]) // size) + raw[key]
        file.write_bytes(legacy_header() + main + tail)
    else:
        zip_file(file, main, raw)
    loaded = load_torch(file)
    assert loaded["epoch"] == 3 and list(loaded["model"]) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(loaded["model"][name], array)
    cut = file.read_bytes()
    for end in range(0, len(cut), 37):
        file.write_bytes(cut[:end])
        with pytest.raises(DataError, match=r"vint\.pth"):
            load_torch(file)


@pytest.mark.parametrize(
    "view", [(0, (1 << 20, 1 << 20), (0, 0)), (11, (2,), (1,)), (0, (2,), (-1,)), (-1, (1,), (1,))]
)
def test_tensors_beyond_their_storage_are_refused(tmp_path: Path, view: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    main = torch_pickle([Stored("0", "FloatStorage", 12, *view)], False, monkeypatch)
    with pytest.raises(DataError, match=r"x\.pth"):
        load_torch(zip_file(tmp_path / "x.pth", main, {"0": bytes(48)}))


def test_whole_modules_are_refused_by_name(tmp_path: Path) -> None:
    main = b"cvint_train.models.vint.vint\nViNT\n)\x81}b."
    with pytest.raises(DataError, match=r"vint\.pth asks to run vint_train\.models\.vint\.vint\.ViNT"):
        load_torch(zip_file(tmp_path / "vint.pth", main, {}))


def test_compressed_archives_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", codecs.encode("N.", "ascii") + bytes(10_000))
    with pytest.raises(DataError, match="compressed"):
        load_torch(tmp_path / "x.pth")
