"""The real services in a folder of their own: what they guard, and what they keep."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import psycopg
import pytest
import redis
from botocore.config import Config

from easel.embedded import unprivileged
from easel.embedded.credentials import Credentials
from easel.embedded.ports import Ports
from easel.embedded.seaweed import PARTS, SeaweedFS
from easel.embedded.stack import Stack
from easel.embedded.var import Var
from tests.embedded.small_services import Ledger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="easel-services-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def own(folder: Path) -> Iterator[Stack]:
    with Stack(folder, durable=False, report=Ledger()) as stack:
        stack.start()
        yield stack


def s3(stack: Stack, *, secret: str | None = None) -> "S3Client":
    environment = stack.environment("web")
    return boto3.client(
        "s3",
        endpoint_url=environment["EASEL_S3_ENDPOINT"],
        region_name=environment["EASEL_S3_REGION"],
        aws_access_key_id=environment["EASEL_S3_ACCESS_KEY"],
        aws_secret_access_key=secret or environment["EASEL_S3_SECRET_KEY"],
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"total_max_attempts": 1},
        ),
    )


def test_a_store_keeps_the_index_that_it_was_made_with(tmp_path: Path) -> None:
    var = Var(tmp_path)
    var.make()
    ports = Ports(var.config / "ports.json")
    ports.choose(*PARTS)
    store = SeaweedFS(var, Credentials.of(var.config / "credentials.json"), ports)
    store.prepare()
    choice = store.folder / "filer.toml"
    assert tomllib.loads(choice.read_text())["leveldb3"] == {"enabled": True, "dir": f"{var.data('s3')}/filerldb3"}
    (var.data("s3") / "filerldb2").mkdir()
    store.prepare()
    assert not choice.exists()


def test_every_file_with_a_secret_is_for_its_owner_only(own: Stack) -> None:
    secrets = [value for value in vars(own.credentials).values() if len(value) >= 16]
    holding = [
        path
        for path in own.var.config.rglob("*")
        if path.is_file() and any(secret in path.read_text() for secret in secrets)
    ]
    assert {path.name for path in holding} == {
        "credentials.json",
        "broker.conf",
        "cache.conf",
        "s3.json",
        "security.toml",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}
    assert stat.S_IMODE(own.var.root.stat().st_mode) == 0o700


def test_no_password_is_on_a_command_line(own: Stack) -> None:
    secrets = [value for value in vars(own.credentials).values() if len(value) >= 16]
    for name in ("postgres", "broker", "cache", "s3"):
        line = Path(f"/proc/{own.pid(name)}/cmdline").read_text()
        assert not any(secret in line for secret in secrets), name


def test_nothing_listens_outside_the_loopback(own: Stack) -> None:
    listening = {
        (address.split(":")[0], own_name)
        for own_name in ("postgres", "broker", "cache", "s3")
        for address in listening_addresses(own.pid(own_name))
    }
    assert {name for _, name in listening} == {"postgres", "broker", "cache", "s3"}
    assert {address for address, _ in listening} == {"0100007F"}


def listening_addresses(pid: int | None) -> list[str]:
    """`address:port` in the kernel's hexadecimal form, of this process."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(descriptor) if descriptor.is_symlink() else ""
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    return [fields[1] for fields in lines if fields[3] == "0A" and fields[9] in inodes]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_filer_port_refuses_without_its_token(own: Stack, method: str) -> None:
    s3(own).put_object(Bucket="easel", Key="t/secret", Body=b"a tenant's picture")
    filer = json.loads((own.var.config / "ports.json").read_text())["s3-filer"]
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(f"http://127.0.0.1:{filer}/buckets/easel/t/secret", method=method))
    assert refused.value.code == 401
    assert s3(own).get_object(Bucket="easel", Key="t/secret")["Body"].read() == b"a tenant's picture"


