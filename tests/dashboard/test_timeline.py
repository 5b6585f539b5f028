"""The forecast as a picture, and the load of the machine as a line."""

import re
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from dashboard.runs.now import load_text
from dashboard.runs.timeline import left_out, timeline
from jobs.host.gpus import Load
from jobs.host.load import read_loads
from jobs.host.machine import describe_machine
from jobs.scheduling.forecast import EXPECTED, Span
from tests.jobs.test_forecast import run
from tracking import records
from tracking.runs import list_runs
from tracking.store import Store

OpenPage = Callable[..., AppTest]


def test_each_slot_has_a_line_with_its_jobs() -> None:
    runs = [run("a<b", "RUNNING", took_s=60), run("long name"), run("c1"), run("d1")]
    spans = {
        "a<b": Span(0, 60, ("cuda:0",)),
        "long name": Span(0, 120, ("cuda:1",)),
        "c1": Span(60, 240, ("cuda:0",)),
        "d1": Span(None, None),
    }
    html = timeline(runs, spans, ["cuda:0", "cuda:1"])
    assert html.count("<dt>GPU ") == 2 and "a<b" not in html and "a&lt;b" in html
    bars = re.findall(r'class="(now|later)".*?left:([\d.]+)%;width:([\d.]+)%', html, re.DOTALL)
    assert bars == [("now", "0.00", "25.00"), ("later", "25.00", "75.00"), ("later", "0.00", "50.00")]
    assert "min from now" in html
    assert "1 more job" in left_out(runs, spans) and not left_out(runs[:3], spans)


def test_a_job_whose_end_is_unknown_is_open() -> None:
    spans = {"a1": Span(0, 90, ("cpu:0",)), "b1": Span(90, None, ("cpu:0",))}
    html = timeline([run("a1"), run("b1")], spans, ["cpu:0"])
    assert "<dt>Processor</dt>" in html
    assert 'class="later open"' in html and "end unknown" in html and "left:75.00%;width:25.00%" in html
    assert timeline([run("b1")], {"b1": Span(0, None, ("cpu:0",))}, ["cpu:0"]) == "", "nothing was measured"


def test_what_a_gpu_tells_is_one_line() -> None:
    told = Load("cuda:0", 0.93, 2**30, 80 * 2**30, 61.0)
    assert "load 93 % · 1 GB of 80 GB · 61 °C · free" in load_text("card", told, "free")
    assert load_text("card", Load("cuda:1", None, None, 80 * 2**30, None), "").count("·") == 0


def test_the_processor_has_a_line_beside_gpus_only_with_a_job() -> None:
    spans = {"a1": Span(0, 90, ("cuda:0",)), "b1": Span(0, 90, ("cpu:0",))}
    slots = ["cuda:0", "cuda:MIG-0123456789abcdef", "cpu:0"]
    assert "Processor" not in timeline([run("a1")], spans, slots)
    html = timeline([run("a1"), run("b1")], spans, slots)
    assert "Processor" in html and "GPU MIG-01234567…" in html


def test_this_machine_tells_its_load() -> None:
    processor = read_loads(describe_machine())[0]
    assert 0 <= processor.busy <= 1 and 0 < processor.used_bytes < processor.memory_bytes


def test_the_runs_page_shows_load_and_forecast(filled_store: Store, open_page: OpenPage) -> None:
    waiting = list_runs(filled_store, ["SCHEDULED"])[0]
    running = list_runs(filled_store, ["RUNNING"])[0]
    records.set_tags(filled_store, waiting.run_id, {EXPECTED: 120})
    records.set_tags(filled_store, running.run_id, {"job.slots": describe_machine().slots[0]})
    app = open_page("runs")
    assert any("Processor" in one.value and "load" in one.value for one in app.markdown)
    drawn = [one.proto.body for one in app.get("html") if '<figure class="timeline"' in one.proto.body]
    assert describe_machine().gpus or (len(drawn) == 1 and waiting.name in drawn[0])
