import errno
import gzip
import json
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from connectors.billing_files import MAX_RAW_BYTES, BillingFiles, BillKind
from connectors.connector import BadReason, Connector, Delivery, Refused, Unchanged
from connectors.errors import SplitRulesError
from connectors.facts import MAX_TEXT, decode_fact, encode
from connectors.split import SplitRules
from tests.connectors.bills import DATA, cur_row, deliver, focus_row, poll, values, write_csv

DAY = "2024-09-18"


def write_manifest(path: Path, keys: list[str], **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"reportKeys": keys, **more}))
    return path


def cur_file(path: Path, cost: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_csv(path, [cur_row(UnblendedCost=cost)])


def total(delivery: object) -> float:
    assert isinstance(delivery, Delivery), str(delivery)
    return sum(values(delivery.facts, "total").values())


def test_it_is_a_connector(tmp_path: Path) -> None:
    assert isinstance(BillingFiles(name="bills", path=tmp_path, kind="focus"), Connector)


async def test_a_file_is_a_delivery(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "sep.csv", [focus_row(), focus_row(BilledCost="x"), focus_row(EffectiveCost="2")])
    delivery = await deliver(path)
    assert delivery.origin == "bills:sep.csv"
    assert delivery.revision == path.stat().st_mtime_ns // 1_000_000
    assert delivery.complete_until == "2024-09-19T00:00:00Z"
    assert delivery.rows == 3
    assert values(delivery.facts, "tag:team") == {("search", DAY): 10.0}
    assert {fact.origin for fact in delivery.facts} == {"bills:sep.csv"}
    assert {fact.revision for fact in delivery.facts} == {delivery.revision}


async def test_a_bad_row_is_told_with_file_line_and_field(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "sep.csv.gz", [focus_row(), focus_row(BilledCost="x", ResourceId="y" * 100_000)])
    [bad] = (await deliver(path)).bad
    assert (bad.source, bad.place, bad.field, bad.reason) == (
        "bills",
        "sep.csv.gz:3",
        "BilledCost",
        BadReason.NOT_A_NUMBER,
    )
    assert bad.message == "BilledCost: expected a decimal number, got 'x' at sep.csv.gz:3"
    assert len(bad.raw) == MAX_RAW_BYTES


async def test_reading_again_gives_the_same_facts(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "sep.csv", [focus_row(ResourceId=f"i-{n}", EffectiveCost=f"0.{n}") for n in range(50)])
    assert await deliver(path) == await deliver(path)


async def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "sep.csv", [focus_row()])
    first = await deliver(path)
    known = {first.origin: first.fingerprint}
    assert await poll(path, known=known) == [Unchanged(origin="bills:sep.csv")]
    os.utime(path, (time.time() + 5, time.time() + 5))
    assert await poll(path, known=known) == [Unchanged(origin="bills:sep.csv")]
    write_csv(path, [focus_row(EffectiveCost="9")])
    [second] = await poll(path, known=known)
    assert total(second) == 9.0


async def test_other_rules_read_a_known_file_again(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "sep.csv", [focus_row()])
    first = await deliver(path)
    [again] = await poll(path, rules=SplitRules(metric="billed_cost"), known={first.origin: first.fingerprint})
    assert isinstance(again, Delivery)
    assert values(again.facts, "total", "billed_cost") == {("", DAY): 10.0}


async def test_files_are_hashed_only_when_they_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path / "sep.csv", [focus_row()])
    connector = BillingFiles(name="bills", path=path, kind=BillKind.FOCUS)
    [first] = [item async for item in connector.deliveries({})]
    assert isinstance(first, Delivery)
    monkeypatch.setattr("connectors.billing_files.hashlib.file_digest", None)
    assert [type(item) async for item in connector.deliveries({first.origin: first.fingerprint})] == [Unchanged]


