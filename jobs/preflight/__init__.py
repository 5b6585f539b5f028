"""What is asked before a job is queued: may it read there, does it fit, how long will it take."""
