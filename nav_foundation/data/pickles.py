"""Pickles of other people, opened so that nothing in them can run.

Only plain containers, numbers, texts and NumPy arrays come out. What a pickle may ask for are the few names below, and
what it gets are stand-ins of ours, which become arrays once all is read; every other name is refused. The stand-ins
never hand a pickle's bytes to NumPy's own `__setstate__`, and no array is larger than the bytes that the file holds.
Where whole modules are asked for (`shells`), every other name becomes a shell that holds state and does nothing.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nav_foundation.data.schema import DataError
from nav_foundation.data.shells import Foreign, Shell

_DTYPE = re.compile(r"[<>|=]?[biufcSU]\d{1,9}")
_DEEPEST = 100  # tuples within each other
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {  # torch's storage classes; bfloat16 has no NumPy type and is widened
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "LongStorage": "i8", "IntStorage": "i4",
    "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?", "BFloat16Storage": "bf2",
    "ComplexFloatStorage": "c8", "ComplexDoubleStorage": "c16",
}


class _Unfit(Exception):
    """Something in a file that is no plain data, in words."""


def load_pickle(path: Path) -> Any:
    """What a pickle file holds; a DataError names the file if it is broken or asks for more than data."""
    data = _read(path)
    return _unpickle(path, lambda: _plain(_Unpickler(io.BytesIO(data), path).load(), {}))


def load_torch(path: Path, *, shells: bool = False) -> Any:
    """What a file of torch.save (.pth, zipped or of the time before) holds, its tensors as arrays.

    With `shells`, objects of foreign classes come out as inert `Shell`s; without, a file that has any is refused.
    """
    with open_for_reading(path) as file:
        zipped = file.read(4) == b"PK\x03\x04"
    return _unpickle(path, lambda: _zipped(path, shells) if zipped else _legacy(path, shells))


def open_for_reading(path: Path) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def _read(path: Path) -> bytes:
    with open_for_reading(path) as file:
        return file.read()


def _unpickle(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except DataError:
        raise
    except _Unfit as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # a broken pickle breaks its reader in any way there is
        raise DataError(f"{path} is cut short, damaged, or no file of pickle or torch.save") from error


# --- stand-ins ------------------------------------------------------------------------------------------------------


class _Dtype:
    """numpy.dtype."""

    __slots__ = ("text",)

    def __init__(self, text: Any, *_: Any) -> None:
        text = text.decode("ascii") if isinstance(text, bytes) else text
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise _Unfit(f"arrays of {str(text)[:40]!r} are not read: numbers and texts are")
        self.text = text

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):  # a shape, names or fields
            raise _Unfit("arrays of structures are not read: numbers and texts are")
        if state[1] in ("<", ">"):
            self.text = state[1] + self.text.lstrip("<>|=")

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.text)


class _Array:
    """numpy.ndarray, whose contents come with its state."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        self.array = _array(raw, dtype, shape, "F" if fortran else "C")


class _Dict(dict[Any, Any]):
    """collections.OrderedDict. What its state adds, such as a state dict's `_metadata`, is not data."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Tensor:
    """A view of a storage, which may not have been read yet."""

    __slots__ = ("key", "kind", "offset", "shape", "strides")

    def __init__(self, storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> None:
        self.kind, self.key = storage
        self.offset, self.shape, self.strides = offset, tuple(shape), tuple(strides)

    def array(self, storages: dict[str, bytes]) -> np.ndarray:
        values = _values(storages[self.key], self.kind)
        numbers = [self.offset, *self.shape, *self.strides]
        if any(type(n) is not int or n < 0 for n in numbers) or len(self.shape) != len(self.strides):
            raise _Unfit("a tensor's shape makes no sense")
        if (count := math.prod(self.shape)) == 0:
            return np.zeros(self.shape if max(self.shape, default=0) < 1 << 31 else (0,), values.dtype)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides))
        if last >= len(values) or count > len(values):
            raise _Unfit("a tensor is larger than its storage")
        steps = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps).copy()


class _Maker:
    """What a pickle gets for a name; made anew for every file, as a pickle can set attributes of what it gets."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)


