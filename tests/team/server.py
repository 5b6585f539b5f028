"""The servers of a team: `python -m tests.team.server FOLDER`, until SIGTERM.

PostgreSQL keeps the records, moto's S3 server the artifacts, and MLflow's server stands in front of both;
everything listens on this machine only.
"""

import argparse
import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from command_line import Parser

HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0
# PostgreSQL does not run as root; Debian's package makes this user for it.
POSTGRES_USER = "postgres"
DATABASE, OWNER = "mlflow", "mlflow"
# What the kernel takes as the address of a socket.
MAX_SOCKET_PATH = 107
SOCKET = ".s.PGSQL.5432"
MOTO = "import sys; from moto.server import main; main(['-H', sys.argv[1], '-p', sys.argv[2]])"
STAND_IN_BUCKET = "arena"


class Problem(Exception):
    """Something is missing; one sentence with the way out."""


def main() -> int:
    """Run until Ctrl-C or SIGTERM; 2 says that it could not start."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with ExitStack() as running:
            bring_up(options.folder.expanduser().absolute(), options.port, options.artifacts, running)
            print(f"export ARENA_TRACKING_URI=http://{HOST}:{options.port}", flush=True)
            print("Ready; Ctrl-C ends it, and what it keeps stays.", file=sys.stderr, flush=True)
            signal.pause()
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m tests.team.server", description="Start a tracking server.")
    parser.add_argument("folder", type=Path, help="keeps the database and the logs; made on first use")
    parser.add_argument("--port", type=int, default=5000, help="of MLflow's server (%(default)s)")
    parser.add_argument(
        "--artifacts",
        metavar="s3://BUCKET/PATH",
        help="where artifacts go, with AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set; "
        "without it a stand-in for trying things out, which forgets them when it ends",
    )
    return parser.parse_args()


def bring_up(folder: Path, port: int, artifacts: str | None, running: ExitStack) -> None:
    """Start everything, each part once the one before it answers; `running` ends it the other way round.

    Raises:
        Problem: Something is missing or does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    database = start_postgresql(folder, running)
    if artifacts:
        settings: Mapping[str, str] = {}
    else:
        artifacts, settings = start_stand_in(folder, running)
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--artifacts-destination", artifacts),
    ]
    # Not among the arguments, which everybody on this machine can read.
    secret = {"MLFLOW_BACKEND_STORE_URI": database}
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = start(command, folder / "mlflow.log", running, environment={**settings, **secret, **quiet})
    await_answer(process, folder / "mlflow.log", lambda: answers(f"http://{HOST}:{port}/health"))


def start_postgresql(folder: Path, running: ExitStack) -> str:
    """Start PostgreSQL on a socket in the folder, with its data made on first use; return its address."""
    data, password_file = folder / "postgresql", folder / "postgresql.password"
    if len(str(data / SOCKET)) > MAX_SOCKET_PATH:
        raise Problem(f"{folder} is too long a name for a socket; choose a shorter one.")
    initdb, postgres = find_program("initdb"), find_program("postgres")
    user = POSTGRES_USER if os.geteuid() == 0 else None
    if not password_file.exists():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24), encoding="utf-8")
    password = password_file.read_text(encoding="utf-8")
    if not (data / "PG_VERSION").exists():
        data.mkdir(mode=0o700, exist_ok=True)
        if user:
            for path in (data, password_file):
                shutil.chown(path, user, user)
        made = subprocess.run(
            [
                *(initdb, "-D", str(data), "-U", OWNER, f"--pwfile={password_file}"),
                *("--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"),
            ],
            capture_output=True, text=True, user=user, group=user, extra_groups=[] if user else None, cwd="/",
        )  # fmt: skip
        if made.returncode:
            raise Problem(f"PostgreSQL cannot make its data in {data}: {made.stderr.strip()}")
    log = folder / "postgresql.log"
    command = [postgres, "-D", str(data), "-k", str(data), "-c", "listen_addresses="]
    process = start(command, log, running, user=user, ending=signal.SIGINT)
    address = f"host={data} user={OWNER} password={password}"
    await_answer(process, log, lambda: make_database(address))
    return f"postgresql+psycopg://{OWNER}:{password}@/{DATABASE}?host={quote(str(data), safe='')}"


def make_database(address: str) -> bool:
    """Make the database unless it is there; whether the server answers."""
    import psycopg

    try:
        with psycopg.connect(f"{address} dbname=postgres", autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")  # type: ignore[arg-type]
    except psycopg.OperationalError:
        return False
    return True


def start_stand_in(folder: Path, running: ExitStack) -> tuple[str, Mapping[str, str]]:
    """Start moto's S3 server with an empty bucket; return the bucket and the settings that find it."""
    import boto3

    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    settings = {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_ACCESS_KEY_ID": getpass.getuser(),
        "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(24),
        "AWS_DEFAULT_REGION": "us-east-1",
        "MOTO_S3_CUSTOM_ENDPOINTS": f"http://{HOST}:{port}",
    }
    log = folder / "s3.log"
    process = start([sys.executable, "-c", MOTO, HOST, str(port)], log, running, environment=settings)
    await_answer(process, log, lambda: answers(f"http://{HOST}:{port}/"))
    client = boto3.client(
        "s3",
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
        region_name=settings["AWS_DEFAULT_REGION"],
    )
    client.create_bucket(Bucket=STAND_IN_BUCKET)
    return f"s3://{STAND_IN_BUCKET}", settings


def find_program(name: str) -> str:
    """Find a program of PostgreSQL, the newest where Debian has put several beside the path."""
    found = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda path: [int(number) for number in re.findall(r"\d+", path.parts[4])],
    )
    program = shutil.which(name) or (str(found[-1]) if found else "")
    if not program:
        raise Problem("PostgreSQL is not installed; on Debian: apt install postgresql")
    return program


def start(
    command: Sequence[str],
    log: Path,
    running: ExitStack,
    *,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> "subprocess.Popen[bytes]":
    """Start a process that `running` ends; in a session of its own, so that Ctrl-C reaches only us."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, **(environment or {})}, user=user, group=user,
            extra_groups=[] if user else None, cwd="/" if user else None,
        )  # fmt: skip
    running.callback(end, process, ending)
    return process


def end(process: "subprocess.Popen[bytes]", ending: signal.Signals) -> None:
    """End a process and its children."""
    try:
        process.send_signal(ending)
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def await_answer(process: "subprocess.Popen[bytes]", log: Path, is_ready: Callable[[], bool]) -> None:
    """Wait until a server works. Raises Problem when it ends or takes too long."""
    until = time.monotonic() + START_TIMEOUT_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > until:
            raise Problem(f"It does not start; {log} says why.")
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether a server answers at an address."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main())
