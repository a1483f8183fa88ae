"""When each scale set is polled, what the poll did, and the snapshot that is served."""
