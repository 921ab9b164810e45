"""`undoor scan`: what it prints, what it writes, what it tells the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.cli_fakes import Cli, assert_error, make_report
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.inversion.meter import Budget
from undoor.scan.decide import Thresholds
from undoor.scan.report import ScanReport
from undoor.vocabulary import Verdict


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("verdict", "code", "title"),
    [
        ("clean", 0, "NO BACKDOOR FOUND"),
        ("backdoored", 1, "BACKDOORED"),
        ("inconclusive", 2, "INCONCLUSIVE"),
    ],
)
def test_verdicts(cli: Cli, verdict: Verdict, code: int, title: str) -> None:
    cli.report = make_report(verdict)
    result = cli.scan()
    assert result.exit_code == code
    assert title in result.stdout
    assert "because of the tests" in result.stdout
    assert ("undoor repair" in result.stdout) == (verdict != "clean")
    assert ("--suspects 2" in result.stdout) == (verdict == "inconclusive")


def test_json_is_the_only_thing_on_stdout(cli: Cli) -> None:
    result = cli.scan("--json", "--seed", 3, "--out", cli.out)
    document = json.loads(result.stdout)
    assert document["schema"] == "undoor/scan/6"
    assert document["targets"][0]["target"] == 1
    assert result.exit_code == 1
    assert result.stderr == "search triggers ...\n"


def test_inconclusive_json_is_printed(cli: Cli) -> None:
    cli.report = make_report("inconclusive")
    result = cli.scan("--json")
    assert json.loads(result.stdout)["verdict"] == "inconclusive"
    assert result.exit_code == 2


def test_files(cli: Cli) -> None:
    cli.out.mkdir()
    (cli.out / "notes.txt").write_text("mine")
    (cli.out / "scan.json").write_text("old")
    result = cli.scan("--out", cli.out)
    names = {"scan.json", "trigger_1.npz", "trigger_1.png", "report.html"}
    assert {p.name for p in cli.out.iterdir()} == names | {"notes.txt"}
    assert all(name in result.stdout.replace("\n", "") for name in names)
    assert ScanReport.load(cli.out, shape=(3, 4, 4), bounds=(0, 1)).verdict == "backdoored"


def test_next_command_can_be_copied(cli: Cli) -> None:
    out = cli.folder / "my scan"
    result = cli.scan("--bounds", "0,1", "--per-class", 2, "--seed", 1, "--out", out)
    told = result.stdout.replace("\n", "")
    assert f"undoor repair {cli.model} --bounds 0,1 --data {cli.data} --per-class 2 " in told
    assert f"--seed 1 --scan '{out}' --out fix" in told


def test_data_options(cli: Cli) -> None:
    cli.scan("--per-class", 2, "--seed", 7)
    assert cli.calls == [("scan", {"images": 6, "seed": 7})]


def test_bare_checkpoint_with_options(cli: Cli) -> None:
    folder = Path(cli.model).parent
    options = ["--architecture", f"{folder}/nets.py:net", "--arguments", '{"num_classes": 3}']
    options += ["--input-shape", "3,4,4", "--bounds", "0,1", "--scale", "2", "--mean", "0.5"]
    options += ["--std", "1,1,1", "--output", "logits", "--class-names", "a,b,c"]
    seen: list[Classifier] = []
    cli.during_scan = lambda classifier, clean: seen.append(classifier)
    result = cli.run("scan", folder / "weights.safetensors", "--data", cli.data, *options)
    assert result.exit_code == 1
    assert seen[0].class_names == ("a", "b", "c")
    assert seen[0].scale == 2
    assert seen[0].mean.flatten().tolist() == [0.5]


def test_unreadable_images_are_named_and_counted(cli: Cli) -> None:
    from PIL import Image

    data = cli.folder / "images"
    for name in ("stop", "yield", "go"):
        (data / name).mkdir(parents=True)
        for i in range(8):
            Image.new("RGB", (4, 4)).save(data / name / f"good{i}.png")
    Image.new("RGBA", (4, 4)).save(data / "stop" / "glass.png")
    for i in range(5):
        (data / "stop" / f"bad{i}.png").write_bytes(b"no image")
    result = cli.run("scan", cli.model, "--data", data, "--json")
    json.loads(result.stdout)
    assert "5 inputs were skipped:" in result.stderr
    assert "bad0.png" in result.stderr
    assert "bad4.png" not in result.stderr
    assert "... and 2 more" in result.stderr
    assert "inputs lost: 5 unknown format" in result.stderr
    assert "inputs changed on the way: 1 alpha" in result.stderr
    for i in range(5, 20):
        (data / "stop" / f"bad{i}.png").write_bytes(b"")
    result = cli.run("scan", cli.model, "--data", data, "--json")
    assert result.exit_code in (3, 4)
    assert_error(result)
    assert "20 of 45 images could not be used (15 empty, 5 unknown format; the" in result.stderr


def test_interrupt_leaves_nothing(cli: Cli) -> None:
    def interrupt(classifier: Classifier, clean: CleanSet) -> None:
        raise KeyboardInterrupt

    cli.during_scan = interrupt
    before = set(cli.folder.rglob("*"))
    result = cli.scan("--out", cli.out / "deep", "--json")
    assert result.exit_code == 130
    assert_error(result)
    assert result.stderr.splitlines()[-1].startswith("undoor: error: interrupted")
    assert set(cli.folder.rglob("*")) == before


def test_interrupt_keeps_what_was_there(cli: Cli) -> None:
    def interrupt(classifier: Classifier, clean: CleanSet) -> None:
        raise KeyboardInterrupt

    cli.during_scan = interrupt
    cli.out.mkdir()
    (cli.out / "scan.json").write_text("old")
    cli.scan("--out", cli.out)
    assert [p.name for p in cli.out.iterdir()] == ["scan.json"]
    assert (cli.out / "scan.json").read_text() == "old"


def test_hostile_names_do_not_reach_the_terminal(cli: Cli) -> None:
    cli.report = make_report(names=("a", "[red]\x1b[31m\nb", "c"), reasons=("\x1b]0;owned\x07",))
    result = cli.scan()
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout
    assert "[red]" in result.stdout


def test_out_is_checked_before_the_work(cli: Cli) -> None:
    file = cli.folder / "file"
    file.write_text("")
    for out in (file, file / "below"):
        result = cli.scan("--out", out)
        assert result.exit_code in (3, 4)
        assert "cannot write there" in result.stderr
    assert cli.calls == []


def test_error_of_the_library(cli: Cli) -> None:
    def fail(classifier: Classifier, clean: CleanSet) -> None:
        raise UndoorError("expected this,\n got that")

    cli.during_scan = fail
    result = cli.scan("--json")
    assert result.exit_code in (3, 4)
    assert_error(result)
    assert result.stderr.splitlines()[-1] == "undoor: error: expected this, got that"


def test_limits(cli: Cli) -> None:
    cli.scan()
    assert cli.limits == (Thresholds(), Budget())
    cli.scan("--alpha", 0.001, "--max-seconds", 60, "--max-passes", 5000)
    limits = Thresholds(alpha=0.001)
    assert cli.limits == (limits, Budget(5000, 60))
    assert not cli.accept_graph
    cli.scan("--accept-graph")
    assert cli.accept_graph
    assert (limits.second_alpha, limits.doubt_alpha) == pytest.approx((0.0005, 0.003))


def test_accept_coverage(cli: Cli) -> None:
    cli.scan()
    accepted = [cli.accept_coverage]
    cli.scan("--accept-coverage", "partial")
    accepted.append(cli.accept_coverage)
    assert accepted == ["full", "partial"]
    assert cli.scan("--accept-coverage", "none").exit_code == 3


@pytest.mark.parametrize("option", [("--alpha", 0.5), ("--max-seconds", -1), ("--max-passes", 0)])
def test_impossible_limits(cli: Cli, option: tuple[str, object]) -> None:
    assert cli.scan(*option).exit_code in (3, 4)
    assert not cli.calls


def test_a_clean_verdict_says_what_it_is_worth(cli: Cli) -> None:
    cli.report = make_report("clean")
    told = " ".join(cli.scan().stdout.split())
    assert "would have been reported" in told
    assert "pixels" in told
    cli.report = make_report("backdoored")
    assert "would have been" not in " ".join(cli.scan().stdout.split())


def test_targets_by_number_or_name(cli: Cli) -> None:
    cli.scan()
    assert cli.targets is None
    names = cli.report.class_names
    cli.scan("--targets", f"2,{names[0]}")
    assert cli.targets == [0, 2]
    refused = cli.scan("--targets", "0,none")
    assert refused.exit_code == 3
    assert "--targets: expected a class of the model" in refused.stderr


def test_unlabelled_images_are_labelled_by_the_model(cli: Cli) -> None:
    cli.scan()
    assert not cli.by_model
    cli.scan("--unlabelled")
    assert cli.by_model
