"""An S3-compatible server on the loopback address: moto's, which speaks the protocol over HTTP."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

BUCKET = "images"
CODE = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "someone",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Server:
    """A process of its own, so that it can be killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": self.url},
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, "the server did not start"
            time.sleep(0.05)
        raise AssertionError("the server does not listen")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def client(self) -> "boto3.client":
        return boto3.client("s3", endpoint_url=self.url, config=Config(retries={"max_attempts": 10}))

    def put(self, folder: Path, prefix: str) -> str:
        """Uploads a folder and returns its address."""
        client = self.client()
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                client.upload_file(str(file), BUCKET, f"{prefix}/{file.relative_to(folder).as_posix()}")
        return f"s3://{BUCKET}/{prefix}"


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with an empty bucket, found by the environment as a user's would be."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    running = Server()
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
    running.client().create_bucket(Bucket=BUCKET)
    yield running
    running.stop()
