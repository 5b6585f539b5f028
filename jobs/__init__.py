"""What happens around a training process: submit, supervise, stop."""
