"""One virtual environment per lock: found, built once, shared, removed."""

import subprocess
import sys
import threading
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from wheels import make_wheel, pinned, wheels  # noqa: F401

from boathouse.environments import PythonEnvironments, Runtime, find_lock, runtimes
from boathouse.environments import uv as uv_command
from boathouse.errors import InvalidInput, NotFound

NOW = timedelta(0)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


@pytest.fixture
def store(tmp_path: Path) -> PythonEnvironments:
    return PythonEnvironments(tmp_path / "python")


def said(python: str, code: str) -> str:
    done = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_lock_with_hashes_becomes_an_environment_that_sees_boathouse_too(
    store: PythonEnvironments, project: Path, wheels: Path  # noqa: F811
) -> None:
    (project / "requirements.lock").write_text(pinned(wheels / "bhgreeting-1.0-py3-none-any.whl"))
    wanted = store.wanted(project)
    assert not store.ready(wanted)
    store.build(wanted)
    assert store.ready(wanted)
    told = said(store.python(wanted), "import bhgreeting, boathouse.context, sys; print(bhgreeting.WORD, sys.prefix)")
    assert told == f"1.0 {Path(store.python(wanted)).parents[1]}"


def test_a_file_that_is_not_the_locked_one_is_refused_in_the_resolvers_words(
    store: PythonEnvironments, project: Path, wheels: Path  # noqa: F811
) -> None:
    line = pinned(wheels / "bhgreeting-1.0-py3-none-any.whl")
    (project / "requirements.lock").write_text(line[:-5] + "0000\n")
    with pytest.raises(InvalidInput, match=r"Hash mismatch for `bhgreeting==1\.0`"):
        store.build(store.wanted(project))
    assert store.all() == []


def test_a_lock_that_names_what_is_not_there_is_refused_in_the_resolvers_words(
    store: PythonEnvironments, project: Path, wheels: Path  # noqa: F811
) -> None:
    (project / "requirements.txt").write_text("bhgreeting==7.0\n")
    with pytest.raises(InvalidInput, match=r"there is no version of bhgreeting==7\.0"):
        store.build(store.wanted(project))


def test_requirements_without_a_lock_are_resolved_once_and_the_resolution_is_kept(
    store: PythonEnvironments, project: Path, wheels: Path  # noqa: F811
) -> None:
    text = '[project]\nname = "p"\nversion = "0"\ndependencies = ["boathouse", "bhgreeting<3"]\n'
    (project / "pyproject.toml").write_text(text)
    wanted = store.wanted(project)
    store.build(wanted)
    make_wheel(wheels, "2.5")
    store.prune(NOW)
    store.build(wanted)
    assert said(store.python(wanted), "import bhgreeting; print(bhgreeting.WORD)") == "2.0"
    pins = store.lock_file(wanted)
    assert pins
    assert pins.read_text() == "bhgreeting==2.0\n"


def test_a_uv_lock_is_installed_as_uv_exports_it(store: PythonEnvironments, project: Path, wheels: Path) -> None:  # noqa: F811
    text = '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["bhgreeting<2"]\n'
    (project / "pyproject.toml").write_text(text)
    uv_command.run("lock", "--quiet", cwd=project)
    wanted = store.wanted(project)
    assert wanted.lock
    assert wanted.lock.name == "uv.lock"
    store.build(wanted)
    assert said(store.python(wanted), "import bhgreeting; print(bhgreeting.WORD)") == "1.0"


def test_libraries_come_on_top_and_agree_with_the_lock(store: PythonEnvironments, project: Path, wheels: Path) -> None:  # noqa: F811
    make_wheel(wheels, "1.0", "bhother")
    (project / "requirements.txt").write_text("bhgreeting==1.0\n")
    wanted = store.wanted(project, libraries=["bhother", "bhgreeting"])
    store.build(wanted)
    assert said(store.python(wanted), "import bhgreeting, bhother; print(bhgreeting.WORD, bhother.WORD)") == "1.0 1.0"
    assert wanted.key != store.wanted(project).key


