"""Published archives: downloading, checking and unpacking them safely."""
