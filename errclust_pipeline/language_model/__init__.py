"""Asking a language model: client, endpoint, dialect, usage and the store of answers.

Prompts and the forms of their answers belong in `errclust_pipeline.analysis.language`.
"""