def test_s3_refuses_a_wrong_secret(own: Stack) -> None:
    client = s3(own, secret="0" * 40)
    with pytest.raises(client.exceptions.ClientError, match=r"SignatureDoesNotMatch"):
        client.list_objects_v2(Bucket="easel")


def test_both_valkeys_refuse_without_the_password(own: Stack) -> None:
    for name in ("EASEL_BROKER_URL", "EASEL_CACHE_URL"):
        address = own.environment()[name].rpartition("@")[2]
        with redis.Redis.from_url(f"redis://{address}") as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_the_broker_never_drops_and_the_cache_never_grows(own: Stack) -> None:
    with redis.Redis.from_url(own.environment()["EASEL_BROKER_URL"], decode_responses=True) as broker:
        assert broker.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert broker.config_get("append*fsync") == {"appendfsync": "everysec"}
        assert broker.config_get("appendonly") == {"appendonly": "yes"}
    with redis.Redis.from_url(own.environment()["EASEL_CACHE_URL"], decode_responses=True) as cache:
        assert cache.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        assert int(cache.config_get("maxmemory")["maxmemory"]) > 0


def test_no_role_of_ours_may_do_more_than_its_part(own: Stack) -> None:
    with own.postgres.superuser("easel") as connection:
        found = connection.execute(
            "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles "
            "WHERE rolname LIKE 'easel%' ORDER BY rolname"
        ).fetchall()
    assert found == [
        ("easel_app", False, False, False, False),
        ("easel_backup", False, False, False, True),
        ("easel_owner", False, False, False, False),
        ("easel_platform", False, False, False, False),
    ]


def test_the_web_has_neither_the_platforms_nor_the_owners_password(own: Stack) -> None:
    held = "\n".join(own.environment("web").values())
    assert own.credentials.app in held
    assert own.credentials.platform not in held
    assert own.credentials.owner not in held
    assert own.credentials.postgres not in held


def test_a_killed_postgres_comes_back_with_its_data(own: Stack) -> None:
    with psycopg.connect(own.environment("manage")["EASEL_OWNER_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('still here')")
    own.kill("postgres")
    own.wait("postgres")
    with psycopg.connect(own.environment("manage")["EASEL_OWNER_DATABASE_URL"]) as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("still here",)
        connection.execute("DROP TABLE kept")


def test_a_second_start_keeps_data_and_secrets_also_on_other_ports(tmp_path: Path) -> None:
    with Stack(tmp_path / "var", durable=False, report=Ledger()) as first:
        first.start()
        s3(first).put_object(Bucket="easel", Key="kept", Body=b"still here")
        with psycopg.connect(first.environment("manage")["EASEL_OWNER_DATABASE_URL"]) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'still here' AS word")
        secrets = first.credentials
    (tmp_path / "var/config/ports.json").unlink()
    with Stack(tmp_path / "var", durable=False, report=Ledger()) as second:
        second.start()
        assert second.credentials == secrets
        assert s3(second).get_object(Bucket="easel", Key="kept")["Body"].read() == b"still here"
        with psycopg.connect(second.environment("manage")["EASEL_OWNER_DATABASE_URL"]) as connection:
            assert connection.execute("SELECT word FROM kept").fetchone() == ("still here",)


def test_a_lock_file_whose_process_is_anybodys_by_now_keeps_postgres_from_nothing(tmp_path: Path) -> None:
    """So it is after a crash of the machine: process ids begin anew."""
    with Stack(tmp_path / "var", durable=False, report=Ledger()) as before:
        before.start("postgres")
        lock = before.postgres.folder / "postmaster.pid"
        written = lock.read_text()
    with subprocess.Popen([*unprivileged.prefix(Path(sys.executable)), "sleep", "60"]) as stranger:
        try:
            lock.write_text(f"{stranger.pid}\n{written.partition(chr(10))[2]}")
            with Stack(tmp_path / "var", durable=False, report=Ledger()) as after:
                after.start("postgres")
                assert int(lock.read_text().split()[0]) == after.pid("postgres")
        finally:
            stranger.kill()
