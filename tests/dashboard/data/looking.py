"""What tests of the Data page look for, and how they act on it."""

import time
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from jobs import data_jobs
from tracking.store import Store

OpenPage = Callable[..., AppTest]
CLASSES = ("n01440764", "n02102040", "n03000684")


def problems(app: AppTest) -> list[str]:
    marker = ":red[:material/error: "
    return [one.value.removeprefix(marker)[:-1] for one in app.markdown if one.value.startswith(marker)]


def press(app: AppTest, label: str) -> AppTest:
    return next(one for one in app.button if one.label.replace("\\", "") == label).click().run()


def wait_for_end(store: Store) -> data_jobs.JobState:
    deadline = time.monotonic() + 120
    while (state := data_jobs.list_jobs(store)[0]).is_active and time.monotonic() < deadline:
        time.sleep(0.1)
    return state
