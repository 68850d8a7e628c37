"""The demo leaderboard: questions, simulated models with known bugs, and their result files."""
