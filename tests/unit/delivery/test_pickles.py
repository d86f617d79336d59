"""What the pickles of an artifact would import decides whether anything of it is loaded."""

import io
import os
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from lightgbm_here import needs_lightgbm
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from boathouse.delivery import unsafe


class Upside:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def names(folder: Path, **options: Any) -> set[str]:
    return {found.name for found in unsafe(folder, **options)}


def keep(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(("inner", "found"), [(pickle.dumps([1.5]), set()), (pickle.dumps(Upside()), {"posix.system"})])
def test_archives_in_archives_are_read(tmp_path: Path, inner: bytes, found: set[str]) -> None:
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("archive/data.pkl", inner)
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
        archive.writestr("model/data/sample_inputs/model.pt", nested.getvalue())
        archive.writestr("model/models/model.json", "{}")
    assert names(tmp_path) == found


DUMPS = pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps, lambda model: pickle.dumps(model, 2)])


@DUMPS
def test_models_of_ordinary_libraries_pass(tmp_path: Path, dumps: Any) -> None:
    rows = pd.DataFrame(np.random.default_rng(0).random((60, 2)), columns=["a", "b"]).assign(k=["u", "v", "w"] * 20)
    y = (rows.a > 0.5).astype(int)
    models = (
        LogisticRegression(), RandomForestClassifier(3), GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3),
        make_pipeline(SelectKBest(f_classif, k=2), FunctionTransformer(np.abs), Ridge()),
    )  # fmt: skip
    for number, model in enumerate(models):
        seen = make_column_transformer((make_pipeline(SimpleImputer(), StandardScaler()), ["a", "b"]), (OneHotEncoder(), ["k"]))
        keep(tmp_path, f"{number}.pkl", dumps(make_pipeline(seen, model).fit(rows, y)))
    assert names(tmp_path) == set()


@needs_lightgbm
@DUMPS
def test_models_of_lightgbm_pass(tmp_path: Path, dumps: Any) -> None:
    from lightgbm import LGBMClassifier

    rows = np.random.default_rng(0).random((60, 2))
    model = make_pipeline(StandardScaler(), LGBMClassifier(n_estimators=3, verbose=-1)).fit(rows, rows[:, 0] > 0.5)
    assert names(keep(tmp_path, "model.pkl", dumps(model))) == set()


def test_frames_and_times_pass(tmp_path: Path) -> None:
    kept = [pd.DataFrame({"t": pd.date_range("2013", periods=2), "s": ["a", "b"]}), pd.NaT, np.random.default_rng(1), {1, 2}]
    assert names(keep(tmp_path, "kept.pkl", pickle.dumps(kept))) == set()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("ran_here", [True, False])
def test_what_runs_a_command_is_found_in_every_protocol(tmp_path: Path, protocol: int, ran_here: bool) -> None:
    assert names(keep(tmp_path, "model.pkl", pickle.dumps(Upside(), protocol)), ran_here=ran_here) == {"posix.system"}


@pytest.mark.parametrize("name", ["model.bin", "MLmodel.data", "nameless"])
def test_other_names_hide_nothing(tmp_path: Path, name: str) -> None:
    assert names(keep(tmp_path, name, pickle.dumps(Upside(), 0))) == {"posix.system"}


@pytest.mark.parametrize("text", ["artifact_path: model\nflavors: {}\n", "can be copied\nby anyone, as is\n", "", "c\n"])
def test_plain_texts_are_no_pickles(tmp_path: Path, text: str) -> None:
    keep(tmp_path, "MLmodel", text.encode())
    assert names(keep(tmp_path, "LICENSE", text.encode())) == set()


def test_archives_and_arrays_of_objects_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Upside()))
    np.save(tmp_path / "kept.npy", np.array([Upside()], dtype=object), allow_pickle=True)
    np.save(tmp_path / "plain.npy", np.zeros(3))
    assert {found.file for found in unsafe(tmp_path)} == {"model.pth", "kept.npy"}


def test_a_second_pickle_in_a_file_is_read_too(tmp_path: Path) -> None:
    assert names(keep(tmp_path, "two.pkl", pickle.dumps(1) + pickle.dumps(Upside()))) == {"posix.system"}


def test_a_name_put_together_elsewhere_is_unknown_and_refused(tmp_path: Path) -> None:
    hidden = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94000h\x00h\x01\x8c\x01x0\x93."
    assert [o.name for o, _, _ in pickletools.genops(hidden)][-2:] == ["STACK_GLOBAL", "STOP"]
    assert names(keep(tmp_path, "m.pkl", hidden)) == {"?"}


def test_a_pickle_that_ends_early_is_refused(tmp_path: Path) -> None:
    [found] = unsafe(keep(tmp_path, "m.pkl", pickle.dumps({"a": [1] * 50})[:-9]))
    assert str(found) == "m.pkl, which cannot be read to its end"


def test_a_torch_archive_of_tensors_passes_and_a_class_of_the_project_needs_trust(tmp_path: Path) -> None:
    tensors = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00ctorch\nFloatStorage\nq\x01ccollections\nOrderedDict\nq\x02."
    net = b"\x80\x02cshop.net\nTextNet\nq\x00."
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as archive:
        archive.writestr("m/data.pkl", tensors)
        archive.writestr("m/data/0", b"\x00" * 64)
    assert names(tmp_path) == set()
    assert names(keep(tmp_path, "net.pkl", net)) == {"shop.net.TextNet"}
    assert names(tmp_path, trusted=["shop.net.*"]) == names(tmp_path, trusted=["net.pkl"]) == set()
    assert names(tmp_path, ran_here=True) == set()
    (tmp_path / "code" / "shop").mkdir(parents=True)  # it brings the class as source, for anyone to read
    assert names(tmp_path) == set()


def test_code_by_value_passes_only_where_it_ran_before(tmp_path: Path) -> None:
    def made(x: int) -> int:
        return x + 1

    made.__module__ = "__main__"
    keep(tmp_path, "m.pkl", cloudpickle.dumps(made))
    assert "cloudpickle.cloudpickle._make_function" in names(tmp_path)
    assert names(tmp_path, ran_here=True) == set()


@pytest.mark.parametrize(
    "name", ["numpy load", "pandas read_pickle", "torch.hub load", "numpy.testing._private.utils runstring", "builtins eval",
             "joblib.externals.loky Popen", "sklearn.utils os.system", "functools reduce", "torch.serialization load"]
)  # fmt: skip
def test_functions_of_libraries_that_do_things_do_not_pass(tmp_path: Path, name: str) -> None:
    module, attribute = name.split()
    assert names(keep(tmp_path, "m.pkl", f"c{module}\n{attribute}\n.".encode())) == {f"{module}.{attribute}"}


def test_types_that_the_artifact_asks_skops_to_trust_are_judged_as_well(tmp_path: Path) -> None:
    asked = "flavors: {sklearn: {skops_trusted_types: [lightgbm.basic.Booster, os.system]}}"
    assert names(keep(tmp_path, "MLmodel", asked.encode())) == {"os.system"}
