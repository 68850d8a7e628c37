"""Training examples: pools of them, choosing among them, and writing the chosen ones.

What a model's errors ask for is computed in `analysis.selection`.
"""
