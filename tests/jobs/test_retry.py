"""Retrying a run that ran out of memory, with smaller batches and the same steps."""

import yaml

from jobs.problems import Refused
from jobs.submission.retry import batch_to_try, describe_step, memory_tags, retry, with_batch
from jobs.submission.spec import JobSpec
from tests.refusals import refused
from tracking import records, runs


def test_as_many_images_a_step(store):
    (config,) = JobSpec(("resnet18",), epochs=1, batch_size=64, image_size=32).configs()
    run_id = records.create_run(store, config, tags={"job.retry_batch": "32"})
    with refused(Refused.NOT_RETRYABLE, status="SCHEDULED"):
        retry(store, run_id)
    records.set_status(store, run_id, "FAILED")
    assert batch_to_try(runs.get_run(store, run_id)) == 32
    with refused(Refused.BATCH_SIZE, batch_size=0):
        retry(store, run_id, 0)
    again = runs.get_run(store, retry(store, run_id))
    before = runs.get_run(store, run_id)
    assert describe_step(before, again).startswith("2 batches of 32 ")
    assert again.status == "SCHEDULED" and again.run_id != run_id
    changed = yaml.safe_load(runs.read_config(store, again.run_id))
    assert changed["data"]["batch_size"] == 32 and changed["trainer"]["accumulate_grad_batches"] == 2
    assert with_batch(changed, 8)["trainer"]["accumulate_grad_batches"] == 8
    changed["data"]["batch_size"] = 64
    del changed["trainer"]["accumulate_grad_batches"]
    assert changed == config


def test_what_does_not_divide(store):
    (config,) = JobSpec(("resnet18",), epochs=1, batch_size=6).configs()
    with refused(Refused.BATCH_SIZE, batch_size=4, choices="1, 2, 3"):
        with_batch(config, 4)
    with refused(Refused.BATCH_SIZE, batch_size=0):
        with_batch(config, 0)
    config["data"]["batch_size"] = 509  # a prime number, so only single images would be exact
    assert with_batch(config, 169)["trainer"]["accumulate_grad_batches"] == 3
    config["data"]["batch_size"] = 1
    with refused(Refused.NO_SMALLER_BATCH):
        with_batch(config, 1)


def test_only_a_run_that_ran_out_of_memory_suggests_a_batch_size(store):
    (config,) = JobSpec(("resnet18",), epochs=1, batch_size=6).configs()
    run_id = records.create_run(store, config)
    records.set_status(store, run_id, "FAILED")
    run = runs.get_run(store, run_id)
    assert batch_to_try(run) is None and memory_tags(run)["job.retry_batch"] == "3"
