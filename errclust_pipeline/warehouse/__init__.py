"""Where tables lie, and how they are read and written."""