def _array(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    raw = raw.encode("latin1") if isinstance(raw, str) else raw  # of Python 2
    if not isinstance(dtype, _Dtype) or not isinstance(raw, (bytes, bytearray)):
        raise _Unfit("arrays of objects are not read: numbers and texts are")
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if any(type(n) is not int or n < 0 for n in shape) or math.prod(shape) * dtype.dtype.itemsize != len(raw):
        raise _Unfit(f"an array's shape {str(shape)[:60]} does not fit its {len(raw)} bytes")
    return np.frombuffer(raw, dtype.dtype).reshape(shape, order="F" if order == "F" else "C").copy()


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (), "C")[()]


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: str) -> _Array:
    made = _Array()
    made.array = _array(raw, dtype, shape, order)
    return made


def _encode(text: str, encoding: str = "") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _Unfit(f"bytes in the encoding {str(encoding)[:40]!r} are not read")
    return text.encode("latin1")


def _empty_bytes(*args: Any) -> bytes:
    if args and args != ("",):  # bytes(n) would make as many
        raise _Unfit("bytes of a number are not read")
    return b""


_Names = dict[str, Callable[..., Any]]
_NUMPY: dict[str, _Names] = {
    "numpy": {"ndarray": _Array, "dtype": _Dtype},
    "multiarray": {"_reconstruct": lambda *_: _Array(), "scalar": _scalar},
    "numeric": {"_frombuffer": _from_buffer},
}
_ALLOWED: dict[str, _Names] = {
    "numpy": _NUMPY["numpy"],
    **{f"numpy.{core}.{part}": _NUMPY[part] for core in ("core", "_core") for part in ("multiarray", "numeric")},
    "_codecs": {"encode": _encode},
    "collections": {"OrderedDict": _Dict},
    **{name: {"set": set, "frozenset": frozenset, "complex": complex, "bytes": _empty_bytes}
       for name in ("builtins", "__builtin__")},
}
_TORCH: dict[str, _Names] = {
    "torch._utils": {
        "_rebuild_tensor": _Tensor, "_rebuild_tensor_v2": _Tensor, "_rebuild_parameter": lambda tensor, *_: tensor,
        "_rebuild_parameter_with_state": lambda tensor, *_: tensor,
    },
    "torch": {"Size": list, "device": lambda *args: ":".join(map(str, args))},
}


def _shallow(load: Callable[[Any], None]) -> Callable[[Any], None]:
    def load_and_look(unpickler: _Unpickler) -> None:
        load(unpickler)
        unpickler.check_depth()

    return load_and_look


class _Unpickler(pickle._Unpickler):
    """Python's own, written in Python: its memory grows with the file alone, whatever lengths the file claims."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    read: Callable[[int], bytes]
    append: Callable[[Any], None]
    stack: list[Any]
    for _code in (pickle.EXT1, pickle.EXT2, pickle.EXT4):  # names by number, which would not be checked
        dispatch.pop(_code[0])
    for _code in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3):
        dispatch[_code[0]] = _shallow(dispatch[_code[0]])

    def __init__(self, file: io.BytesIO, path: Path, torch: bool = False, shells: bool = False) -> None:
        super().__init__(file, encoding="latin1")  # as Python 2's bytes need
        self._path, self._torch, self._shells = path, torch, shells
        self._makers: dict[tuple[str, str], Any] = {}
        self.kinds: dict[str, str] = {}  # of the storages that tensors lie in
        self._nested: dict[int, tuple[Any, int]] = {}  # tuples with tuples in them, and how deep they are

    def find_class(self, module: str, name: str) -> Any:
        if self._torch and module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        known = _ALLOWED.get(module, {}).get(name)
        if known is None and self._torch:
            known = _TORCH.get(module, {}).get(name)
        if known is None and self._shells:
            return Foreign(f"{module}.{name}")
        if known is None:
            asked = "".join(c if c.isprintable() else "?" for c in f"{module}.{name}")[:100]
            raise DataError(f"{self._path} asks to run {asked}: it may be malicious, and nothing of it was run")
        return self._makers.setdefault((module, name), _Maker(known))

    def persistent_load(self, pid: Any) -> Any:
        if self._shells and isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
            return pid[1]  # a class with its source code, as torch saved them before it zipped
        if not self._torch or not isinstance(pid, tuple) or pid[0] != "storage":
            raise DataError(f"{self._path} refers to something outside of it, which is not read")
        kind, key = pid[1:3]
        if kind not in _STORAGES.values():
            raise DataError(f"{self._path} has a tensor of a kind that is not read")
        self.kinds[str(key)] = kind
        return kind, str(key)

    def check_depth(self) -> None:
        """Python itself crashes when it hashes tuples that are nested too deeply."""
        made = self.stack[-1]
        inner = [self._nested.get(id(part), (part, 1))[1] for part in made if isinstance(part, tuple)]
        if inner:
            self._nested[id(made)] = made, 1 + max(inner)
            if max(inner) >= _DEEPEST:
                raise _Unfit("tuples nested that deeply are not read")

    def load_newobj(self) -> None:
        """Python's own would ask a class for `__new__`; ours are no classes, and are called."""
        args, made = self.stack.pop(), self.stack.pop()
        self.append(made(*args))

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_newobj_ex(self) -> None:
        kwargs, args, made = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.append(made(*args, *kwargs.values()))

    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex

    def load_bytearray8(self) -> None:
        (count,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(count)))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _plain(value: Any, done: dict[int, Any], storages: dict[str, bytes] | None = None) -> Any:
    """The value with its stand-ins replaced. `done` keeps what is shared shared, and ends cycles."""
    if id(value) in done:
        return done[id(value)]
    made: Any = value
    if isinstance(value, _Array):
        made = value.array
    elif isinstance(value, _Dtype):
        made = value.dtype
    elif isinstance(value, _Tensor):
        made = value.array(storages or {})
    elif isinstance(value, _Maker):
        raise _Unfit("a name without a value is not read")
    elif isinstance(value, Foreign):
        made = done[id(value)] = Shell(value.name)
        made.args = tuple(_plain(part, done, storages) for part in value.args)
        made.state = _plain(value.state, done, storages)
        made.items = [_plain(item, done, storages) for item in value.items]
    elif isinstance(value, dict):
        made = done[id(value)] = {}
        made.update((_plain(key, done, storages), _plain(item, done, storages)) for key, item in value.items())
    elif isinstance(value, list):
        made = done[id(value)] = []
        made.extend(_plain(item, done, storages) for item in value)
    elif isinstance(value, (tuple, set, frozenset)):
        made = type(value)(_plain(item, done, storages) for item in value)
    done[id(value)] = made
    return made


