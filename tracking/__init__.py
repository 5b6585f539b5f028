"""The only package that talks to MLflow: write runs, read runs, compare runs."""
