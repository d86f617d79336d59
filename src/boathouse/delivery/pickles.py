"""What the pickles of an artifact would import, read without loading any: a list of what is known to be harmless decides.

A scan proves nothing about code that an artifact carries as source; it keeps out what a pickle runs in secret.
"""

import pickletools
import re
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

_SUFFIXES = frozenset({".pkl", ".pickle", ".p", ".joblib", ".pt", ".pth", ".ckpt", ".dat"})
_MAYBE = frozenset({".bin", ".data", ".npy", ""})
_MAGIC = re.compile(rb"\x80[\x02-\x05]")
_NPY = b"\x93NUMPY"
_ZIP = b"PK\x03\x04"
_CHUNK = 64
_NESTED = 3

_STANDARD = frozenset({
    *(f"builtins.{n}" for n in (
        "set", "frozenset", "bytearray", "complex", "slice", "range", "object", "list", "dict", "tuple", "int", "float",
        "bool", "str", "bytes", "Ellipsis", "NotImplemented")),
    "collections.OrderedDict", "collections.defaultdict", "collections.deque", "collections.Counter",
    "datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta", "datetime.timezone",
    "decimal.Decimal", "fractions.Fraction", "functools.partial", "uuid.UUID", "types.SimpleNamespace",
    "pathlib.Path", "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath", "pathlib.PureWindowsPath",
    "copyreg._reconstructor", "copyreg.__newobj__", "copy_reg._reconstructor", "_codecs.encode", "zoneinfo.ZoneInfo._unpickle",
    "random.Random", "operator.itemgetter", "array._array_reconstructor", "array.array",
})  # fmt: skip
_LIBRARIES = frozenset({
    "numpy", "scipy", "pandas", "sklearn", "lightgbm", "xgboost", "catboost", "torch", "torchvision", "torchaudio",
    "statsmodels", "imblearn", "category_encoders", "joblib", "skops", "tokenizers", "transformers", "sentence_transformers",
    "polars", "pyarrow", "pytz", "dateutil", "interpret", "prophet", "boathouse",
})  # fmt: skip
"""Their classes pass, and of their functions those below: a function of a library can read files and run commands."""
_FUNCTIONS = re.compile(
    r"""numpy\.(_?core|random|lib|ma)\.[\w.]*(_reconstruct|scalar|_frombuffer|__\w+_ctor|_mareconstruct|_ufunc_reconstruct)
    |numpy\.(ndarray|dtype|matrix|memmap|bool_?|u?int\w*|float\w*|complex\w*|str_|bytes_|object_|void|datetime64|timedelta64)
    |numpy\.(abs|absolute|sqrt|square|log|log2|log10|log1p|exp|exp2|expm1|sin|cos|tanh|sign|mean|median|sum|min|max|clip)
    |numpy\.ma\.core\.\w+
    |pandas\.(_libs|core)\.[\w.]*(_unpickle\w*|new_block|_new_\w+|__pyx_unpickle_\w+|_?create_pandas_\w+|_nat_unpickle)
    |pyarrow\.lib\.(_restore_array|type_for_alias|py_buffer)
    |scipy\.sparse\.[\w.]*(csr|csc|coo|bsr|dia|dok|lil)_(matrix|array)
    |scipy\.stats\.[\w.]*\w+_(gen|frozen)|scipy\.special\.[\w.]*(expit|logit)
    |(numpy|sklearn|scipy|lightgbm|xgboost|pandas)\.[\w.]*__pyx_unpickle_\w+
    |sklearn\.(metrics|feature_selection|_loss|preprocessing|tree|linear_model|ensemble)\.[\w.]*[a-z_]\w*
    |sklearn\.utils\._bunch\.Bunch
    |torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_\w+|torch\.(device|dtype|strided|per_tensor_affine)
    |torch\.(bool|u?int\d*|b?float\d*|half|double|long|short|complex\d+)|torch\.nn\.functional\.\w+
    |torch\.(tanh|relu|sigmoid|softmax)|torch\._C\._nn\.(gelu|silu)""",
    re.VERBOSE,
)
_NEVER = frozenset({
    "Popen", "CDLL", "PyDLL", "Process", "Thread", "Timer", "Pool", "FileIO", "ZipFile", "TarFile", "InteractiveInterpreter",
    "InteractiveConsole", "Session", "Client", "Unpickler", "ExcelFile", "HDFStore",
})  # fmt: skip
"""Class names that libraries import from elsewhere, and that do things when made."""
_NOT_IN = re.compile(r"\.(_?testing|tests?|io|hub|cpp_extension|distributed|externals|f2py|distutils|_?inductor|_dynamo)(\.|$)")
_DANGEROUS = frozenset({
    "os", "posix", "nt", "sys", "subprocess", "importlib", "imp", "pkgutil", "runpy", "pty", "socket", "shutil", "ctypes",
    "_ctypes", "code", "codeop", "webbrowser", "http", "urllib", "ftplib", "smtplib", "ssl", "pickle", "_pickle", "marshal",
    "multiprocessing", "threading", "_thread", "asyncio", "pdb", "bdb", "cProfile", "profile", "timeit", "trace", "pip",
    "commands", "venv", "ensurepip", "platform", "pydoc", "doctest", "idlelib", "test", "requests", "httpx",
    "aiohttp",
})  # fmt: skip
_NAME = re.compile(r"[\w.?]+")
_CODE = re.compile(r"(cloudpickle|joblib\.externals\.cloudpickle|dill)\b|types\.(CodeType|FunctionType)|__main__\.")
_TEXT = frozenset({
    "UNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING",
})  # fmt: skip


