"""Everything around a training process: submit, queue, supervise, stop."""
