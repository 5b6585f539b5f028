"""The browser: pages and charts over the runs that MLflow holds."""
