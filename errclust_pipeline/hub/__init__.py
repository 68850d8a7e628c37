"""The Hugging Face hub: addresses, files fetched at a commit, and the splits of datasets.

`huggingface_hub` and `datasets` are imported only in this room and in `sources`, and only inside
functions, since both are slow to import. What the fetched files mean does not belong here.
"""
