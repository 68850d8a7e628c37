"""What touches the outside: the warehouse, its settings and the embedder."""
