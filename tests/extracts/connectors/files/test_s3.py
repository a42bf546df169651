"""Objects of an S3-compatible store, a real one over HTTP."""

from __future__ import annotations

import boto3
import pytest
from moto.server import ThreadedMotoServer

from agnes_site.core.errors import UpstreamError
from catalog.connectors import Reach
from extracts.connectors.files.locations.choice import location_of
from extracts.connectors.files.locations.download import RemoteDeniedError
from extracts.connectors.files.locations.location import RemoteFileMissingError
from extracts.connectors.files.settings import FilesConfig
from extracts.connectors.files.source_file import SourceFilesMissingError
from extracts.connectors.reach.hosts import HostNotAllowedError
from extracts.connectors.reach.web import HostUnreachableError
from tests.extracts.connectors.files.places import LOOPBACK, Misbehaving, Runs, connector, table

KEY = {"s3_secret_access_key": "secret/with+signs="}


@pytest.fixture(scope="module")
def server():
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def s3(server):
    client = boto3.client(
        "s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id="id",
        aws_secret_access_key=KEY["s3_secret_access_key"],
    )  # fmt: skip
    client.create_bucket(Bucket="data")
    yield client
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="data"):
        for item in page.get("Contents", []):
            client.delete_object(Bucket="data", Key=item["Key"])
    client.delete_bucket(Bucket="data")


def config_of(server: str, address: str = "s3://data/exports/", **more) -> FilesConfig:
    given = {"s3_endpoint": server, "s3_access_key_id": "id", **more}
    return FilesConfig(urls=(address,), **given)


class TestS3:
    def test_brings_objects_and_knows_them_again(self, server, s3, tmp_path):
        s3.put_object(Bucket="data", Key="exports/2024/a b+c ä%.csv", Body=b"id\n2\n1\n")
        runs = Runs(tmp_path, config_of(server), table("2024/*.csv", key=("id",)), **KEY)

        runs.run()

        assert runs.rows() == [{"id": 1}, {"id": 2}]
        assert runs.run().is_unchanged
        s3.put_object(Bucket="data", Key="exports/2024/a b+c ä%.csv", Body=b"id\n3\n")
        runs.run()
        assert runs.rows() == [{"id": 3}]

    def test_reads_only_what_changed_with_a_part_per_file(self, server, s3, tmp_path):
        for number in (1, 2):
            body = f"id\n{number}\n".encode()
            s3.put_object(Bucket="data", Key=f"exports/{number}.csv", Body=body)
        runs = Runs(tmp_path, config_of(server), table("*.csv", part_per_file=True), **KEY)
        runs.run()
        s3.delete_object(Bucket="data", Key="exports/1.csv")

        result = runs.run()

        assert (result.parts, result.removed_parts) == ((), ("1.csv",))
        assert runs.rows() == [{"id": 2}]

    def test_takes_a_key_with_signs_for_the_object_if_there_is_one(self, server, s3):
        for key in ("a[1].csv", "a1.csv"):
            s3.put_object(Bucket="data", Key=f"exports/{key}", Body=b"id\n1\n")
        location = location_of(config_of(server), KEY, LOOPBACK)

        assert [entry.name for entry in location.entries("a[1].csv")] == ["a[1].csv"]
        assert [entry.name for entry in location.entries("a[0-9].csv")] == ["a1.csv"]

    def test_lists_more_objects_than_a_page_holds(self, server, s3):
        for number in range(1100):
            s3.put_object(Bucket="data", Key=f"exports/many/{number:04}.csv", Body=b"id\n1\n")
        location = location_of(config_of(server), KEY, LOOPBACK)

        assert len(location.entries("many")) == 1100
        assert connector().test(config_of(server), KEY).details == {"files": 1100}

    def test_takes_a_pattern_in_its_address(self, server, s3):
        for name in ("x/a.csv", "x/b.tsv", "y/c.csv", ".x/d.csv"):
            s3.put_object(Bucket="data", Key=f"exports/{name}", Body=b"id\n1\n")

        found = location_of(config_of(server, "s3://data/exports/**/*.csv"), KEY, LOOPBACK).listed()

        assert [entry.name for entry in found] == ["x/a.csv", "y/c.csv"]

    def test_offers_objects_of_one_shape_as_one_table(self, server, s3):
        for month in (1, 2, 3):
            key = f"exports/orders_2024-{month:02}.csv"
            s3.put_object(Bucket="data", Key=key, Body=b"id,total\n1,2.5\n")
        s3.put_object(Bucket="data", Key="exports/customers.csv", Body=b"id\n1\n")

        specs = {spec.source_table: spec for spec in connector().discover(config_of(server), KEY)}

        assert list(specs) == ["customers.csv", "orders_[0-9]*.csv"]
        assert specs["orders_[0-9]*.csv"].name == "orders"
        assert specs["orders_[0-9]*.csv"].bytes == 45

    def test_says_what_is_missing(self, server, s3, tmp_path):
        with pytest.raises(RemoteFileMissingError, match="bucket of that name"):
            connector().test(config_of(server, "s3://nowhere/"), KEY)
        with pytest.raises(SourceFilesMissingError):
            Runs(tmp_path, config_of(server), table("no.csv"), **KEY).run()

    def test_asks_for_its_endpoint_to_be_allowed(self, server):
        with pytest.raises(HostNotAllowedError):
            connector(Reach()).test(config_of(server), KEY)


