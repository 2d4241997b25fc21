"""Records of a stranger: every form of table, with sizes nobody measured, in any order of columns, and none is lost."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from kpsim.calibration.records import read_records
from kpsim.cli.validate import validate as command
from kpsim.errors import InputError
from kpsim.experiment.validation.verdicts import validate

KERNEL = {
    "experiment": "C-sync",
    "mode": "nftables",
    "kernel": "6.18.44",
    "services": "3500",
    "endpoints": "16",
    "position": "-",
    "quantity": "partial_10.wall",
    "unit": "s",
    "n_samples": "7",
    "p50": "0.2",
    "rules_traversed": "126022",
    "note": "",
}
SYNC = {
    "version": "1.34",
    "mode": "nftables",
    "backend": "nft",
    "services": "5000",
    "endpoints_per_service": "mix",
    "endpoints": "475000",
    "operation": "one",
    "wall_s": "20",
    "go_wall_s": "6",
    "children_wall_s": "14",
    "processes": "2",
    "children_user_s": "5",
    "children_system_s": "9",
    "go_cpu_s": "9",
    "list_wall_s": "13",
    "restore_wall_s": "1",
    "rss_kb": "9000000",
}
SYNC_CPU = {
    "version": "1.36",
    "mode": "iptables",
    "services": "5000",
    "endpoints_per_service": "5",
    "operation": "endpoint removed",
    "cpu_s": "0.4",
    "go_cpu_s": "0.05",
    "start_cpu_s": "1.2",
    "start_to_first_sync_done_s": "3",
    "rss_mb": "150",
}
CHURN = {
    "version": "1.30",
    "mode": "iptables",
    "backend": "legacy",
    "services": "5000",
    "endpoints_per_service": "5",
    "changes_per_s": "1",
    "min_sync_period": "10s",
    "seconds": "60",
    "syncs": "7",
    "lat_p50_s": "5.2",
    "lat_p90_s": "9.3",
    "cpu_s": "9",
}
END_TO_END = {
    "mode": "nftables 1.36",
    "changes_per_s": "20",
    "p50_s": "1",
    "p90_s": "1.5",
    "p99_s": "",
    "reported_mean_s": "",
}
FORMS = {"kernel": KERNEL, "syncs": SYNC, "cpu": SYNC_CPU, "churn": CHURN, "end to end": END_TO_END}
OPTIONAL = {
    "kernel": ("experiment", "kernel", "position", "n_samples", "rules_traversed", "note"),
    "syncs": ("backend", "endpoints", "children_user_s", "list_wall_s", "go_wall_s", "rss_kb"),
    "cpu": ("start_cpu_s", "rss_mb"),
    "churn": ("backend", "seconds", "cpu_s"),
    "end to end": ("p99_s", "reported_mean_s"),
}


def written(folder: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Path:
    file = folder / "mine.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return file


def lines_told(file: Path) -> tuple[set[str], set[str]]:
    """Return the rows with a prediction and those with a reason, as the beginnings of their ids."""
    found = CliRunner().invoke(command, ["--records", str(file), "-o", "json"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.output)
    for record in told["records"]:
        assert 0 <= record["low"] <= record["predicted"] <= record["high"]
        assert not record["fitted"]
    assert all(each["reason"] for each in told["not_predicted"])
    return tuple({":".join(each["id"].split(":")[:2]) for each in told[key]} for key in ("records", "not_predicted"))  # type: ignore[return-value]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("turned", [False, True])
def test_a_row_of_a_new_size_is_predicted_in_any_order_of_columns(tmp_path: Path, form: str, turned: bool) -> None:
    row = FORMS[form]
    columns = list(reversed(row)) if turned else list(row)
    predicted, _ = lines_told(written(tmp_path, [row], columns))
    assert predicted == {"mine:2"}


@pytest.mark.parametrize("form", FORMS)
def test_columns_that_are_not_needed_may_be_missing(tmp_path: Path, form: str) -> None:
    row = FORMS[form]
    for missing in OPTIONAL[form]:
        predicted, _ = lines_told(written(tmp_path, [row], [column for column in row if column != missing]))
        assert predicted == {"mine:2"}, missing
    predicted, _ = lines_told(written(tmp_path, [row], [column for column in row if column not in OPTIONAL[form]]))
    assert predicted == {"mine:2"}


@pytest.mark.parametrize("form", FORMS)
def test_no_row_is_lost_without_a_reason(tmp_path: Path, form: str) -> None:
    row = FORMS[form]
    empty = dict.fromkeys(row, "")
    strange = [row, row | {"mode": "userspace"}, row | {"mode": "ipvs"}, empty | {"mode": "nftables"}, empty]
    if "version" in row:
        strange += [row | {"version": ""}, row | {"version": "latest"}]
    if "operation" in row:
        strange += [row | {"operation": "dance"}, row | {"operation": "k50"}]
    if "quantity" in row:
        strange += [row | {"quantity": "dance", "unit": "ns"}, row | {"quantity": "udp_first", "unit": "parsec"}]
    if "changes_per_s" in row:
        strange += [row | {"changes_per_s": rate} for rate in ("0", "-1", "1e7", "")]
    if "endpoints_per_service" in row:
        strange += [row | {"endpoints_per_service": each, "endpoints": ""} for each in ("mix", "0", "")]
    predicted, reasoned = lines_told(written(tmp_path, strange, list(row)))
    assert predicted | reasoned == {f"mine:{n}" for n in range(2, 2 + len(strange))}
    assert "mine:2" in predicted


def test_a_number_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, [KERNEL, KERNEL | {"services": "many", "p50": "fast"}], list(KERNEL))
    file.write_text("# mine\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_records(file)
    assert f"{file}:4" in str(refused.value)
    assert "services: 'many' is no number" in str(refused.value)
    assert CliRunner().invoke(command, ["--records", str(file)]).exit_code != 0


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"services": ""}, "services: the table says no number"),
        ({"endpoints": ""}, "endpoints: the table says no number"),
        ({"services": "-3"}, "services: -3 is less than none"),
        ({"unit": ""}, "unit: '' is none of"),
    ],
)
def test_a_set_up_that_is_not_told_is_never_guessed(tmp_path: Path, told: dict[str, str], reason: str) -> None:
    (refusal,) = validate([written(tmp_path, [KERNEL | told], list(KERNEL))]).refusals
    assert refusal.reason.startswith(reason)


def test_a_directory_is_read_file_by_file_and_ids_stay_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, [KERNEL], list(KERNEL))
    (tmp_path / "one" / "machines.csv").write_text("name,cores\nmine,2\n", encoding="utf-8")
    (tmp_path / "one" / "README.md").write_text("what this is", encoding="utf-8")
    found = validate([tmp_path / "one", tmp_path / "two"])
    assert [verdict.record.id for verdict in found.verdicts] == ["mine:2", "mine:2#2"]
    assert [(each.record.id, each.reason[:19]) for each in found.refusals] == [("machines", "no table of records")]


def test_what_is_no_yaml_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("- {id: one\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.yaml:2:1: is not YAML"):
        read_records(file)


def test_a_place_in_the_list_stands_for_the_rules_before_it(tmp_path: Path) -> None:
    packet = KERNEL | {"mode": "iptables-legacy", "quantity": "udp_first", "unit": "ns", "p50": "20000"}
    counted = packet | {"position": "last", "rules_traversed": "3500"}
    by_place = packet | {"position": "last", "rules_traversed": ""}
    at_top = packet | {"position": "first", "rules_traversed": ""}
    found = validate([written(tmp_path, [counted, by_place, at_top], list(KERNEL))]).verdicts
    assert found[0].prediction.value == pytest.approx(found[1].prediction.value)
    assert found[2].prediction.value < found[0].prediction.value


def test_published_records_have_a_reason_whatever_their_fields(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "- {id: tigera-rtt-iptables-3000, mode: iptables, quantity: per_connection_latency, unit: ms,"
        " setup: {services: 3000}, value: 1.9}\n"
        "- {id: other, mode: iptables, quantity: joy, unit: kg, setup: none, value: 1}\n"
        "- {id: without}\n",
        encoding="utf-8",
    )
    found = CliRunner().invoke(command, ["--records", str(file), "-o", "json"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.output)
    assert [each["id"] for each in told["records"]] == ["tigera-rtt-iptables-3000"]
    assert {each["id"] for each in told["not_predicted"]} == {"other", "without"}
