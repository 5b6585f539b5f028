"""One file a page; the navigation finds it."""
