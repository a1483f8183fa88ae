"""The pages and endpoints: hands out what the snapshots hold."""
