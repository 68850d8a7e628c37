"""What touches the outside: the warehouse and the embedder."""
