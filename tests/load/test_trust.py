"""Code that a file of the model names: what it is, and who trusts it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from helpers.cli_fakes import write_model
from undoor.errors import UndoorError
from undoor.load import NamedCode, code_named_by, load, trust
from undoor.networks import ResNet9


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return write_model(tmp_path / "model")


def named(model: Path) -> NamedCode:
    found = code_named_by(model)
    assert found is not None
    return found


def change(model: Path, old: str, new: str) -> None:
    text = model.read_text()
    assert old in text
    model.write_text(text.replace(old, new))


def test_never_without_trust(model: Path) -> None:
    canary = model.parent / "canary"
    nets = model.parent / "nets.py"
    nets.write_text(f"open({str(canary)!r}, 'w').close()\n{nets.read_text()}")
    for given in (model, model.parent):
        with pytest.raises(UndoorError, match=r"would run Python code .*--trust-code") as caught:
            load(given)
        digest = hashlib.sha256(nets.read_bytes()).hexdigest()
        assert f"{nets} (SHA-256 {digest}" in str(caught.value)
        assert "undoor inspect MODEL --remember-code" in str(caught.value)
    assert not canary.exists()
    assert load(model, trust_code=True).origin.code == named(model).files
    assert canary.exists()


def test_who_names_it_trusts_it(model: Path) -> None:
    nets = f"{model.parent / 'nets.py'}:net"
    assert load(model, architecture=nets).num_classes == 3


@pytest.mark.parametrize(
    "change_it",
    [
        lambda model: change(model.parent / "nets.py", "num_classes)", "num_classes, )"),
        lambda model: (model.parent / "new.py").write_text(""),
        lambda model: (
            (model.parent / "package").mkdir()
            or (model.parent / "package" / "inner.py").write_text("")
        ),
        lambda model: change(model, "nets.py:net", "nets.py:other"),
        lambda model: change(model, "num_classes = 3", "num_classes = 4"),
    ],
    ids=["changed", "new", "new in a folder", "another callable", "other arguments"],
)
def test_remembered_until_something_changes(model: Path, change_it: object) -> None:
    assert not named(model).remembered
    store = named(model).remember()
    assert store.stat().st_mode & 0o777 == 0o600
    assert named(model).remembered
    assert load(model).num_classes == 3
    change_it(model)  # type: ignore[operator]
    assert not named(model).remembered
    with pytest.raises(UndoorError, match="--trust-code"):
        load(model)


def test_remembered_from_wherever_it_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named(model).remember()
    monkeypatch.chdir(model.parent)
    assert named(Path("model.toml")).remembered
    assert named(Path()).remembered
    monkeypatch.chdir(model.parent.parent)
    assert named(Path("model/../model")).remembered


def test_what_is_remembered_lies_with_the_user(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = named(model).remember()
    inside = model.parent / "config" / "undoor" / store.name
    inside.parent.mkdir(parents=True)
    inside.write_text(store.read_text())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(model.parent / "config"))
    assert not named(model).remembered
    with pytest.raises(UndoorError, match="is in the folder of the model"):
        named(model).remember()


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": "x"}', '{"schema": 1, "folders": {}}'])
def test_a_damaged_memory_trusts_nothing(model: Path, text: str) -> None:
    store = named(model).remember()
    store.write_text(text)
    with pytest.raises(UndoorError, match=r"trusted-code.json .*remove it, and trust again"):
        load(model)


def test_others_are_kept(model: Path, tmp_path: Path) -> None:
    named(model).remember()
    other = write_model(tmp_path / "other")
    store = named(other).remember()
    assert set(json.loads(store.read_text())["folders"]) == {
        str(model.parent.resolve()),
        str(other.parent.resolve()),
    }
    assert named(model).remembered


def test_what_needs_no_trust(model: Path) -> None:
    change(model, "nets.py:net", "undoor.networks:ResNet9")
    assert code_named_by(model) is None
    change(model, "undoor.networks:ResNet9", "timm:resnet18")
    assert code_named_by(model) is None


@pytest.mark.parametrize("source", ["undoor.networks", "undoor.bench.networks"])
def test_the_networks_of_the_zoo_and_their_earlier_name(tmp_path: Path, source: str) -> None:
    weights = {key: value.clone() for key, value in ResNet9(3, width=4).state_dict().items()}
    save_file(weights, tmp_path / "w.safetensors")
    file = tmp_path / "model.toml"
    file.write_text(
        f'[model]\nweights = "w.safetensors"\narchitecture = "{source}:ResNet9"\n'
        "arguments = { num_classes = 3, width = 4 }\n[input]\nshape = [3, 32, 32]\n"
    )
    assert code_named_by(file) is None
    assert isinstance(load(file).network, ResNet9)


def test_installed_code_that_does_more_needs_it(model: Path) -> None:
    """`undoor.load.load` would open another model, with any trust that its arguments ask for."""
    for target in ("undoor.load:load", "torch.hub:load", "pickle_of_nobody:x"):
        change(model, model.read_text().split('architecture = "')[1].split('"')[0], target)
        with pytest.raises(UndoorError, match=r"--trust-code|no module"):
            load(model)
    found = trust.code_named("undoor.load:load", {}, model.parent)
    assert found is not None
    assert not found.remembered
    with pytest.raises(UndoorError, match="not remembered"):
        found.remember()


def test_no_weights_are_downloaded(model: Path) -> None:
    change(model, "nets.py:net", "torchvision.models:resnet18")
    change(model, "num_classes = 3", "weights = 'DEFAULT'")
    with pytest.raises(UndoorError, match="would download weights"):
        load(model)


def test_no_file_can_ask_for_it(model: Path) -> None:
    change(model, "[input]", "trust_code = true\n[input]")
    with pytest.raises(UndoorError, match="unknown key 'trust_code'"):
        load(model)


def test_too_many_files(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "MAX_FILES", 1)
    (model.parent / "more.py").write_text("")
    with pytest.raises(UndoorError, match="more than 1 Python files"):
        load(model)


@pytest.mark.parametrize("name", ["get_model", "fcn_resnet50", "list_models", "get_weight"])
def test_of_torchvision_classifiers_alone_need_no_trust(model: Path, name: str) -> None:
    change(model, "nets.py:net", f"torchvision.models:{name}")
    assert named(model).folder is None
    with pytest.raises(UndoorError, match=rf"torchvision.models:{name} of an installed package"):
        load(model)


@pytest.mark.parametrize("name", ["resnet18", "vgg16_bn", "regnet_y_1_6gf", "swin_v2_t"])
def test_classifiers_of_torchvision_need_no_trust(model: Path, name: str) -> None:
    change(model, "nets.py:net", f"torchvision.models:{name}")
    assert code_named_by(model) is None


@pytest.mark.parametrize("place", ["my-code", ".hidden", "1", "inner/a b"])
def test_files_that_only_a_path_reaches(model: Path, place: str) -> None:
    """As by `sys.path.append` in the file that is named."""
    named(model).remember()
    folder = model.parent / place
    folder.mkdir(parents=True)
    (folder / "helper.py").write_text("")
    (folder / "by-name.py").write_text("")
    assert not named(model).remembered
    paths = {file.path for file in named(model).files}
    assert paths > {str(folder / "helper.py"), str(folder / "by-name.py")}


def test_the_environment_that_runs_this_aside(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model.parent / ".venv"
    folder.mkdir()
    (folder / "installed.py").write_text("")
    assert len(named(model).files) == 2
    monkeypatch.setattr("sys.prefix", str(folder))
    assert len(named(model).files) == 1


def test_a_folder_that_cannot_be_listed_is_not_passed_over(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold code that would run, and whose hash nobody has seen."""
    (model.parent / "hidden").mkdir()
    scandir = os.scandir

    def refuse(path: Any = ".") -> Any:
        if str(path).endswith("hidden"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UndoorError, match=r"hidden: permission denied.*cannot all be listed"):
        code_named_by(model)