async def test_a_path_longer_than_an_origin_is_cut_and_stays_one_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["x" * 200] * 6)
    folder.mkdir(parents=True)
    for name in ("a.csv", "b.csv"):
        write_csv(folder / name, [focus_row()])
    first, second = await poll(tmp_path)
    assert isinstance(first, Delivery)
    assert len(first.origin) == MAX_TEXT
    assert {decode_fact(encode(fact)).origin for fact in first.facts} == {first.origin}
    assert second.origin != first.origin
    assert await poll(tmp_path, known={first.origin: first.fingerprint}) == [Unchanged(origin=first.origin), second]


async def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("2024-10.csv", "2024-09.csv.gz", "sub/2024-08.CSV", ".hidden.csv", "notes.txt", "half.csv.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_csv(tmp_path / name, [focus_row()])
    origins = [item.origin for item in await poll(tmp_path)]
    assert origins == ["bills:2024-09.csv.gz", "bills:2024-10.csv", "bills:sub/2024-08.CSV"]


async def test_a_glob_takes_what_it_names(tmp_path: Path) -> None:
    for name in ("a/bill.txt", "b/bill.txt", "b/other.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_csv(tmp_path / name, [focus_row()])
    origins = [item.origin for item in await poll(tmp_path / "*" / "bill.txt")]
    assert origins == ["bills:a/bill.txt", "bills:b/bill.txt"]
    assert await poll(tmp_path / "*.parquet") == []


async def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match="connector 'bills': expected a file, a folder or a glob, found nothing at"
    ):
        await poll(tmp_path / "nothing.csv")


async def test_a_broken_file_is_refused_as_a_whole_and_the_others_are_read(tmp_path: Path) -> None:
    good = write_csv(tmp_path / "b.csv", [focus_row()])
    content = gzip.compress(good.read_bytes() + os.urandom(50_000).hex().encode())
    (tmp_path / "a.csv.gz").write_bytes(content[:-20_000])
    refused, delivery = await poll(tmp_path)
    assert isinstance(refused, Refused)
    assert (refused.origin, refused.path, refused.expected) == ("bills:a.csv.gz", "a.csv.gz", "a complete file")
    assert "found that it breaks off" in str(refused)
    assert total(delivery) == 8.0


async def test_an_archive_that_cannot_be_unpacked_does_not_end_the_poll(tmp_path: Path) -> None:
    write_csv(tmp_path / "b.csv", [focus_row()])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", (tmp_path / "b.csv").read_text())
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + place] |= 1  # says that it is encrypted
    (tmp_path / "a.zip").write_bytes(content)
    refused, good = await poll(tmp_path)
    assert isinstance(refused, Refused)
    assert "encrypted" in refused.found
    assert total(good) == 8.0


async def test_a_file_that_must_not_be_read_does_not_end_the_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.csv", "b.csv"):
        write_csv(tmp_path / name, [focus_row()])
    ordinary = Path.open

    def guarded(path: Path, *arguments: Any) -> Any:
        if path.name == "a.csv":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return ordinary(path, *arguments)

    monkeypatch.setattr(Path, "open", guarded)  # the tests may run as root, whom no mode keeps out
    refused, good = await poll(tmp_path)
    assert str(refused) == "a.csv: expected a file that can be read, found Permission denied"
    assert total(good) == 8.0


async def test_tags_nested_without_end_are_a_bad_row(tmp_path: Path) -> None:
    nested = '{"a":' * 3_000 + "1" + "}" * 3_000
    delivery = await deliver(write_csv(tmp_path / "a.csv", [focus_row(Tags=nested), focus_row()]))
    [bad] = delivery.bad
    assert (bad.field, bad.reason) == ("Tags", BadReason.MALFORMED)
    assert total(delivery) == 8.0


async def test_a_file_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "bill.csv", [cur_row()])
    [refused] = await poll(path, BillKind.FOCUS)
    assert isinstance(refused, Refused)
    assert str(refused).startswith("bill.csv: expected the FOCUS columns BilledCost, EffectiveCost")


