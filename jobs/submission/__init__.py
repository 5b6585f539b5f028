"""From a request on the command line or the form to a run in the queue, and the requests to change runs."""
