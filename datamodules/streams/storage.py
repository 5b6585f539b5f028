"""Files at an address: ``s3://``, ``gs://`` and ``hf://``. Credentials come from the environment.

Each process opens its own connections, so that workers may be forked at any time. Requests time out after
less than a minute.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from datamodules.problems import DataError, Reading, Remote
from datamodules.sources import is_address

CONNECT_S, READ_S, ATTEMPTS = 5, 20, 3
BLOCK_BYTES = 2**20
GOOGLE_SETTING = "GOOGLE_APPLICATION_CREDENTIALS"


class Store(Protocol):
    """A folder of files at an address."""

    @property
    def address(self) -> str:
        """Address of the folder."""

    def stream(self, name: str) -> Iterator[bytes]:
        """Yield the blocks of a file.

        Raises:
            DataError: The file is missing, access is refused, or the server does not answer.
        """


def open_store(address: str) -> "Store":
    """Return the files at an address, without a request.

    Raises:
        DataError: The address is invalid or not supported.
    """
    scheme, _, path = address.rstrip("/").partition("://")
    place, _, folder = path.partition("/")
    if scheme == "s3" and place:
        return Bucket(address.rstrip("/"), place, folder)
    if scheme == "gs" and place:
        host = os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
        if not is_address(host):  # some of Google's libraries expect it without a scheme
            host = f"http://{host}"
        return Web(address.rstrip("/"), f"{host.rstrip('/')}/{quote(path)}", "gs")
    if scheme == "hf" and path.startswith("datasets/") and path.count("/") >= 2:
        host = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        owner, name, *rest = path.removeprefix("datasets/").split("/")
        name, _, revision = name.partition("@")
        url = "/".join((host.rstrip("/"), "datasets", owner, name, "resolve", revision or "main", *rest))
        return Web(address.rstrip("/"), quote(url, safe=":/"), "hf")
    raise DataError(Remote.NOT_AN_ADDRESS, address=address)


def read_file(store: Store, name: str, limit_bytes: int) -> bytes:
    """Read a small file.

    Raises:
        DataError: It cannot be downloaded, or is larger than the limit.
    """
    content = bytearray()
    for block in store.stream(name):
        content += block
        if len(content) > limit_bytes:
            raise DataError(Reading.TOO_LARGE, file=f"{store.address}/{name}", limit=limit_bytes)
    return bytes(content)


def download(store: Store, name: str, file: BinaryIO, size_bytes: int) -> None:
    """Download a file of known size into an open one, with several attempts if it is interrupted.

    Raises:
        DataError: It cannot be downloaded, or has another size.
    """
    for attempt in range(1, ATTEMPTS + 1):
        file.seek(0)
        try:
            for block in store.stream(name):
                file.write(block)
                if file.tell() > size_bytes:
                    break
        except Interrupted:
            if attempt == ATTEMPTS:
                raise
            continue
        if file.tell() != size_bytes:
            raise DataError(Remote.WRONG_SIZE, address=store.address, name=name, size=size_bytes)
        return


class NotThere(DataError):
    """There is no such file."""


class Interrupted(DataError):
    """A download was interrupted."""


@dataclass(frozen=True)
class Bucket:
    """A folder in S3, or in a compatible store (``AWS_ENDPOINT_URL``).

    boto3 finds the credentials and the region; without credentials, requests are not signed, which is enough
    for public data.
    """

    address: str
    bucket: str
    folder: str

    def stream(self, name: str) -> Iterator[bytes]:
        """Yield the blocks of a file. Raises DataError."""
        with self._explained(name):
            body = self._client().get_object(Bucket=self.bucket, Key=self._key(name))["Body"]
        with self._explained(name, has_begun=True):
            yield from body.iter_chunks(BLOCK_BYTES)

    def upload(self, stream: BinaryIO, name: str) -> None:
        """Upload a file atomically, from the position of the stream. Raises DataError."""
        with self._explained(name):
            self._client().upload_fileobj(stream, self.bucket, self._key(name))

    def sizes_bytes(self) -> dict[str, int]:
        """Return the files directly in the folder and their sizes. Raises DataError."""
        with self._explained(""):
            pages = self._client().get_paginator("list_objects_v2")
            found = pages.paginate(Bucket=self.bucket, Prefix=self._key(""), Delimiter="/")
            rows = (row for page in found for row in page.get("Contents", ()))
            return {row["Key"].rpartition("/")[2]: row["Size"] for row in rows}

    def is_empty(self) -> bool:
        """Return whether there is nothing in or below the folder. Raises DataError."""
        with self._explained(""):
            prefix = self._key("")
            found = self._client().list_objects_v2(Bucket=self.bucket, Prefix=prefix, MaxKeys=1)
            return not found.get("Contents")

    def _key(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder else name

    def _client(self) -> Any:
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return _connect(os.getpid(), endpoint)

    @contextmanager
    def _explained(self, name: str, has_begun: bool = False) -> Iterator[None]:
        import botocore.exceptions
        import urllib3.exceptions

        try:
            yield
        except botocore.exceptions.ClientError as error:
            raise self._explain(name, error.response) from error
        except (botocore.exceptions.BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
            if has_begun:
                raise Interrupted(Remote.INTERRUPTED, address=self.address, name=name) from error
            raise _unreachable(self.address, "AWS_ENDPOINT_URL", error) from error

    def _explain(self, name: str, response: Any) -> DataError:
        status, code = response["ResponseMetadata"].get("HTTPStatusCode"), response["Error"].get("Code", "")
        if code == "NoSuchBucket":
            return DataError(Remote.NO_BUCKET, bucket=self.bucket, address=self.address)
        if status == 404:
            return NotThere(Remote.NO_FILE, name=name, address=self.address)
        if status in (401, 403):
            setting = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            return DataError(Remote.REFUSED, address=self.address, said=code or status, setting=setting)
        return DataError(Remote.FAILED, address=self.address, said=code or status, name=name)


@dataclass(frozen=True)
class Web:
    """A folder that is read with HTTPS: in Google's storage or a data set of Hugging Face.

    ``HF_TOKEN`` gives access to private data sets; Google's credentials are used if google-auth finds them.
    """

    address: str
    url: str
    scheme: str

    def stream(self, name: str) -> Iterator[bytes]:
        """Yield the blocks of a file. Raises DataError."""
        import urllib3

        try:
            answer = _pool(os.getpid()).request(
                "GET", f"{self.url}/{quote(name)}", headers=_authorise(self.scheme), preload_content=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _unreachable(self.address, "the address", error) from error
        try:
            if answer.status == 404:
                raise NotThere(Remote.NO_FILE, name=name, address=self.address)
            if answer.status in (401, 403):
                setting = "HF_TOKEN" if self.scheme == "hf" else GOOGLE_SETTING
                raise DataError(Remote.REFUSED, address=self.address, said=answer.status, setting=setting)
            if answer.status != 200:
                raise DataError(Remote.FAILED, address=self.address, said=answer.status, name=name)
            yield from answer.stream(BLOCK_BYTES)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Interrupted(Remote.INTERRUPTED, address=self.address, name=name) from error
        finally:
            answer.close()  # what was not read to its end must not be used again


def _unreachable(address: str, setting: str, error: Exception) -> DataError:
    return DataError(Remote.NO_ANSWER, address=address, said=type(error).__name__, setting=setting)


@lru_cache(maxsize=1)
def _connect(process: int, endpoint: str | None) -> Any:
    """Return a client of this process; an inherited one would share sockets with the parent process."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    session = boto3.session.Session()
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=16,
    )
    if not session.get_credentials():
        config = config.merge(Config(signature_version=UNSIGNED))
    if endpoint:
        # Other servers rarely have a host name for each bucket, or the latest checksums.
        config = config.merge(
            Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
        )
    region = session.region_name or "us-east-1"
    return session.client("s3", config=config, region_name=region, endpoint_url=endpoint)


