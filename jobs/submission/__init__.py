"""From what somebody asks for to the run that waits in the queue, and what may be asked of a run."""
