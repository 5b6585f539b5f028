"""Check whether jobs can run on this machine, and predict when they would end."""

import argparse

from jobs.host.machine import describe_machine
from jobs.preflight import questions
from jobs.problems import Launch, LaunchError
from jobs.submission.arguments import add_spec_arguments, read_config, spec_from
from jobs.submission.submit import check_config
from tracking import runs
from tracking.store import Store

HELP = "check whether jobs can run on this machine, and predict when they would end"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the description of the jobs and `--try`."""
    add_spec_arguments(parser)
    parser.add_argument(
        "--try", action="store_true", dest="trial", help="train 20 steps of each job to measure it"
    )


def run(store: Store, options: argparse.Namespace) -> None:
    """Print the answers and the results of trials. Raises LaunchError if a job cannot work."""
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
            check_config(config)  # raises what `submit` would raise
    answers = questions.check_all(store, configs, describe_machine(), runs.list_ours(store))
    for answer in answers:
        print_answer(answer)
    if options.trial and images is not None:
        for config in distinct:
            answer, _ = questions.check_trial(store, config, images.classes, describe_machine())
            print_answer(answer)
            answers.append(answer)
    if any(answer.verdict is False for answer in answers):
        raise LaunchError(Launch.CHECK_FAILED)


def print_answer(answer: questions.Answer) -> None:
    """Print one line: `yes  Memory  ...`."""
    words = {True: "yes", False: "NO", None: "?"}
    print(f"{words[answer.verdict]:<4} {answer.question:<7} {answer.text}", flush=True)