@lru_cache(maxsize=1)
def _pool(process: int) -> Any:
    import urllib3

    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
        retries=urllib3.Retry(
            ATTEMPTS, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False
        ),
    )


def _authorise(scheme: str) -> dict[str, str]:
    if scheme == "hf":
        token = os.environ.get("HF_TOKEN")
        return {"Authorization": f"Bearer {token}"} if token else {}
    credentials = None if os.environ.get("STORAGE_EMULATOR_HOST") else _google_credentials(os.getpid())
    if credentials is None:
        return {}
    if not credentials.valid:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.urllib3 import Request

        try:
            credentials.refresh(Request(_pool(os.getpid())))  # type: ignore[no-untyped-call]
        except GoogleAuthError as error:
            raise _unusable(error) from error
    return {"Authorization": f"Bearer {credentials.token}"}


@lru_cache(maxsize=1)
def _google_credentials(process: int) -> Any:
    """Return the credentials that google-auth finds; None if there are none or it is not installed."""
    try:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError
    except ImportError:
        return None
    try:
        return google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_only"])[0]
    except DefaultCredentialsError as error:
        if os.environ.get(GOOGLE_SETTING):
            raise _unusable(error) from error
        return None


def _unusable(error: Exception) -> DataError:
    return DataError(Remote.BAD_CREDENTIALS, said=type(error).__name__, setting=GOOGLE_SETTING)
