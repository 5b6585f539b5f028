"""The forecast as a picture, and the load of the machine as a line."""

import re
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from dashboard.now_view import load_text
from dashboard.timeline import left_out, timeline
from jobs.forecast import EXPECTED, Span
from jobs.load import Load, parse_loads, read_loads
from jobs.machine import Gpu, describe_machine
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


def test_what_gpus_tell_is_read() -> None:
    table = "0, GPU-aa, 93, 1024, 81559, 61\n1, GPU-bb, [N/A], [N/A], 81559, [N/A]\n2, GPU-cc, 1, 2, 3, 4\n"
    first, second = parse_loads(table, [Gpu("0", "card", 0), Gpu("GPU-b", "card", 0)])
    assert first == Load("cuda:0", 0.93, 2**30, 81559 * 2**20, 61.0)
    assert second == Load("cuda:GPU-b", None, None, 81559 * 2**20, None)
    assert "load 93 % · 1 GB of 80 GB · 61 °C · free" in load_text("card", first, "free")
    assert load_text("card", second, "").count("·") == 0


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
    assert len(describe_machine().slots) > 1 or (len(drawn) == 1 and waiting.name in drawn[0])
