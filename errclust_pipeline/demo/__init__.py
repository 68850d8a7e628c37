"""The demo leaderboard: questions, simulated models with known bugs, and their result files."""

from errclust_pipeline.demo.leaderboard import DemoLeaderboard, write_demo_leaderboard
from errclust_pipeline.demo.models import BugNote, describe_models

__all__ = ["BugNote", "DemoLeaderboard", "describe_models", "write_demo_leaderboard"]
