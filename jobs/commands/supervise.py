"""Run the supervisor of this store in the foreground."""

import argparse
import logging
import sys

from jobs.engines.all import AllEngines
from jobs.supervision import recovery
from jobs.supervision.supervisor import ASK_GRACE_S, POLL_INTERVAL_S, TERM_GRACE_S, Supervisor
from tracking.store import Store

HELP = "run the supervisor of this store in the foreground"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the times and limits of the supervisor."""
    for name, default, text in (
        ("--ask_grace", ASK_GRACE_S, "seconds from a request to stop to SIGTERM"),
        ("--term_grace", TERM_GRACE_S, "seconds from SIGTERM to SIGKILL"),
        ("--poll", POLL_INTERVAL_S, "seconds between two checks of all jobs"),
    ):
        parser.add_argument(
            name, type=float, default=default, metavar="S", help=f"{text} (default: {default:g})"
        )
    parser.add_argument(
        "--max_resumes",
        type=int,
        default=recovery.max_resumes(),
        metavar="N",
        help=f"how often an interrupted run is resumed automatically without a new checkpoint "
        f"(default: %(default)s; can be set with {recovery.SETTING})",
    )


def run(store: Store, options: argparse.Namespace) -> None:
    """Run the supervisor."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # warns every second while a server is unavailable
    store.open_patiently()
    Supervisor(
        store,
        AllEngines(store),
        ask_grace_s=options.ask_grace,
        term_grace_s=options.term_grace,
        poll_interval_s=options.poll,
        max_resumes=options.max_resumes,
    ).run()
