"""Archives from elsewhere: fetched, checked, and unpacked nowhere but where they belong."""
