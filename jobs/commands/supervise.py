"""Start and follow the jobs of this store, in the foreground."""

import argparse
import logging
import sys

from jobs.engines.all import AllEngines
from jobs.supervision import recovery
from jobs.supervision.supervisor import ASK_GRACE_S, POLL_INTERVAL_S, TERM_GRACE_S, Supervisor
from tracking.store import Store

HELP = "start and follow the jobs of this store, in the foreground"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How patient it is."""
    parser.add_argument("--ask_grace", type=float, default=ASK_GRACE_S, metavar="S", help="see --term_grace")
    parser.add_argument(
        "--term_grace",
        type=float,
        default=TERM_GRACE_S,
        metavar="S",
        help="seconds until SIGTERM, then SIGKILL",
    )
    parser.add_argument(
        "--poll", type=float, default=POLL_INTERVAL_S, metavar="S", help="seconds between looks"
    )
    parser.add_argument(
        "--max_resumes",
        type=int,
        default=recovery.max_resumes(),
        metavar="N",
        help=f"how often a run that lost its process goes on by itself without a new checkpoint "
        f"(%(default)s; {recovery.SETTING} says so, too)",
    )


def run(store: Store, options: argparse.Namespace) -> None:
    """Be the supervisor."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # a line a second while a server is away
    store.open_patiently()
    Supervisor(
        store,
        AllEngines(store),
        ask_grace_s=options.ask_grace,
        term_grace_s=options.term_grace,
        poll_interval_s=options.poll,
        max_resumes=options.max_resumes,
    ).run()
