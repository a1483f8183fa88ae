"""What outlives a restart: one file per scale set in `polling.state_dir`.

`state_file.py` is the format of a file, `directory.py` reads and writes files, `store.py` decides
when.
"""
