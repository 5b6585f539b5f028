"""Say whether jobs can work here, and when they would be done."""

import argparse

from jobs.errors import LaunchError
from jobs.host.machine import describe_machine
from jobs.preflight import questions
from jobs.submission.arguments import add_spec_arguments, read_config, spec_from
from jobs.submission.submit import check_config
from tracking import runs
from tracking.store import Store

HELP = "say whether jobs can work here, and when they would be done"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What describes the jobs."""
    add_spec_arguments(parser)
    parser.add_argument("--try", action="store_true", dest="trial", help="train 20 steps of each and measure")


def run(store: Store, options: argparse.Namespace) -> None:
    """Print the answers and what a trial has shown. Raises LaunchError where something cannot work."""
    if config := read_config(options):
        configs = distinct = [check_config(config)]
    else:
        spec = spec_from(options)
        configs = spec.configs()
        distinct = list(spec.change(learning_rate=()).configurations())
    store.open()
    data, images = questions.look_at_data(configs[0])
    if data.verdict and questions.check_size(configs).verdict:
        for config in distinct:
            check_config(config)  # what `submit` would refuse
    answers = questions.check_all(store, configs, describe_machine(), runs.list_ours(store))
    for answer in answers:
        print_answer(answer)
    if options.trial and images is not None:
        for config in distinct:
            answer, _ = questions.check_trial(store, config, images.classes, describe_machine())
            print_answer(answer)
            answers.append(answer)
    if any(answer.verdict is False for answer in answers):
        raise LaunchError("Not everything will work; what to change is said above.")


def print_answer(answer: questions.Answer) -> None:
    """Print one line: `yes  Memory  ...`."""
    words = {True: "yes", False: "NO", None: "?"}
    print(f"{words[answer.verdict]:<4} {answer.question:<7} {answer.text}", flush=True)
