"""What outlives a restart: one file per scale set in `polling.state_dir`.

`contents.py` is what a file says, `folder.py` how files are read and written, `store.py` when.
"""
