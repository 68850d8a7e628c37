"""How answers are wrong: right answers compared with given ones, by no language model."""

from errclust_pipeline.analysis.patterns.answers import Answer as Answer
from errclust_pipeline.analysis.patterns.answers import parse_number as parse_number
from errclust_pipeline.analysis.patterns.answers import read_answer as read_answer
from errclust_pipeline.analysis.patterns.comparators import PATTERNS as PATTERNS
from errclust_pipeline.analysis.patterns.comparators import Pair as Pair
from errclust_pipeline.analysis.patterns.comparators import Pattern as Pattern
from errclust_pipeline.analysis.patterns.comparators import patterns_of as patterns_of
from errclust_pipeline.analysis.patterns.search import Place as Place
from errclust_pipeline.analysis.patterns.search import PlacePattern as PlacePattern
from errclust_pipeline.analysis.patterns.search import find_patterns as find_patterns
