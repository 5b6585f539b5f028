"""Notifications to a real server and a real command, whose failures do not stop the supervisor."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jobs.problems import BadValue
from jobs.supervision import notifications
from jobs.supervision.notifications import NOTIFY, PROBLEM, Settings, notify, post, read_settings, start
from tests.refusals import refused
from tracking import records, runs


@pytest.fixture
def server():
    """A web server that stores the requests and responds with the status codes in `answers`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
            code = self.server.answers.pop(0) if self.server.answers else 200
            time.sleep(self.server.delay_s)
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.answers, server.delay_s = [], [], 0
    server.address = f"http://127.0.0.1:{server.server_port}/hook?key=secret"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def failed(store):
    run_id = records.create_run(store, {"model": {"architecture": "alexnet"}}, name="-x; touch y $(z)")
    records.set_tags(store, run_id, {"job.error": "Memory ran out."})
    records.set_status(store, run_id, "FAILED")
    return runs.get_run(store, run_id)


def writer(file):
    """Return a command that writes its input to a file."""
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2] + '\\n' + sys.stdin.read())"
    return (sys.executable, "-c", code, str(file))


def test_the_supervisor_notifies_how_runs_ended(store, benches, server, tmp_path):
    (store.root / "notify.yaml").write_text(f"webhook: {server.address}\n")
    bench = benches(store)
    bench.supervisor.ask_grace_s = 60
    good, bad = bench.submit("finish"), bench.submit("exit", code=3)
    bench.until_ended(good, bad)
    bench.until(lambda: all(bench.run(one).tags.get(NOTIFY) == "sent" for one in (good, bad)))
    messages = {message["run_id"]: message for _, _, message in server.got}
    assert len(server.got) == 2 and {path for path, _, _ in server.got} == {"/hook?key=secret"}
    assert messages[good]["status"] == "FINISHED" and messages[good]["name"] in messages[good]["text"]
    assert messages[bad]["status"] == "FAILED" and messages[bad]["error"] == bench.run(bad).error != ""


def test_runs_that_ended_without_a_supervisor_are_notified_later(store, server, failed):
    (store.root / "notify.yaml").write_text(f"webhook: {server.address}\n")
    sender = notifications.Notifications(store)
    sender.catch_up()
    sender.close()
    assert server.got == [], "the run started before there were settings"
    records.set_tags(store, failed.run_id, {NOTIFY: "due"})
    for _ in range(2):
        sender = notifications.Notifications(store)
        sender.catch_up()
        sender.close()
    assert len(server.got) == 1


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("webhook: ftp://host/x", "https://"),
        ("command: [/no/such/program]", "/no/such/program"),
        ("", ""),
    ],
)
def test_a_failed_notification_is_recorded_in_the_run(store, failed, settings, problem):
    (store.root / "notify.yaml").write_text(settings)
    sender = notifications.Notifications(store)
    sender.send(failed.run_id)
    sender.close()
    said = runs.get_run(store, failed.run_id).tags.get(PROBLEM, "")
    assert problem in said and bool(said) == bool(problem)


def test_a_server_that_is_briefly_unavailable_is_tried_again(failed, server, monkeypatch, caplog):
    monkeypatch.setattr(notifications, "PAUSES_S", (0.01, 0.01))
    server.answers += [503, 500]
    caplog.set_level("INFO", "jobs.supervision.notifications")
    assert notify(Settings(server.address), failed) == ""
    assert len(server.got) == 3 and "secret" not in caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert "127.0.0.1" in notify(Settings("http://127.0.0.1:9/"), failed)
    assert [record.levelname for record in caplog.records[3:]] == ["WARNING"] * 3


def test_a_webhook_has_a_time_limit_and_redirections_are_not_followed(server):
    server.answers.append(302)
    with pytest.raises(OSError, match="302"):
        post(server.address, {"text": "a"})
    assert len(server.got) == 1
    server.delay_s = 1
    with pytest.raises(OSError, match="timed out"):
        post(server.address, {"text": "a"}, timeout_s=0.2)
    with pytest.raises(OSError, match=r"\(InvalidURL\)"):
        post(f"{server.address} secret", {"text": "a"})
    for address in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "javascript:x"):
        with refused(BadValue.WEBHOOK):
            post(address, {"text": "a"})


def test_a_command_gets_the_sentence_as_one_word(failed, tmp_path):
    notify(Settings(command=writer(tmp_path / "said")), failed)
    sentence, message = (tmp_path / "said").read_text().split("\n")
    assert sentence == "Run -x; touch y $(z) has failed: Memory ran out."
    assert json.loads(message)["text"] == sentence
    assert not (tmp_path / "y").exists()


def test_a_command_that_fails_or_hangs_is_only_logged(failed, caplog):
    notify(Settings(command=("/no/such/program",)), failed)
    notify(Settings(command=(sys.executable, "-c", "raise SystemExit(4)")), failed)
    assert "No such file" in caplog.text and "exit code 4" in caplog.text
    began = time.monotonic()
    with pytest.raises(Exception, match="timed out"):
        start((sys.executable, "-c", "import time; time.sleep(60)"), {"text": "a"}, timeout_s=0.3)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("webhook: ftp://host/x", BadValue.WEBHOOK),
        ("webhook: 7", BadValue.WEBHOOK),
        ("command: rm -rf /", BadValue.NOTIFY_COMMAND),
        ("command: [a, 1]", BadValue.NOTIFY_COMMAND),
        ("mail: me", BadValue.NOTIFY_KEYS),
        ("[1, 2]", BadValue.NOTIFY_KEYS),
        ("a: [", BadValue.NOT_YAML),
    ],
)
def test_invalid_settings(store, failed, text, code):
    (store.root / "notify.yaml").write_text(text)
    with refused(code):
        read_settings(store, {})
    sender = notifications.Notifications(store)
    sender.catch_up()
    sender.send(failed.run_id)
    sender.close()


def test_the_environment_wins(store):
    assert not read_settings(store, {})
    (store.root / "notify.yaml").write_text("webhook: http://a/b\ncommand: [say, it]\n")
    assert read_settings(store, {}) == Settings("http://a/b", ("say", "it"))
    with refused(BadValue.NOTIFY_WORDS, name="ARENA_NOTIFY_COMMAND"):
        read_settings(store, {"ARENA_NOTIFY_COMMAND": "say 'it"})
    given = {"ARENA_WEBHOOK": "https://c/d", "ARENA_NOTIFY_COMMAND": "tell 'two words'"}
    assert read_settings(store, given) == Settings("https://c/d", ("tell", "two words"))