class TestRefusals:
    @pytest.mark.parametrize(
        "code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"]
    )
    def test_name_the_store_s_own_reason(self, httpserver, code):
        httpserver.expect_request("/data/").respond_with_data(
            f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>", status=403
        )

        with pytest.raises(RemoteDeniedError, match=code):
            connector().test(config_of(httpserver.url_for("")), KEY)

    def test_name_the_region_of_the_bucket(self, httpserver):
        httpserver.expect_request("/data/").respond_with_data(
            status=301, headers={"x-amz-bucket-region": "eu-central-1"}
        )

        with pytest.raises(Exception, match="eu-central-1"):
            connector().test(config_of(httpserver.url_for("")), KEY)

    @pytest.mark.parametrize(
        "body",
        [
            "nonsense", "<a>", "",
            "<L><IsTruncated>true</IsTruncated></L>",
            "<!DOCTYPE x [" + "".join(
                f"<!ENTITY e{n} '{f'&e{n - 1};' * 10 if n else 'x' * 100}'>" for n in range(12)
            ) + "]><x>&e11;</x>",
        ],
    )  # fmt: skip
    def test_take_no_answer_for_a_list_that_is_none(self, httpserver, body):
        httpserver.expect_request("/data/").respond_with_data(body)

        with pytest.raises(UpstreamError):
            connector().test(config_of(httpserver.url_for("")), KEY)

    def test_say_that_a_list_was_cut_off(self):
        with (
            Misbehaving([], b"<L></L>" + b" " * 1000, cut_after=10, is_stubborn=True) as url,
            pytest.raises(HostUnreachableError, match="ended the connection"),
        ):
            connector().test(config_of(url.removesuffix("/f")), KEY)

    def test_take_names_as_they_are_from_a_store_that_does_not_encode_them(self, httpserver):
        httpserver.expect_request("/data/").respond_with_data(
            "<L><Contents><Key>exports/a+b%20.csv</Key></Contents></L>"
        )
        location = location_of(config_of(httpserver.url_for("")), KEY, LOOPBACK)

        assert [entry.name for entry in location.listed()] == ["a+b%20.csv"]

    def test_prove_who_asks_without_the_secret_itself(self, httpserver):
        httpserver.expect_request("/data/").respond_with_data("<L></L>")

        connector().test(config_of(httpserver.url_for("")), KEY)

        headers = str(httpserver.log[0][0].headers)
        assert "AWS4-HMAC-SHA256" in headers
        assert KEY["s3_secret_access_key"] not in headers

    def test_ask_for_nothing_in_a_public_bucket(self, httpserver):
        httpserver.expect_request("/data/").respond_with_data("<L></L>")

        connector().test(config_of(httpserver.url_for(""), s3_access_key_id=""), {})

        assert "Authorization" not in httpserver.log[0][0].headers
