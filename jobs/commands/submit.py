"""Queue jobs: one per network, recipe, learning rate and seed, or the job of a YAML file."""

import argparse
import sys

from jobs.host.machine import describe_machine
from jobs.preflight import questions
from jobs.problems import Launch, LaunchError
from jobs.submission.arguments import add_spec_arguments, read_config, spec_from
from jobs.submission.submit import check_config, submit_group
from jobs.supervision.supervisor import ensure_supervisor, find_supervisor
from tracking import runs
from tracking.store import Store

HELP = "queue jobs: one per network, recipe, learning rate and seed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the description of the jobs, `--hold` and `--anyway`."""
    add_spec_arguments(parser)
    parser.add_argument("--hold", action="store_true", help="hold the jobs until `release`")
    parser.add_argument("--anyway", action="store_true", help="queue the jobs even if a check fails")


def run(store: Store, options: argparse.Namespace) -> None:
    """Check every configuration, then queue them all."""
    if config := read_config(options):
        configs, whole = [config], [check_config(config)]
    else:
        spec = spec_from(options)
        configs = whole = spec.configs()
        for config in spec.configurations():
            check_config(config)
    store.open()
    if not options.anyway:
        answers = questions.check_all(store, whole, describe_machine(), runs.list_ours(store))
        wrong = [answer.text for answer in answers if answer.verdict is False]
        if wrong:
            raise LaunchError(Launch.UNSUITABLE, reasons=" ".join(wrong))
    started = find_supervisor(store) is None
    ensure_supervisor(store)
    if started:
        print(
            f"Started the supervisor of {store.root}; stop it with `python -m jobs shutdown`.",
            file=sys.stderr,
        )
    for run_id in submit_group(store, configs, held=options.hold):
        print(f"{run_id}  {runs.get_run(store, run_id).name}")
