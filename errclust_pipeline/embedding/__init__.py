"""Turning texts into vectors: models and their names, back ends, and the store of embeddings.

`embed_texts` in `texts` is what the rest of the package calls; it embeds only what is not stored.
"""