@dataclass(frozen=True)
class Import:
    """A name that a pickle of the artifact would import; without a name, the file cannot be read to its end."""

    file: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.file})" if self.name else f"{self.file}, which cannot be read to its end"


def unsafe(folder: Path, trusted: Collection[str] = (), ran_here: bool = False) -> tuple[Import, ...]:
    """What a model's folder would import that an ordinary model does not need, by file and name.

    `trusted` are names or files, or patterns such as `shop.net.*`. Where the very code of the artifact `ran_here` already, as the
    job that made it, code that it carries or names passes, and only what starts programs, opens files or connections, or
    imports by name counts. Nothing is loaded.
    """
    own = {path.stem for code in folder.rglob("code") if code.is_dir() for path in code.iterdir()}
    found: dict[tuple[str, str], Import] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        shown = str(path.relative_to(folder))
        for name in (*_imports(path), *(_skops_types(path) if path.name == "MLmodel" else ())):
            refused = not name or _refused(name, own, ran_here)
            if refused and not any(fnmatchcase(name, p) or fnmatchcase(shown, p) for p in trusted):
                found[shown, name] = Import(shown, name)
    return tuple(found.values())


def _refused(name: str, own: Collection[str], ran_here: bool) -> bool:
    module, _, last = name.rpartition(".")
    top = module.partition(".")[0]
    if top in _DANGEROUS or last in _NEVER or _NOT_IN.search(module) or "?" in name:
        return True
    if top in ("builtins", "__builtin__") and f"builtins.{last}" not in _STANDARD:
        return not ((ran_here and last in ("property", "staticmethod", "classmethod", "type", "super")) or last.endswith("Error"))
    if ran_here or top in own or name.replace("__builtin__", "builtins") in _STANDARD:
        return False
    if _CODE.match(name):
        return True
    if top in _LIBRARIES:
        return not (last.lstrip("_")[:1].isupper() or _FUNCTIONS.fullmatch(name))
    return True


def _imports(path: Path) -> Iterator[str]:
    """Names that the pickles of a file import; an empty one for a pickle that cannot be read to its end."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from _members(archive, _NESTED)
        return
    with path.open("rb") as stream:
        yield from _of(stream, path.suffix, path.stat().st_size)


def _members(archive: zipfile.ZipFile, deeper: int) -> Iterator[str]:
    """Of an archive, and of archives in it, as a traced PyTorch module has one with sample inputs."""
    for member in archive.namelist():
        try:
            with archive.open(member) as stream:
                nested = stream.read(len(_ZIP)) == _ZIP
                stream.seek(0)
                if nested and deeper:
                    with zipfile.ZipFile(stream) as inner:
                        yield from _members(inner, deeper - 1)
                elif nested:
                    yield ""
                else:
                    yield from _of(stream, Path(member).suffix, 0)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError):
            yield ""  # locked or broken: what it holds is unknown


def _of(stream: IO[bytes], suffix: str, size: int) -> Iterator[str]:
    begin = stream.read(_CHUNK)
    stream.seek(0)
    if begin.startswith(_NPY):
        if b"|O" not in begin and b"'O'" not in begin:
            return
        stream.readline()  # the header; objects follow as a pickle
        yield from _read(stream, certain=True)
        return
    certain = suffix in _SUFFIXES or bool(_MAGIC.match(begin))
    if certain or suffix in _MAYBE:
        yield from _read(stream, certain)


def _read(stream: IO[bytes], certain: bool) -> Iterator[str]:
    """Names of all the pickles that follow each other in a stream, which may be none at all unless that is `certain`."""
    while True:
        start = stream.tell()
        if not stream.read(1):
            return
        stream.seek(start)
        names: list[str] = []
        try:
            for name in _globals(stream):
                if certain or _NAME.fullmatch(name):  # a licence reads as odd opcodes
                    names.append(name)
        except Exception:  # pickletools raises whatever its readers do
            yield from names
            if certain or names:
                yield ""
            return
        yield from names


def _globals(stream: IO[bytes]) -> Iterator[str]:
    """What one pickle imports. A name that is not written right before its use is a `?`."""
    memo: dict[Any, Any] = {}
    last: list[Any] = []
    for operation, value, _ in pickletools.genops(stream):
        kind = operation.name
        if kind in _TEXT:
            last.append(value)
        elif kind in ("GET", "BINGET", "LONG_BINGET"):
            last.append(memo.get(int(value or 0), "?"))
        elif kind == "MEMOIZE":
            memo[len(memo)] = last[-1] if last else "?"
        elif kind in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(value or 0)] = last[-1] if last else "?"
        elif kind in ("GLOBAL", "INST"):
            yield str(value).replace(" ", ".", 1)
            last.clear()
        elif kind == "STACK_GLOBAL":
            known = len(last) >= 2 and all(isinstance(v, str) for v in last[-2:])
            yield ".".join(last[-2:]) if known else "?"
            last.clear()
        elif kind in ("EXT1", "EXT2", "EXT4"):
            yield "?"
            last.clear()
        elif kind != "FRAME":
            last.clear()


def _skops_types(path: Path) -> list[str]:
    """Types that the artifact itself asks skops to trust."""
    import yaml

    try:
        described = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        return [""]
    flavors = (described.get("flavors") if isinstance(described, dict) else None) or {}
    return [str(t) for flavor in flavors.values() if isinstance(flavor, dict) for t in flavor.get("skops_trusted_types") or ()]
