"""Tasks: what a batch is asked, one objective a file; `task.py` says what the loop needs of each."""
