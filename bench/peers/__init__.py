"""The peers: other ways to serve the very same series."""