def test_what_the_server_holds_already_needs_no_environment(store: PythonEnvironments, project: Path) -> None:
    (project / "requirements.lock").write_text(
        f"numpy=={version('numpy')} \\\n    --hash=sha256:00\npandas=={version('pandas')}\nnever==1 ; sys_platform == 'win32'\n"
    )
    assert store.wanted(project).key is None
    assert store.python(store.wanted(project)) == sys.executable
    (project / "requirements.lock").write_text("numpy==1.0\n")
    assert store.wanted(project).key


def test_a_project_that_says_nothing_runs_in_the_servers_own(store: PythonEnvironments, project: Path) -> None:
    assert find_lock(project) is None
    assert store.wanted(project).key is None


def test_many_that_want_one_environment_build_it_once(store: PythonEnvironments, project: Path, wheels: Path,  # noqa: F811
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    (project / "requirements.txt").write_text("bhgreeting==1.0\n")
    wanted, built, plain = store.wanted(project), [], PythonEnvironments._fill
    monkeypatch.setattr(PythonEnvironments, "_fill", lambda *words: (built.append(1), plain(*words)))
    threads = [threading.Thread(target=store.build, args=(wanted,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]
    assert [e.lock for e in store.all()] == ["requirements.txt"]


def test_what_nobody_used_for_long_goes_unless_it_is_needed(store: PythonEnvironments, project: Path, wheels: Path) -> None:  # noqa: F811
    (project / "requirements.txt").write_text("bhgreeting==1.0\n")
    wanted = store.wanted(project)
    store.build(wanted)
    assert wanted.key
    assert store.prune(timedelta(days=1)) == []
    assert store.prune(NOW, needed={wanted.key}) == []
    assert [e.key for e in store.prune(NOW)] == [wanted.key]
    assert store.all() == []


def test_a_project_for_another_python_is_refused(store: PythonEnvironments, project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "0"\nrequires-python = ">=4"\n')
    with pytest.raises(InvalidInput, match="needs Python >=4"):
        store.wanted(project)


def test_included_files_are_part_of_the_lock(store: PythonEnvironments, project: Path) -> None:
    (project / "base.txt").write_text("never-there==1\n")
    (project / "requirements.txt").write_text("-r base.txt\n")
    first = store.wanted(project).key
    (project / "base.txt").write_text("never-there==2\n")
    assert first != store.wanted(project).key


def test_what_pinned_requirements_need_is_installed_too(store: PythonEnvironments, project: Path, wheels: Path) -> None:  # noqa: F811
    make_wheel(wheels, "3.0", "bhmore", needs="bhgreeting<2")
    (project / "requirements.txt").write_text(f"--find-links {wheels}\nbhmore==3.0\n")
    place = store.build(store.wanted(project))
    assert said(str(place / "bin" / "python"), "import bhmore, bhgreeting; print(bhmore.WORD, bhgreeting.WORD)") == "3.0 1.0"


def test_a_runtime_is_for_projects_without_a_lock_and_packages_come_on_top(store: PythonEnvironments, project: Path) -> None:
    version = runtimes()[0].version
    wanted = store.wanted(project, libraries=["bhmore==3.0"], version=version)
    assert wanted.lock
    assert (wanted.lock.name, wanted.lock.complete, wanted.libraries) == (f"runtime {version}", True, ("bhmore==3.0",))
    (project / "requirements.txt").write_text("bhgreeting==1.0\n")
    assert store.wanted(project, version=version).lock == find_lock(project)
    with pytest.raises(NotFound, match=rf"no Python runtime '1'; there are .*{version}"):
        store.wanted(project, own=False, version="1")


@pytest.mark.parametrize("found", runtimes(), ids=lambda r: r.version)
def test_a_runtime_holds_what_it_names_with_hashes_and_no_address(found: Runtime) -> None:
    assert {name for name, _ in found.packages()} == set(found.named)
    assert found.text.count("==") <= found.text.count("--hash=sha256:")
    assert "://" not in found.text
