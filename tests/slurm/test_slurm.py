def test_a_job_ends_and_its_record_says_so(bench):
    run_id = bench.submit("finish")
    run = bench.until_ended(run_id)
    assert run.status == "FINISHED"
    assert f"worked on {run.tags['job.nodes']}" in bench.printed(run_id)
    bench.until(lambda: bench.run(run_id).tags.get("job.exit_code") == "0")
    assert not (bench.store.root / "slurm" / run_id).exists()
