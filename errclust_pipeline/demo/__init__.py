"""The demo leaderboard: questions, simulated models with planted bugs, and their result files.

The bug behind every wrong answer is known, so the demo shows, and tests measure, what errclust
finds. The generated files stay the same from version to version, because figures in the
documentation are measured on them.
"""

from errclust_pipeline.demo.leaderboard import DemoLeaderboard, write_demo_leaderboard
from errclust_pipeline.demo.models import BugNote, describe_models

__all__ = ["BugNote", "DemoLeaderboard", "describe_models", "write_demo_leaderboard"]