# --- files of torch -------------------------------------------------------------------------------------------------


def _zipped(path: Path, shells: bool) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        main = next((name for name in members if name.endswith("/data.pkl") or name == "data.pkl"), None)
        if main is None:
            raise DataError(f"{path} is a zip file without data.pkl: torch.save did not write it")
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise DataError(f"{path} is compressed, which torch.save never does: it may be malicious")
        root = main[: -len("data.pkl")]
        order = archive.read(root + "byteorder") if root + "byteorder" in members else b"little"
        if order != b"little":
            raise DataError(f"{path} was written on a big-endian machine, which is not read")
        value = _Unpickler(io.BytesIO(archive.read(main)), path, torch=True, shells=shells).load()
        data = root + "data/"
        storages = {name[len(data) :]: archive.read(name) for name in members if name.startswith(data)}
    return _plain(value, {}, storages)


def _legacy(path: Path, shells: bool) -> Any:
    """Pickles one after the other: magic number, version, machine, contents, names of storages; then those."""
    file = io.BytesIO(_read(path))
    if _Unpickler(file, path).load() != _TORCH_MAGIC:
        raise DataError(f"{path} is no file of torch.save")
    version, machine = (_Unpickler(file, path).load() for _ in range(2))
    if version != 1001 or not machine.get("little_endian", True):
        raise DataError(f"{path} is of a version or machine of torch that is not read")
    unpickler = _Unpickler(file, path, torch=True, shells=shells)
    value = unpickler.load()
    storages: dict[str, bytes] = {}
    for key in _Unpickler(file, path).load():
        (count,) = struct.unpack("<q", file.read(8))
        kind = unpickler.kinds[str(key)]
        storages[str(key)] = _exactly(file, count * _itemsize(kind))
    return _plain(value, {}, storages)


def _exactly(file: io.BytesIO, count: int) -> bytes:
    data = file.read(count) if count >= 0 else b""
    if len(data) != count:
        raise _Unfit("a tensor's data are cut short")
    return data


def _itemsize(kind: str) -> int:
    return 2 if kind == "bf2" else np.dtype(kind).itemsize


def _values(raw: bytes, kind: str) -> np.ndarray:
    if len(raw) % _itemsize(kind):
        raise _Unfit("a tensor's data are cut short")
    if kind == "bf2":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(raw, kind)