async def test_a_file_of_bad_rows_is_refused_and_not_told_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    header = ",".join(focus_row())
    path.write_text(header + "\n" + "?,?\n" * 10_001)
    [refused] = await poll(path)
    assert isinstance(refused, Refused)
    assert refused.found == "mostly rows that are none, such as: expected 16 columns, got 2 at bill.csv:2"


async def test_a_header_without_rows_is_an_empty_delivery(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(",".join(focus_row()) + "\n")
    delivery = await deliver(path)
    assert (delivery.facts, delivery.rows, delivery.complete_until) == ((), 0, None)


async def test_a_sum_no_fact_can_carry_is_a_bad_record(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "bill.csv", [focus_row(EffectiveCost="1e12")] * 2)
    delivery = await deliver(path, rules=SplitRules(tags=(), dimensions=()))
    [bad] = delivery.bad
    assert bad.reason is BadReason.OUT_OF_RANGE
    assert (
        "got 2.000000E+12 for default/effective_cost/USD/1d/total= at 2024-09-18T00:00:00Z in bill.csv" in bad.message
    )


async def test_contract_commitments_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    content = (DATA / "focus" / "synthetic_1_3_aws_contract_commitment.csv.gz").read_bytes()
    (tmp_path / "commitments.csv.gz").write_bytes(content)
    assert await poll(tmp_path) == []
    [refused] = await poll(tmp_path / "commitments.csv.gz")
    assert isinstance(refused, Refused)


def test_rules_are_checked_when_the_connector_is_made(tmp_path: Path) -> None:
    with pytest.raises(SplitRulesError, match="got 'team'"):
        BillingFiles(name="bills", path=tmp_path, kind="focus", rules=SplitRules(dimensions=("team",)))


# Manifests: laid out as the deliveries in the AWS and Azure documentation; no public sample of one exists.


async def test_the_files_of_a_manifest_are_one_delivery(tmp_path: Path) -> None:
    period = {"start": "20231101T000000.000Z", "end": "20231201T000000.000Z"}
    for number in (1, 2):
        cur_file(tmp_path / f"rep/20231101-20231201/rep-{number}.csv.gz", "1.25")
    keys = [f"pre/fix/rep/20231101-20231201/rep-{number}.csv.gz" for number in (1, 2)]
    write_manifest(tmp_path / "rep/20231101-20231201/rep-Manifest.json", keys, billingPeriod=period, reportName="rep")
    [delivery] = await poll(tmp_path, BillKind.CUR)
    assert delivery.origin == "bills:rep/20231101-20231201"
    assert total(delivery) == 2.5


async def test_a_manifest_is_read_all_or_none(tmp_path: Path) -> None:
    cur_file(tmp_path / "rep/20231101-20231201/rep-1.csv.gz", "1")
    keys = ["rep/20231101-20231201/rep-1.csv.gz", "rep/20231101-20231201/rep-2.csv.gz"]
    write_manifest(tmp_path / "rep/20231101-20231201/rep-Manifest.json", keys)
    [refused] = await poll(tmp_path, BillKind.CUR)
    assert isinstance(refused, Refused)
    assert refused.origin == "bills:rep/20231101-20231201"
    assert str(refused) == (
        "rep/20231101-20231201/rep-Manifest.json: expected all 2 files it lists, "
        "found no rep/20231101-20231201/rep-2.csv.gz"
    )


async def test_older_versions_of_a_report_are_not_added_to_the_latest(tmp_path: Path) -> None:
    month = tmp_path / "rep" / "20231101-20231201"
    for version, cost in (("v1", "1"), ("v2", "3")):
        cur_file(month / version / "rep-1.csv.gz", cost)
        write_manifest(month / version / "rep-Manifest.json", [f"rep/20231101-20231201/{version}/rep-1.csv.gz"])
    cur_file(month / "v0" / "rep-1.csv.gz", "100")
    write_manifest(month / "rep-Manifest.json", ["rep/20231101-20231201/v2/rep-1.csv.gz"])
    [delivery] = await poll(tmp_path, BillKind.CUR)
    assert (delivery.origin, total(delivery)) == ("bills:rep/20231101-20231201", 3.0)


async def test_data_exports_name_their_files_by_address(tmp_path: Path) -> None:
    export = tmp_path / "exp"
    cur_file(export / "data/BILLING_PERIOD=2023-11/2023-exec2/exp-00001.csv.gz", "3")
    cur_file(export / "data/BILLING_PERIOD=2023-11/2023-exec1/exp-00001.csv.gz", "100")
    manifest = export / "metadata/BILLING_PERIOD=2023-11/exp-Manifest.json"
    manifest.parent.mkdir(parents=True)
    address = "s3://bucket/prefix/exp/data/BILLING_PERIOD=2023-11/2023-exec2/exp-00001.csv.gz"
    manifest.write_text(json.dumps({"executionId": "2", "dataFiles": [address]}))
    [delivery] = await poll(tmp_path, BillKind.CUR)
    assert (delivery.origin, total(delivery)) == ("bills:exp/2023-11", 3.0)


async def test_azure_manifests_list_blobs_and_the_last_run_counts(tmp_path: Path) -> None:
    for run, cost, hour in (("run-b", "1", "01"), ("run-a", "5", "09")):
        folder = tmp_path / "cost/focus/20240901-20240930" / run
        folder.mkdir(parents=True)
        write_csv(folder / "part_0_0001.csv", [focus_row(EffectiveCost=cost)])
        manifest = {
            "exportConfig": {"exportName": "focus"},
            "runInfo": {
                "startDate": "2024-09-01T00:00:00",
                "endDate": "2024-09-30T00:00:00",
                "submittedTime": f"2024-09-18T{hour}:00:00",
            },
            "blobs": [{"blobName": f"cost/focus/20240901-20240930/{run}/part_0_0001.csv", "byteCount": 1}],
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
    [delivery] = await poll(tmp_path)
    assert (delivery.origin, total(delivery)) == ("bills:focus/20240901-20240930", 5.0)


async def test_a_manifest_may_be_the_path_itself(tmp_path: Path) -> None:
    cur_file(tmp_path / "rep/20231101-20231201/rep-1.csv", "4")
    manifest = write_manifest(
        tmp_path / "rep/20231101-20231201/rep-Manifest.json", ["x/rep/20231101-20231201/rep-1.csv"]
    )
    [delivery] = await poll(manifest, BillKind.CUR)
    assert total(delivery) == 4.0


@pytest.mark.parametrize("content", ["{", '{"reportKeys": 7}', '{"other": 1}', "[]"])
async def test_a_manifest_of_no_known_form_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x-Manifest.json").write_text(content)
    [refused] = await poll(tmp_path, BillKind.CUR)
    assert isinstance(refused, Refused)
    assert refused.expected.startswith("a manifest with reportKeys (CUR)")


@pytest.mark.parametrize("key", ["../../secret.csv", "secret.csv", "/secret.csv", "s3://bucket/x/secret.csv", "", "/"])
async def test_a_manifest_leads_to_no_file_outside(tmp_path: Path, key: str) -> None:
    cur_file(tmp_path / "secret.csv", "4")
    folder = tmp_path / "a" / "b"
    write_manifest(folder / "x-Manifest.json", [key])
    [refused] = await poll(folder, BillKind.CUR)
    assert isinstance(refused, Refused)


async def test_a_file_beside_a_manifest_of_the_root_stays_its_own_delivery(tmp_path: Path) -> None:
    cur_file(tmp_path / "rep-1.csv", "4")
    cur_file(tmp_path / "other.csv", "5")
    write_manifest(
        tmp_path / "rep-Manifest.json", ["p/rep-1.csv"], billingPeriod={"start": "20231101", "end": "20231201"}
    )
    assert {item.origin: total(item) for item in await poll(tmp_path, BillKind.CUR)} == {
        "bills:rep/20231101-20231201": 4.0,
        "bills:other.csv": 5.0,
    }
