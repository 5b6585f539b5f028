"""A finished run's checkpoint arrives on the server, now or later, and what cannot stops nothing."""

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tracking import client, records
from tracking.problems import StoreUnavailable
from tracking.store import Store
from tracking.uploads import CHECKPOINTS, expect, list_due, upload

CONFIG = {"model": {"architecture": "alexnet"}, "data": {"source": "digits"}}
MOST_BYTES = 5000


def create(store: Store, status: str, *names: str) -> str:
    run_id = records.create_run(store, CONFIG, status=status)
    store.checkpoint_folder(run_id).mkdir(parents=True)
    for name in names:
        (store.checkpoint_folder(run_id) / name).write_bytes(name.encode() * 1000)
    expect(store, run_id)
    return run_id


def arrived(store: Store, run_id: str) -> list[str]:
    return [file.path for file in client.client(store).list_artifacts(run_id, "checkpoints")]


@pytest.mark.parametrize("names", [CHECKPOINTS, ("last.ckpt",)])
def test_the_best_checkpoint_or_else_the_last_arrives(
    names: tuple[str, ...], remote: Store, tmp_path: Path
) -> None:
    run_id = create(remote, "RUNNING", *names)
    assert upload(remote, run_id) is None  # the server does not know yet that it has finished
    assert list_due(remote) == [run_id]
    records.set_status(remote, run_id, "FINISHED")
    file = upload(remote, run_id)
    assert file is not None and file.name == names[0] and list_due(remote) == []
    assert arrived(remote, run_id) == [f"checkpoints/{names[0]}"]
    copy = client.client(remote).download_artifacts(run_id, f"checkpoints/{names[0]}", str(tmp_path))
    assert Path(copy).read_bytes() == file.read_bytes()


def test_while_the_server_is_away_it_stays_due(remote: Store) -> None:
    run_id = create(remote, "FINISHED", "best.ckpt")
    with pytest.raises(StoreUnavailable):
        upload(Store(remote.root, "http://127.0.0.1:9"), run_id)
    assert list_due(remote) == [run_id]
    assert upload(remote, run_id) is not None
    assert arrived(remote, run_id) == ["checkpoints/best.ckpt"]


@pytest.mark.parametrize("status", ["FAILED", "FINISHED", "deleted"])
def test_of_other_runs_nothing_is_due(status: str, remote: Store) -> None:
    names = () if status == "FINISHED" else ("best.ckpt",)
    run_id = create(remote, "FAILED" if status == "deleted" else status, *names)
    if status == "deleted":
        client.client(remote).delete_run(run_id)  # by somebody else: this machine's files are there
    assert upload(remote, run_id) is None
    assert list_due(remote) == []


@pytest.mark.fault("server that takes no file so large", "put aside, with the reason; nothing else stops")
def test_what_is_refused_for_good_is_put_aside(remote: Store) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), small_proxy(remote.server)) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        behind = Store(remote.root, f"http://127.0.0.1:{proxy.server_port}")
        run_id = create(behind, "FINISHED", "best.ckpt")
        assert upload(behind, run_id) is None
        proxy.shutdown()
    assert list_due(remote) == [] and arrived(remote, run_id) == []
    assert "413" in (remote.spool / f"{run_id}.refused").read_text()


def small_proxy(server: str) -> type[BaseHTTPRequestHandler]:
    """What stands before many servers, as it is by default: it passes on everything but large files."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.forward()

        def do_POST(self) -> None:
            self.forward()

        def do_PUT(self) -> None:
            self.forward()

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if len(body) > MOST_BYTES:
                return self.send_error(413)
            headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            request = urllib.request.Request(server + self.path, body or None, headers, method=self.command)
            with urllib.request.urlopen(request) as answer:
                content = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Proxy
